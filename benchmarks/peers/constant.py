"""The null of a boost: every candidate alike."""

import numpy as np

from coldstart_models.data.catalogue import FloatMatrix
from coldstart_models.ranker import RankingTask, TrainingSet


class ConstantRanker:
    """`Ranker`: what adding a constant to every new item's score does among new items: nothing.

    Its AUC within the cold pool is one half by construction, however often a boost would put
    new items before old ones; its rankings are the order of the item ids.
    """

    name = "constant"

    def fit(self, training: TrainingSet, *, seed: int) -> None:
        """There is nothing to learn."""

    def score(self, task: RankingTask) -> FloatMatrix:
        """(U, C) zeros."""
        return np.zeros((len(task.user_index), len(task.candidates)), np.float32)
