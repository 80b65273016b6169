"""Small cold-start problems of a shop: who chose one of some contents that nobody knew before."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from coldstart_models.data.catalogue import BoolArray, FloatMatrix, IntArray
from coldstart_models.general.corpus import Corpus

WINDOW: Final = 30
"""Choices of a user before and after the new one that make up its history: what was chosen at
about the same time goes together more than what a household buys in a year."""


@dataclass(frozen=True, slots=True)
class Problem:
    """B users who each chose one of C new contents."""

    histories: IntArray
    """(B, H) contents, -1 pads; none of the candidates."""
    candidates: IntArray
    """(C,) ascending."""
    target: IntArray
    """(B,) columns."""
    barred: BoolArray
    """(B, C): other candidates that the user chose as well, which are no negatives."""


class Problems:
    """Draws problems whose new contents come from some of a shop's contents.

    Half of the candidates are drawn evenly, the other half are the nearest of those in the first
    modality, so that they are hard to tell apart. The users to rank for are drawn candidate by
    candidate: how popular a content was says nothing of what goes with it.
    """

    def __init__(self, corpus: Corpus, new: BoolArray, known: BoolArray) -> None:
        """
        Args:
            new: (N,) contents that may be candidates.
            known: (N,) contents that may be in a history.
        """
        self.corpus, self.known = corpus, known
        self.near: FloatMatrix = next(iter(corpus.values.values()))
        order = np.argsort(corpus.content, kind="stable")
        self._pairs_of = order
        self._bounds = np.searchsorted(corpus.content[order], np.arange(corpus.num_contents + 1))
        self.eligible = np.flatnonzero(new & (np.diff(self._bounds) > 0))

    def draw(self, generator: np.random.Generator, *, users: int, candidates: int) -> Problem:
        """One problem of up to so many users and candidates."""
        pool = self._pool(generator, candidates)
        columns = generator.integers(0, len(pool), size=users)
        starts, ends = self._bounds[pool[columns]], self._bounds[pool[columns] + 1]
        rows = self._pairs_of[starts + (generator.random(users) * (ends - starts)).astype(np.int64)]
        histories = np.full((users, 2 * WINDOW), -1, np.int64)
        barred = np.zeros((users, len(pool)), bool)
        usable = self.known.copy()
        usable[pool] = False
        column_of = np.full(self.corpus.num_contents, -1, np.int64)
        column_of[pool] = np.arange(len(pool))
        for place, row in enumerate(rows):
            user = self.corpus.user[row]
            low, high = self.corpus.bounds[user], self.corpus.bounds[user + 1]
            around = self.corpus.content[max(low, row - WINDOW) : min(high, row + WINDOW)]
            around = around[usable[around]]
            histories[place, : len(around)] = around
            also = column_of[self.corpus.content[low:high]]
            barred[place, also[also >= 0]] = True
        barred[np.arange(users), columns] = False
        told = np.flatnonzero(histories[:, 0] >= 0)
        return Problem(histories[told], pool, columns[told], barred[told])

    def _pool(self, generator: np.random.Generator, size: int) -> IntArray:
        """Candidates, ascending; at most a third of all, so that histories keep most."""
        size = min(size, max(2, len(self.eligible) // 3))
        seeds = generator.choice(self.eligible, size=size // 2, replace=False)
        near = self.near[seeds] @ self.near[self.eligible].T
        near[np.searchsorted(self.eligible, seeds)[:, None] == np.arange(len(self.eligible))] = -2.0
        return np.union1d(seeds, self.eligible[near.argmax(axis=1)])
