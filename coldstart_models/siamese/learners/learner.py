"""The one interface: adapt(support) → fast weights, a small vector and a bias a listing.

    y'(u, c) = y(u, c) + <ψ_u, v_c> + b_c

Both are zero for a listing without support, so every warm item is scored as before. They are all
that the `item_adaptation` feature and the service know: whichever learner made them, a listing is
adapted by one call and a score explains itself by sums over the history.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

import torch
from torch import Tensor, nn

from coldstart_models.siamese.learners.evidence import Evidence
from coldstart_models.siamese.population import Population
from coldstart_models.siamese.scorer import Profiles

if TYPE_CHECKING:
    from coldstart_models.siamese.learners.rehearsal import Rehearsal

INITIAL_TRUST: Final = 10.0
"""Customers at which an adaptation counts 1/√2 of what it would with endlessly many."""


@dataclass(frozen=True, slots=True)
class FastWeights:
    """What is changed about C listings."""

    vectors: Tensor
    """(C, M, R): v, in the learners' space."""
    bias: Tensor
    """(C,): b."""

    @classmethod
    def nothing(cls, evidence: Evidence) -> "FastWeights":
        return cls(torch.zeros_like(evidence.profile), torch.zeros_like(evidence.pace))

    def effect(self, users: Tensor) -> Tensor:
        """(B, C): what they add to the scores of users (B, M, R)."""
        return users.flatten(1) @ self.vectors.flatten(1).T + self.bias


class Learner(nn.Module, ABC):
    """Adapts listings to their first customers."""

    name: ClassVar[str]
    meaning: ClassVar[str]

    @abstractmethod
    def adapt(self, evidence: Evidence) -> FastWeights:
        """Fast weights of the listings; zero for those without support."""

    def learn(self, rehearsals: Sequence["Rehearsal"]) -> None:
        """What is learned across listings, in place; by default nothing is."""
        del rehearsals


class Trust(nn.Module):
    """√(k / (k + κ)): rises with the number of customers from 0, whatever κ > 0 was learned."""

    def __init__(self, initial: float = INITIAL_TRUST) -> None:
        super().__init__()
        self.log_trust = nn.Parameter(torch.tensor(initial).log())

    def forward(self, count: Tensor) -> Tensor:
        """Of numbers of customers, in their shape."""
        shares = count / (count + self.log_trust.exp())
        return torch.where(count > 0, shares.clamp_min(1e-12).sqrt(), torch.zeros_like(shares))


def effect(users: Profiles, deltas: dict[str, Tensor], population: Population) -> Tensor:
    """(B, C): what deltas (modality → (C, D_m)) of C items add to the scores of B users."""
    total = torch.zeros(())
    for name, values in deltas.items():
        centred = (users.values[name] - population.mean[name]) * users.present[name][:, None]
        total = total + centred @ values.T
    return total
