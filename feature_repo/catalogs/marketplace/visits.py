"""When people come, and in which order their visits can be played."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feature_repo.catalogs.marketplace.stock import Bools, Floats, Ints
from feature_repo.catalogs.marketplace.tastes import Shoppers

SECOND_US: Final = 1_000_000
WEEK_US: Final = 7 * 24 * 3600 * SECOND_US
VISIT_US: Final = 3600 * SECOND_US
"""A visit ends within this time, so the last one starts this long before the log's end."""
BLOCK: Final = 1024
"""Users whose visits are played together."""
LEAST_VISITS: Final = 3


@dataclass(frozen=True, slots=True)
class Visits:
    """V visits in time order."""

    user: Ints
    home: Bools
    week: Floats

    def take(self, rows: npt.NDArray[Any]) -> "Visits":
        return Visits(self.user[rows], self.home[rows], self.week[rows])


def make_visits(
    shoppers: Shoppers, *, weeks: int, mean: float, growth: float, rng: np.random.Generator
) -> Visits:
    """Draw who comes when and to which side; everybody at least LEAST_VISITS times."""
    counts = np.maximum(LEAST_VISITS, rng.poisson(mean * shoppers.activity))
    user = np.repeat(np.arange(len(counts)), counts)
    last = weeks - VISIT_US / WEEK_US
    week = last * rng.random(len(user)) ** growth
    home = rng.random(len(user)) < shoppers.home_share[user]
    order = np.argsort(week, kind="stable")
    return Visits(user[order], home[order], week[order])


def rounds(drawn: Visits, *, home: bool, users: int) -> Iterator[Ints]:
    """Rows of one side's visits in groups with at most one visit of a user, his oldest first."""
    rows = np.flatnonzero(drawn.home == home)
    by_user = rows[np.argsort(drawn.user[rows], kind="stable")]
    owner = drawn.user[by_user]
    turn = np.arange(len(owner)) - np.searchsorted(owner, owner)
    for first in range(0, users, BLOCK):
        inside = (first <= owner) & (owner < first + BLOCK)
        for number in range(turn[inside].max(initial=-1) + 1):
            yield by_user[inside & (turn == number)]
