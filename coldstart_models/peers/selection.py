"""Choices that peers make, on a validation cut inside the training period alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from coldstart_models.data.catalogue import BoolArray, FloatMatrix, IntArray
from coldstart_models.data.splits import validation_split
from coldstart_models.metrics import NDCG, USER_METRICS, user_metrics
from coldstart_models.ranker import RankingTask, TrainingSet

MAX_SCORES: Final = 1_000_000
"""Users × candidates of a validation task; users beyond it are left out by lot."""
MAX_USERS: Final = 1_000


@dataclass(frozen=True, slots=True)
class ValidationTask:
    """A cold-start problem of the past whose answer is known."""

    training: TrainingSet
    """What could be learned before it."""
    task: RankingTask
    chosen: BoolArray
    """(U, C)"""
    item_ids: npt.NDArray[np.object_]
    """(C,)"""
    launches: bool
    """Whether the candidates are the newest listings, not some that were held out."""

    def ndcg(self, scores: FloatMatrix) -> float:
        """Mean NDCG@10 of (U, C) scores."""
        values = user_metrics(scores, self.chosen, self.item_ids).values
        return float(values[:, USER_METRICS.index(NDCG)].mean())


def validation_task(
    training: TrainingSet, *, by_time: bool, seed: int, ranked_alone: bool = False
) -> ValidationTask | None:
    """The problem to choose on, or None where the training set is too small for one.

    Args:
        ranked_alone: as of `validation_split`.
    """
    split = validation_split(training, by_time=by_time, seed=seed, ranked_alone=ranked_alone)
    candidates = np.flatnonzero(split.cold)
    chosen = split.truth.matrix()[:, candidates]
    has_history = split.training.matrix().getnnz(axis=1) > 0
    users = np.flatnonzero(has_history & (chosen.getnnz(axis=1) > 0))
    users = drawn_users(users, candidates=len(candidates), lot=[seed, 29])
    if not len(users):
        return None
    return ValidationTask(
        training=replace(training, interactions=split.training, warm=split.warm),
        task=RankingTask(users, split.training.histories(users), candidates),
        chosen=np.asarray(chosen[users].toarray() > 0),
        item_ids=training.catalogue.item_ids[candidates],
        launches=not split.seeded,
    )


def drawn_users(users: IntArray, *, candidates: int, lot: Sequence[int]) -> IntArray:
    """Those of a validation task, ascending: all, or as many by lot as it may have.

    Args:
        lot: the seed of what is drawn.
    """
    limit = min(MAX_USERS, MAX_SCORES // max(1, candidates))
    if len(users) <= limit:
        return users
    return np.sort(np.random.default_rng(lot).permutation(users)[:limit])


def standardized(scores: FloatMatrix, present: BoolArray | None = None) -> FloatMatrix:
    """(U, C) z-scores of each user over the candidates.

    Candidates that are not `present` (C,) get 0, the mean; so does a user whose scores
    are all alike.
    """
    known = np.ones(scores.shape[1], bool) if present is None else present
    if not known.any():
        return np.zeros_like(scores)
    mean = scores[:, known].mean(axis=1, keepdims=True)
    deviation = scores[:, known].std(axis=1, keepdims=True)
    varied = deviation > 1e-5 * (1.0 + np.abs(mean))
    z = np.where(varied & known, (scores - mean) / np.where(varied, deviation, 1.0), 0.0)
    return np.asarray(z, dtype=np.float32)


def greedy_ensemble(
    members: Sequence[FloatMatrix], validation: ValidationTask, *, limit: int
) -> list[int]:
    """Which score matrices (each standardized, (U, C)) to sum, best first.

    Forward selection on NDCG@10: the best one, then each time the one whose addition
    helps most, until none does or `limit` are chosen (Caruana et al., 2004, without
    repeats).
    """
    chosen: list[int] = []
    total = np.zeros_like(members[0])
    best = -np.inf
    while len(chosen) < min(limit, len(members)):
        left = [index for index in range(len(members)) if index not in chosen]
        values = [validation.ndcg(total + members[index]) for index in left]
        if max(values) <= best:
            break
        best = max(values)
        chosen.append(left[int(np.argmax(values))])
        total = total + members[chosen[-1]]
    return chosen
