"""Warm items as tasks of meta-learning: two batches of an item's customers each."""

from dataclasses import dataclass

import numpy as np

from benchmarks.peers.latent import require_events
from coldstart_models.data.catalogue import FloatMatrix, IntArray
from coldstart_models.data.episodes import turns
from coldstart_models.data.interactions import Interactions
from coldstart_models.errors import NotEnoughData
from coldstart_models.ranker import RankingTask, Support


@dataclass(frozen=True, slots=True)
class Batch:
    """K customers of each of T items, and as many random other users."""

    users: IntArray
    """(T, K)"""
    others: IntArray
    """(T, K)"""
    weights: FloatMatrix
    """(T, K): 1, or 0 where an item has fewer customers and the place is padding."""


class ItemTasks:
    """Draws tasks: items with two customers at least, uniformly."""

    def __init__(self, interactions: Interactions, *, seed: int) -> None:
        """Raises NotEnoughData where no item has two customers."""
        require_events(interactions)
        by_item = interactions.matrix().tocsc()
        self._starts, self._users = by_item.indptr.astype(np.int64), by_item.indices
        self._items = np.flatnonzero(np.diff(self._starts) >= 2)
        if not len(self._items):
            raise NotEnoughData("no warm item has two users to learn few-shot adaptation on")
        self._people = np.unique(interactions.user_index)
        self._generator = np.random.default_rng([seed, 13])

    def drawn(self, count: int, *, size: int) -> tuple[IntArray, Batch, Batch]:
        """Items (T,), and two disjoint batches of at most `size` customers of each."""
        items = self._generator.choice(
            self._items, size=min(count, len(self._items)), replace=False
        )
        drawn = [self._generator.permutation(self._of(item))[: 2 * size] for item in items]
        return (
            items,
            self._batch([users[::2] for users in drawn], size),
            self._batch([users[1::2] for users in drawn], size),
        )

    def shots(self, count: int, *, most: int, none: float) -> IntArray:
        """(count,) support sizes from 1 to `most`, a share `none` of them 0."""
        sizes = self._generator.integers(1, most + 1, size=count)
        return np.where(self._generator.random(count) < none, 0, sizes)

    def _of(self, item: int) -> IntArray:
        return np.asarray(self._users[self._starts[item] : self._starts[item + 1]], np.int64)

    def _batch(self, drawn: list[IntArray], size: int) -> Batch:
        users = np.zeros((len(drawn), size), np.int64)
        weights = np.zeros((len(drawn), size), np.float32)
        for row, found in enumerate(drawn):
            users[row, : len(found)], weights[row, : len(found)] = found, 1.0
        return Batch(users, self._generator.choice(self._people, size=users.shape), weights)


def columns(task: RankingTask, support: Support) -> IntArray:
    """(P,) which of the task's candidates each supporter chose."""
    order = np.argsort(task.candidates)
    return np.asarray(order[np.searchsorted(task.candidates[order], support.item_index)])


def padded(owner: IntArray, users: IntArray, count: int) -> tuple[IntArray, FloatMatrix]:
    """(count, K) users of each owner, 0 where padded, and their weights, 1 or 0."""
    order = np.argsort(owner, kind="stable")
    place = turns(owner[order])
    width = int(place.max(initial=0)) + 1
    rows, weights = np.zeros((count, width), np.int64), np.zeros((count, width), np.float32)
    rows[owner[order], place], weights[owner[order], place] = users[order], 1.0
    return rows, weights
