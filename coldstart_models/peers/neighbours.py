"""Content neighbours: a candidate is as good as it is like what the user chose before."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy import sparse

from coldstart_models.data.catalogue import FloatMatrix, IntArray
from coldstart_models.data.interactions import Histories
from coldstart_models.peers.content import ContentVectors, Space, content_spaces
from coldstart_models.peers.selection import greedy_ensemble, standardized, validation_task
from coldstart_models.ranker import RankingTask, TrainingSet

BLOCK: Final = 2_048
"""Candidates whose similarities to all history items are held at once."""
MAX_MEMBERS: Final = 6

Aggregation = Callable[[FloatMatrix, Any], FloatMatrix]


def _mean(similarity: FloatMatrix, chosen: Any) -> FloatMatrix:
    return np.asarray(chosen @ similarity, dtype=np.float32)


def _log_sum_exp(temperature: float) -> Aggregation:
    def aggregate(similarity: FloatMatrix, chosen: Any) -> FloatMatrix:
        total = chosen @ np.exp(similarity / np.float32(temperature))
        return np.asarray(temperature * np.log(np.maximum(total, 1e-30)), dtype=np.float32)

    return aggregate


def _power_sum(power: int) -> Aggregation:
    def aggregate(similarity: FloatMatrix, chosen: Any) -> FloatMatrix:
        return np.asarray(chosen @ np.maximum(similarity, 0.0) ** power, dtype=np.float32)

    return aggregate


def _best(count: int) -> Aggregation:
    def aggregate(similarity: FloatMatrix, chosen: Any) -> FloatMatrix:
        scores = np.zeros((chosen.shape[0], similarity.shape[1]), np.float32)
        for row in range(chosen.shape[0]):
            rows = chosen.indices[chosen.indptr[row] : chosen.indptr[row + 1]]
            kept = min(count, len(rows))
            if kept:
                top = np.partition(similarity[rows], len(rows) - kept, axis=0)[-kept:]
                scores[row] = top.sum(axis=0)
        return scores

    return aggregate


AGGREGATIONS: Final[dict[str, Aggregation]] = {
    "mean": _mean,
    "max": _best(1),
    "best 3": _best(3),
    "log-sum-exp 0.1": _log_sum_exp(0.1),
    "log-sum-exp 0.2": _log_sum_exp(0.2),
    "square sum": _power_sum(2),
    "cube sum": _power_sum(3),
}
"""From (R, C) similarities of R history items to C candidates and a (U, R) CSR matrix of
who chose what, to (U, C) scores; only their order within a user matters."""


DEFAULT_AGGREGATION: Final = "log-sum-exp 0.2"
"""Where the training set is too small to choose on."""


@dataclass(frozen=True, slots=True)
class Member:
    """One way of scoring: a space and how similarities to a history add up."""

    space: Space
    aggregation: str


class ContentNeighbours:
    """Item-kNN on content: the z-scored sum of the members chosen on a validation cut.

    With ``max_members=1`` it is the best single kNN of its spaces. Every distinct item of
    the history counts once. An item without content of a space is neutral there.
    """

    def __init__(
        self,
        name: str,
        *,
        spaces: tuple[Space, ...],
        max_members: int = MAX_MEMBERS,
        by_time: bool = True,
    ) -> None:
        self.name = name
        self.members: list[Member] = []
        self._spaces = spaces
        self._max_members = max_members
        self._by_time = by_time
        self._content: dict[Space, ContentVectors] = {}

    def fit(self, training: TrainingSet, *, seed: int) -> None:
        """Choose the members, then keep their spaces as of the whole training period."""
        content = content_spaces(training.catalogue, warm=training.warm, spaces=self._spaces)
        self.members = self._chosen(training, list(content), seed=seed)
        self._content = {member.space: content[member.space] for member in self.members}

    def score(self, task: RankingTask) -> FloatMatrix:
        """(U, C) sums of z-scores over the task's candidates."""
        total = np.zeros((len(task.user_index), len(task.candidates)), np.float32)
        for scores in member_scores(self._content, self.members, task):
            total += scores
        return total

    def _chosen(self, training: TrainingSet, spaces: list[Space], *, seed: int) -> list[Member]:
        """The members that rank the validation cut best; defaults where there is none."""
        validation = validation_task(training, by_time=self._by_time, seed=seed)
        if validation is None:
            return [Member(space, DEFAULT_AGGREGATION) for space in spaces][: self._max_members]
        past = validation.training
        content = content_spaces(past.catalogue, warm=past.warm, spaces=spaces)
        options = [Member(space, how) for space in content for how in AGGREGATIONS]
        scores = member_scores(content, options, validation.task)
        picked = greedy_ensemble(scores, validation, limit=self._max_members)
        return [options[index] for index in picked]


def member_scores(
    content: dict[Space, ContentVectors], members: list[Member], task: RankingTask
) -> list[FloatMatrix]:
    """(U, C) standardized scores of each member."""
    scores: dict[Member, FloatMatrix] = {}
    for space in dict.fromkeys(member.space for member in members):
        vectors = content[space]
        items, chosen = _chosen_items(task.histories, vectors)
        ways = [member for member in members if member.space == space]
        raw = {
            way: np.zeros((len(task.histories), len(task.candidates)), np.float32) for way in ways
        }
        for start in range(0, len(task.candidates), BLOCK):
            columns = slice(start, start + BLOCK)
            similarity = vectors.similarity(items, task.candidates[columns])
            for way in ways:
                raw[way][:, columns] = AGGREGATIONS[way.aggregation](similarity, chosen)
        for way in ways:
            scores[way] = standardized(raw[way], vectors.present[task.candidates])
    return [scores[member] for member in members]


def _chosen_items(histories: Histories, content: ContentVectors) -> tuple[IntArray, Any]:
    """The distinct history items that have content (R,), and who chose them, (U, R) CSR."""
    rows, places = np.nonzero(histories.item_index >= 0)
    items = histories.item_index[rows, places]
    known = content.present[items]
    distinct, columns = np.unique(items[known], return_inverse=True)
    shape = (len(histories), len(distinct))
    ones = np.ones(int(known.sum()), np.float32)
    chosen = sparse.csr_matrix((ones, (rows[known], columns)), shape=shape)
    chosen.sum_duplicates()
    chosen.data[:] = 1.0
    return distinct, chosen
