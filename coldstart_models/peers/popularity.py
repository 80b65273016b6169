"""Popularity for items without any: that of the warm items most like them."""

from typing import Final

import numpy as np

from coldstart_models.data.catalogue import FloatMatrix, IntArray
from coldstart_models.metrics import FloatArray
from coldstart_models.peers.content import ContentVectors, content_spaces
from coldstart_models.peers.selection import standardized, validation_task
from coldstart_models.ranker import RankingTask, TrainingSet

NEIGHBOURS: Final = (3, 5, 10, 20, 50)
DEFAULT_NEIGHBOURS: Final = 20
BLOCK: Final = 512


class PopularityRanker:
    """The same ranking for everybody.

    A warm item's score is log(1 + its distinct users); a cold one's is the mean of that
    over its nearest warm items, by the cosines of all content both have, standardized.
    How many neighbours is chosen on a validation cut inside the training period.
    """

    name = "popularity"

    def __init__(self, *, by_time: bool = True) -> None:
        self._by_time = by_time
        self.neighbours = DEFAULT_NEIGHBOURS

    def fit(self, training: TrainingSet, *, seed: int) -> None:
        validation = validation_task(training, by_time=self._by_time, seed=seed)
        if validation is not None:
            predicted = predicted_popularity(validation.training, neighbours=NEIGHBOURS)
            shape = validation.chosen.shape
            values = [
                validation.ndcg(np.broadcast_to(one[validation.task.candidates], shape))
                for one in predicted
            ]
            self.neighbours = NEIGHBOURS[int(np.argmax(values))]
        self._popularity = predicted_popularity(training, neighbours=(self.neighbours,))[0]

    def score(self, task: RankingTask) -> FloatMatrix:
        """(U, C), every row alike."""
        scores = self._popularity[task.candidates]
        return np.tile(scores, (len(task.user_index), 1)).astype(np.float32)


def predicted_popularity(
    training: TrainingSet, *, neighbours: tuple[int, ...]
) -> list[FloatMatrix]:
    """(N,) log-popularity of every item for each number of neighbours, own where warm."""
    own = np.log1p(training.interactions.item_users()).astype(np.float32)
    warm = np.flatnonzero(training.warm)
    cold = np.flatnonzero(~training.warm)
    spaces = list(content_spaces(training.catalogue, warm=training.warm).values())
    predicted = [own.copy() for _ in neighbours]
    for start in range(0, len(cold), BLOCK):
        block = cold[start : start + BLOCK]
        nearest = warm[_nearest(spaces, block, warm)]  # (B, W), nearest first
        for values, count in zip(predicted, neighbours, strict=True):
            values[block] = own[nearest[:, :count]].mean(axis=1)
    return predicted


def _nearest(spaces: list[ContentVectors], block: IntArray, warm: IntArray) -> IntArray:
    """(B, W) columns of the warm items by mean standardized cosine, nearest first."""
    total: FloatArray = np.zeros((len(block), len(warm)))
    for content in spaces:
        alike = standardized(content.similarity(block, warm), content.present[warm])
        total += np.where(content.present[block][:, None], alike, 0.0)
    return np.asarray(np.argsort(-total, axis=1, kind="stable"), dtype=np.int64)
