"""Rehearsals: episodes with support on a scorer that stands still, for learners to learn on.

What the scorer says without support is computed once; then a learner's step costs a product of
small matrices, so that learners can be compared on many shots and cohorts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from coldstart_models.data.catalogue import FloatMatrix, IntArray
from coldstart_models.metrics import ndcg_of_each
from coldstart_models.siamese.doubt import Outcome
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
    listings: IntArray
    """(C,): numbers of the items."""
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
        return float(ndcg_of_each(self._ranked_by(weights), self.chosen.numpy()).mean())

    def outcome(self, weights: FastWeights | None = None) -> Outcome:
        """What the users reach."""
        return Outcome.of(self._ranked_by(weights), self.chosen.numpy(), self.listings)

    @torch.no_grad()
    def _ranked_by(self, weights: FastWeights | None) -> FloatMatrix:
        scores = self.scores if weights is None else self.adapted(weights)
        return scores.numpy()


def launched(rehearsals: Sequence[Rehearsal]) -> list[Evidence]:
    """The evidence of the rehearsals whose listings are such as will be adapted."""
    return [each.evidence for each in rehearsals if each.launches]
