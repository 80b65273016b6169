"""Python's collector leaves alone what a start has made."""

import gc

import pytest

from bentos.recommender.collecting import frozen_after


def test_nothing_is_collected_within_and_what_is_there_afterwards_is_frozen() -> None:
    try:
        with frozen_after():
            assert not gc.isenabled()
            kept = [[number] for number in range(1_000)]
        assert gc.isenabled()
        assert gc.get_freeze_count() >= len(kept)
    finally:
        gc.unfreeze()


def test_a_start_that_fails_leaves_the_collector_at_work() -> None:
    with pytest.raises(ValueError, match="no model"), frozen_after():
        raise ValueError("no model")
    assert gc.isenabled()
