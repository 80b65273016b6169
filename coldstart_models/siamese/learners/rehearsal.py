"""Rehearsals: episodes with support on a scorer that stands still, for learners to learn on.

What the scorer says without support is computed once; then a learner's step costs a product of
small matrices, so that learners can be compared on many shots and cohorts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from coldstart_models.siamese.learners.evidence import Evidence
from coldstart_models.siamese.learners.learner import FastWeights

DEPTH: Final = 10


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """U users rank C listings whose first customers are known."""

    shots: int
    """First customers of each listing."""
    scores: Tensor
    """(U, C): without support; very low where a pair may not be ranked."""
    users: Tensor
    """(U, M, R): ψ."""
    evidence: Evidence
    chosen: Tensor
    """(U, C) bool: the query; at least one a row."""
    launches: bool = True
    """Whether the listings are such as will be adapted, so that how their customers came says
    what it will say; not so where everything of a kind is taken as new."""

    def adapted(self, weights: FastWeights) -> Tensor:
        """(U, C): scores with what support adds."""
        return self.scores + weights.effect(self.users)

    def ndcg(self, weights: FastWeights | None = None) -> float:
        """Mean NDCG@10 over users, without support where no weights are given."""
        scores = self.scores if weights is None else self.adapted(weights)
        return mean_ndcg(scores, self.chosen)


@torch.no_grad()
def mean_ndcg(scores: Tensor, chosen: Tensor) -> float:
    """Mean NDCG@10 of scores (U, C) on chosen (U, C) bool."""
    depth = min(DEPTH, scores.shape[1])
    best = torch.topk(scores, depth, dim=1).indices.numpy()
    truth = chosen.numpy()
    discount = 1.0 / np.log2(np.arange(2, depth + 2))
    gains = (np.take_along_axis(truth, best, axis=1) * discount).sum(axis=1)
    ideal = np.cumsum(discount)[np.minimum(truth.sum(axis=1), depth) - 1]
    return float((gains / ideal).mean())


def launched(rehearsals: Sequence[Rehearsal]) -> list[Evidence]:
    """The evidence of the rehearsals whose listings are such as will be adapted."""
    return [each.evidence for each in rehearsals if each.launches]
