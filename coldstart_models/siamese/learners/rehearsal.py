"""Rehearsals: episodes with support on a scorer that stands still, for learners to learn on.

What the scorer says without support is computed once; then a learner's step costs a product of
small matrices, so that learners can be compared on many shots and cohorts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from coldstart_models.metrics import ndcg_of_each
from coldstart_models.siamese.learners.evidence import Evidence
from coldstart_models.siamese.learners.learner import FastWeights


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
        return float(self.ndcg_of_each(weights).mean())

    @torch.no_grad()
    def ndcg_of_each(self, weights: FastWeights | None = None) -> npt.NDArray[np.float64]:
        """(U,): NDCG@10 of every user, as for the mean."""
        scores = self.scores if weights is None else self.adapted(weights)
        return ndcg_of_each(scores.numpy(), self.chosen.numpy())


def launched(rehearsals: Sequence[Rehearsal]) -> list[Evidence]:
    """The evidence of the rehearsals whose listings are such as will be adapted."""
    return [each.evidence for each in rehearsals if each.launches]
