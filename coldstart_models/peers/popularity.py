"""Popularity for items without any: that of the warm items most like them."""

from typing import Final

import numpy as np

from coldstart_models.data.catalogue import FloatMatrix, IntArray
from coldstart_models.peers.content import ContentVectors, content_spaces
from coldstart_models.peers.selection import standardized
from coldstart_models.ranker import RankingTask, TrainingSet

NEIGHBOURS: Final = 10
BLOCK: Final = 512


class PopularityRanker:
    """The same ranking for everybody.

    A warm item's score is log(1 + its distinct users); a cold one's is the mean of that
    over its nearest warm items, weighted by similarity: the mean, over all content both
    have, of their cosines standardized over the warm items.
    """

    name = "popularity"

    def __init__(self, *, neighbours: int = NEIGHBOURS) -> None:
        self._neighbours = neighbours

    def fit(self, training: TrainingSet, *, seed: int) -> None:
        """Count the warm items' users. The seed has no influence."""
        self._popularity = np.log1p(training.interactions.item_users()).astype(np.float32)
        self._warm = np.flatnonzero(training.warm)
        self._unknown = ~training.warm
        self._spaces = list(content_spaces(training.catalogue, warm=training.warm).values())

    def score(self, task: RankingTask) -> FloatMatrix:
        """(U, C), every row alike."""
        self._predict(task.candidates[self._unknown[task.candidates]])
        scores = self._popularity[task.candidates]
        return np.tile(scores, (len(task.user_index), 1)).astype(np.float32)

    def _predict(self, cold: IntArray) -> None:
        """Learn the popularity of these cold items from their nearest warm ones."""
        own = self._popularity[self._warm]
        for start in range(0, len(cold), BLOCK):
            block = cold[start : start + BLOCK]
            alike = similarity(self._spaces, block, self._warm)
            nearest = np.argsort(-alike, axis=1, kind="stable")[:, : self._neighbours]
            weights = np.maximum(np.take_along_axis(alike, nearest, axis=1), 1e-6)
            self._popularity[block] = (own[nearest] * weights).sum(axis=1) / weights.sum(axis=1)
        self._unknown[cold] = False


def similarity(spaces: list[ContentVectors], rows: IntArray, columns: IntArray) -> FloatMatrix:
    """(R, C) mean of the standardized cosines over the content that a row's item has."""
    total = np.zeros((len(rows), len(columns)), np.float32)
    counts = np.zeros((len(rows), 1), np.float32)
    for content in spaces:
        known = content.present[rows][:, None]
        alike = standardized(content.similarity(rows, columns), content.present[columns])
        total += np.where(known, alike, 0.0)
        counts += known
    return np.asarray(total / np.maximum(counts, 1.0), dtype=np.float32)
