"""What sells now: how often known items were chosen of late, for everybody alike.

The scorer knows an item by its content and by what people choose together with it, and neither says
whether anybody still wants it. With t_e the moments of an item's choices, T the moment of asking
and h a half-life,

    r_c = Σ_e 2^(−(T − t_e) / h),        s_c = (log(1 + r_c) − μ) / σ

with μ and σ over the known items, and y(u, c) + w s_c is the score of a known item. A listing that
is new has no choices to count: s = 0, it learns from its first customers, and where both are
ranked known items share out among themselves the places that they have without it (`places`).

r is the feature `item_activity:popularity`. w is the least of WEIGHTS that validation does not tell
from the best one: choices that people made for the first time of what was known at a moment of
the past. Beyond it the most chosen crowd out what is a person's own, and nothing is gained.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from coldstart_models.data.catalogue import BoolArray, IntArray
from coldstart_models.metrics import ndcg_of_each
from coldstart_models.siamese.doubt import near_best
from feature_repo.feature_tables import POPULARITY_HALF_LIFE

if TYPE_CHECKING:
    from coldstart_models.siamese.network import MetaSiamese
    from coldstart_models.siamese.preparing import PreparedEpisode

HALF_LIFE_US: Final = POPULARITY_HALF_LIFE.total_seconds() * 1e6
"""h. Of 7, 14, 30, 60 and 120 days and none at all, this is best or next to it on two cuts of a
shop, and by far on generated data, whose tastes move faster."""
WEIGHTS: Final = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
"""w, least first. Scores of a person have a deviation of about 2."""
LEAST_DEVIATION: Final = 1e-6

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class RecentChoices:
    """r of N items at a moment."""

    sums: npt.NDArray[np.float64]
    """(N,)"""
    until_us: int
    """T: µs since 1970 UTC."""

    @classmethod
    def none(cls, num_items: int) -> "RecentChoices":
        """Of items that nobody has chosen."""
        return cls(np.zeros(num_items), 0)

    @classmethod
    def of(cls, item_index: IntArray, time_us: IntArray, *, num_items: int) -> "RecentChoices":
        """At the moment of the last choice.

        Args:
            item_index: (E,) of the chosen items.
            time_us: (E,) when each was chosen.
        """
        return cls.none(num_items).later(item_index, time_us)

    def later(self, item_index: IntArray, time_us: IntArray) -> "RecentChoices":
        """With further choices (E,), at the last of all; one that comes late counts as it would."""
        if not len(time_us):
            return self
        until = max(self.until_us, int(time_us.max()))
        weights = _left(until - time_us)
        added = np.bincount(item_index, weights=weights, minlength=len(self.sums))
        return RecentChoices(self.sums * _left(until - self.until_us) + added, until)

    def standing(self, known: BoolArray) -> FloatArray:
        """(N,): s, 0 where an item is not known; 0 throughout where they are all alike."""
        found = np.zeros(len(self.sums), np.float32)
        logs = np.log1p(self.sums[known])
        if len(logs) and (deviation := logs.std()) > LEAST_DEVIATION:
            found[known] = (logs - logs.mean()) / deviation
        return found


def choose_weight(network: "MetaSiamese", known: "PreparedEpisode") -> None:
    """Set w, in place, by what people chose of known items."""
    from coldstart_models.siamese.network import score_task

    network.selling_weight.zero_()
    plain = score_task(network, known)
    plain[_had(known)] = -np.inf
    selling, chosen = known.selling.numpy(), known.episode.chosen
    weights = np.array(WEIGHTS, np.float32)
    reached = [[ndcg_of_each(plain + weight * selling, chosen)] for weight in weights]
    least = next(weight for weight, near in zip(WEIGHTS, near_best(reached), strict=True) if near)
    network.selling_weight.fill_(least)


def _left(ago_us: IntArray | int) -> npt.NDArray[np.float64]:
    """What a choice counts after a time."""
    return np.exp2(-np.asarray(ago_us, np.float64) / HALF_LIFE_US)


def _had(prepared: "PreparedEpisode") -> BoolArray:
    """(U, C): who has chosen which candidate before."""
    histories, candidates = prepared.histories, prepared.candidates.numpy()
    found = np.zeros((len(histories), len(candidates)), bool)
    inside = histories.mask & np.isin(histories.item_index, candidates)
    users, events = np.nonzero(inside)
    found[users, np.searchsorted(candidates, histories.item_index[users, events])] = True
    return found
