"""A plain use of listing dates: the best kNN ensemble, and how early in the pool a listing came.

In a pooled set of new listings whoever came first had longest to be chosen. What a model gains by
dates is beyond this only where it knows more of them than their order.
"""

from typing import Final

import numpy as np

from coldstart_models.data.catalogue import FloatMatrix, IntArray
from coldstart_models.data.episodes import first_available_us
from coldstart_models.models import CONTENT_KNN
from coldstart_models.peers.content import Space, content_spaces
from coldstart_models.peers.neighbours import ContentNeighbours, member_scores
from coldstart_models.peers.selection import standardized, validation_task
from coldstart_models.ranker import RankingTask, TrainingSet
from coldstart_models.siamese.dates import early_ranks

WEIGHTS: Final = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
"""Of the standardised rank, beside standardised scores."""


class DatedNeighbours:
    """`Ranker`: the z-score of `content-knn` and w times that of being early.

    w is chosen where the ensemble's members are, on the launches of the validation cut.
    """

    name = f"{CONTENT_KNN}+date"

    def __init__(self, *, by_time: bool = True) -> None:
        """
        Args:
            by_time: which validation cut.
        """
        self.weight = 0.0
        self._by_time = by_time
        self._neighbours = ContentNeighbours(CONTENT_KNN, spaces=tuple(Space), by_time=by_time)

    def fit(self, training: TrainingSet, *, seed: int) -> None:
        """Choose the ensemble, then the weight of the date beside it."""
        self._neighbours.fit(training, seed=seed)
        self._first_us = first_available_us(training)
        validation = validation_task(training, by_time=self._by_time, seed=seed)
        if validation is None:
            return
        past, task = validation.training, validation.task
        members = self._neighbours.members
        spaces = list(dict.fromkeys(member.space for member in members))
        content = content_spaces(past.catalogue, warm=past.warm, spaces=spaces)
        plain = standardized(np.sum(member_scores(content, members, task), axis=0))
        early = _early(first_available_us(past), task)
        reached = [validation.ndcg(plain + weight * early) for weight in WEIGHTS]
        self.weight = WEIGHTS[int(np.argmax(reached))]

    def score(self, task: RankingTask) -> FloatMatrix:
        """(U, C)"""
        plain = standardized(self._neighbours.score(task))
        return np.asarray(plain + self.weight * _early(self._first_us, task), np.float32)


def _early(first_us: IntArray, task: RankingTask) -> FloatMatrix:
    """(C,): how early each candidate was offered, among the candidates."""
    offered = first_us[task.candidates]
    return early_ranks(offered, offered).astype(np.float32)
