"""A share of a shop's events: nested draws, the same truth."""

import pytest

from benchmarks.thinning import thinned
from coldstart_models.errors import ConfigError
from tests.coldstart_models.general.shops import split_of, stored_shop


def test_smaller_shares_are_among_larger_ones_and_leave_the_truth():
    split = split_of(stored_shop("target", seed=7))
    some, few = (thinned(split, share, seed=3) for share in (0.3, 0.1))
    pairs = [
        set(zip(one.training.user_index.tolist(), one.training.item_index.tolist(), strict=True))
        for one in (split, some, few)
    ]
    assert pairs[2] < pairs[1] < pairs[0]
    assert few.truth is split.truth
    assert (few.cold == split.cold).all()
    with pytest.raises(ConfigError, match="above 0 and at most 1, not 0"):
        thinned(split, 0.0, seed=0)
