"""In what order the best listings are shown: the best first, less alike, or newer ones sooner."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import torch

from coldstart_models.data.catalogue import IntArray
from coldstart_models.errors import ConfigError

if TYPE_CHECKING:
    from coldstart_models.snapshot import Snapshot

FRESH_HALF_LIFE_DAYS: Final = 14.0
"""A listing's freshness halves in so many days after the newest listing's."""
FRESH_DEVIATIONS: Final = 2.0
"""At `freshness` 1 the newest listing gains so many standard deviations of the scores."""
CHOSEN_FROM: Final = 5
"""MMR chooses each of k places from the best 5 k listings."""
FEWEST: Final = 100
MANY: Final = 100
"""Above so many candidates a place they are not all sorted."""

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Arrangement:
    """How a page is arranged. The default is best first."""

    diversity: float = 0.0
    """1 − λ of maximal marginal relevance: 0 for relevance alone, 1 for difference alone."""
    freshness: float = 0.0
    """From 0 to 1: how much sooner newer listings come."""

    def __post_init__(self) -> None:
        for name in ("diversity", "freshness"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected 0 to 1")

    def order(self, snapshot: "Snapshot", rows: IntArray, scores: Scores, *, k: int) -> IntArray:
        """Columns of the k listings to show, in order.

        Args:
            rows: (C,) rows of the candidates in the snapshot, ascending, as their ids are.
            scores: (C,)
        """
        if self.freshness:
            spread = float(scores.std()) * FRESH_DEVIATIONS * self.freshness
            scores = np.asarray(scores + spread * freshness(snapshot)[rows], np.float32)
        if not self.diversity:
            return first_best(scores, k)
        best = first_best(scores, max(CHOSEN_FROM * k, FEWEST))
        places = marginal_relevance(
            scores[best], alike(snapshot, rows[best]), k=k, relevance=1.0 - self.diversity
        )
        return np.asarray(best[places])


BEST_FIRST: Final = Arrangement()


def first_best(scores: Scores, k: int) -> IntArray:
    """Columns of the k best, best first; of equal ones the first column goes first. None of k < 1.

    Args:
        scores: (C,) finite.
    """
    if k < 1:
        return np.empty(0, np.int64)
    if len(scores) <= MANY * k:
        return np.argsort(-scores, kind="stable")[:k]
    least = np.partition(scores, len(scores) - k)[len(scores) - k]
    above = np.flatnonzero(scores >= least)
    return above[np.argsort(-scores[above], kind="stable")[:k]]


def marginal_relevance(
    scores: Scores, alike: npt.NDArray[np.float32], *, k: int, relevance: float
) -> IntArray:
    """Places of k candidates by maximal marginal relevance, in order.

    The next one is argmax λ·s − (1 − λ)·max over the chosen of their likeness (Carbonell and
    Goldstein, SIGIR 1998); s is scaled to 0 … 1, and ties go to the better one.

    Args:
        scores: (C,), descending.
        alike: (C, C) likeness, 1 of equals.
    """
    span = float(scores[0] - scores[-1]) if len(scores) else 0.0
    scaled = (scores - scores[-1]) / span if span else np.zeros(len(scores), np.float32)
    nearest = np.zeros(len(scores), np.float32)
    left, chosen = np.ones(len(scores), bool), []
    for _ in range(min(k, len(scores))):
        gain = np.where(left, relevance * scaled - (1.0 - relevance) * nearest, -np.inf)
        place = int(gain.argmax())
        chosen.append(place)
        left[place] = False
        nearest = alike[place] if len(chosen) == 1 else np.maximum(nearest, alike[place])
    return np.array(chosen, np.int64)


def alike(snapshot: "Snapshot", rows: IntArray) -> npt.NDArray[np.float32]:
    """(C, C) mean cosine of the items' vectors over the modalities that both have."""
    at = torch.from_numpy(rows)
    total, counted = torch.zeros(len(rows), len(rows)), torch.zeros(len(rows), len(rows))
    for name, values in snapshot.vectors.values.items():
        known = snapshot.vectors.present[name][at].float()
        both, own = known[:, None] * known[None, :], values[at]
        total += (own @ own.T) * both
        counted += both
    return np.asarray((total / counted.clamp(min=1.0)).numpy(), np.float32)


def freshness(snapshot: "Snapshot") -> npt.NDArray[np.float32]:
    """(N,) 1 for the newest listing, halving with age; 0 where nobody knows when it was listed."""
    days = snapshot.listed_days
    if np.isnan(days).all():
        return np.zeros(len(days), np.float32)
    aged = 0.5 ** ((np.nanmax(days) - days) / FRESH_HALF_LIFE_DAYS)
    return np.nan_to_num(aged).astype(np.float32)
