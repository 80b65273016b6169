"""Which of several choices cannot be told from the best, by what people reached with each.

Of the difference to the best one the standard error is taken within each group of measurements and
averaged over them: groups are of the same people and listings, so their errors go together, and
more groups of them make nothing surer.

That is what other people would have reached. What lifts a listing for everybody is good or bad by
that listing, whoever ranks it, so that a few that did well make it look good by however many
people. Where a choice is one of such lifts, the error of another draw of listings counts too, by a
jackknife of groups: they are dealt into PARTS, the same way wherever they are ranked, and each part
is left out once, of what is ranked and of what was chosen.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self, TypeVar

import numpy as np

from coldstart_models.data.catalogue import BoolArray, FloatMatrix, IntArray
from coldstart_models.metrics import FloatArray, jackknife_variance, ndcg_with_and_without

DOUBT: Final = 2.0
"""Standard errors."""
PARTS: Final = 20
MIXER: Final = 0x9E3779B97F4A7C15
"""2⁶⁴ over the golden ratio (Knuth, 6.4): neighbours in the catalogue come to different parts."""

Reached = Sequence[FloatArray]
"""Groups of measurements, (U,) of each group's people."""
Given = TypeVar("Given")


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a group's people reached, and what they would have among fewer listings: NDCG@10."""

    values: FloatArray
    """(U,)"""
    without: FloatArray
    """(PARTS, U): among all listings but those of a part; NaN for whoever chose no other."""

    @classmethod
    def of(cls, scores: FloatMatrix, chosen: BoolArray, listings: IntArray) -> Self:
        """By (U, C) scores of the items `listings` (C,), of which everybody chose some (U, C)."""
        return cls(*ndcg_with_and_without(scores, chosen, parts_of(listings), PARTS))

    @classmethod
    def joined(cls, outcomes: Sequence[Self]) -> Self:
        """Of the people of all of them, at least one."""
        return cls(
            np.concatenate([one.values for one in outcomes]),
            np.concatenate([one.without for one in outcomes], axis=1),
        )

    @property
    def mean(self) -> float:
        """Over people."""
        return float(self.values.mean())


def near_best(choices: Sequence[Reached]) -> list[bool]:
    """Which are no worse than the best by more than DOUBT standard errors; that one is not.

    Args:
        choices: groups of the same people in the same order of each.
    """
    return _near(choices, _mean, _error_of_people)


def near_best_of_lifts(choices: Sequence[Sequence[Outcome]]) -> list[bool]:
    """The same of choices that lift listings for everybody: by the larger of the errors of people
    and of listings."""
    return _near(choices, _mean_outcome, _error_of_either)


def told_better(new: Reached, old: Reached) -> bool:
    """Whether one choice is better than another by more than DOUBT standard errors."""
    return not near_best([old, new])[0]


def parts_of(listings: IntArray) -> IntArray:
    """(C,): 0 … PARTS − 1, by the items' numbers in the catalogue."""
    mixed = listings.astype(np.uint64) * np.uint64(MIXER)
    return np.asarray((mixed >> np.uint64(32)) % np.uint64(PARTS), np.int64)


def _near(
    choices: Sequence[Given],
    mean: Callable[[Given], float],
    error: Callable[[Given, Given], float],
) -> list[bool]:
    best = max(choices, key=mean)
    return [mean(best) - mean(each) <= DOUBT * error(best, each) for each in choices]


def _mean(reached: Reached) -> float:
    return float(np.mean([group.mean() for group in reached]))


def _mean_outcome(reached: Sequence[Outcome]) -> float:
    return _mean([group.values for group in reached])


def _error_of_people(best: Reached, other: Reached) -> float:
    pairs = zip(best, other, strict=True)
    return float(np.mean([(one - two).std() / math.sqrt(len(one)) for one, two in pairs]))


def _error_of_either(best: Sequence[Outcome], other: Sequence[Outcome]) -> float:
    values = ([group.values for group in each] for each in (best, other))
    return max(_error_of_people(*values), _error_of_listings(best, other))


def _error_of_listings(best: Sequence[Outcome], other: Sequence[Outcome]) -> float:
    """Without a part that is all that a group's people chose, nothing tells choices apart in it."""
    of_groups = []
    for one, two in zip(best, other, strict=True):
        apart = one.without - two.without
        told = np.isfinite(apart).any(axis=1)
        means = np.zeros(PARTS)
        means[told] = np.nanmean(apart[told], axis=1)
        of_groups.append(means)
    return math.sqrt(jackknife_variance(np.mean(of_groups, axis=0)))
