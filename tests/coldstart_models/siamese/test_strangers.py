"""How sure a stranger's scores are: as sure as past launches turned out to be."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from coldstart_models.siamese.strangers import PopularitySpread

SLOPE, OWN = 0.7, 0.4


def launches(*, problems: int, count: int = 200) -> list[Any]:
    """Problems of listings whose log customers are SLOPE of the prediction, give or take OWN."""
    generator = np.random.default_rng(0)
    found = []
    for _ in range(problems):
        x = generator.standard_normal(count)
        x = (x - x.mean()) / x.std()
        told = 4.0 + SLOPE * x + OWN * generator.standard_normal(count)
        episode = SimpleNamespace(popularity=np.expm1(told))
        found.append(SimpleNamespace(prior=torch.from_numpy(2.0 + 3.0 * x), episode=episode))
    return found


def test_the_spread_is_that_of_past_launches_and_more_of_them_make_the_slope_surer() -> None:
    few, many = (PopularitySpread.learned(launches(problems=count)) for count in (1, 8))
    for spread, events in ((few, 200), (many, 1600)):
        assert spread.own == pytest.approx(OWN, rel=0.15)
        assert spread.slope == pytest.approx(spread.own / np.sqrt(1 + events))


def test_nothing_learned_is_wide() -> None:
    assert PopularitySpread.learned([]) == PopularitySpread()
    assert PopularitySpread().own > 2 * OWN


def test_first_customers_make_a_listing_surer() -> None:
    found = PopularitySpread(slope=0.1, own=0.5).own_deviations(np.array([0, 1, 12]))
    assert found.tolist() == pytest.approx([0.5, np.sqrt(0.2), 0.25])


def test_deviations_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="expected above 0"):
        PopularitySpread(slope=0.1, own=0.0)
