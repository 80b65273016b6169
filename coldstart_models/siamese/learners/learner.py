"""The one interface: adapt(support) → fast weights, a small vector and a bias a listing.

    y'(u, c) = y(u, c) + <ψ_u, v_c> + b_c

Both are zero for a listing without support, so every warm item is scored as before. They are all
that the `item_adaptation` feature and the service know: whichever learner made them, a listing is
adapted by one call and a score explains itself by sums over the history.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from coldstart_models.siamese.learners.evidence import Evidence
from coldstart_models.siamese.scorer import Profiles

if TYPE_CHECKING:
    from coldstart_models.siamese.learners.rehearsal import Rehearsal


@dataclass(frozen=True, slots=True)
class FastWeights:
    """What is changed about C listings."""

    vectors: Tensor
    """(C, M, R): v, in the learners' space."""
    bias: Tensor
    """(C,): b."""

    @classmethod
    def nothing(cls, evidence: Evidence) -> "FastWeights":
        return cls(torch.zeros_like(evidence.profile), torch.zeros_like(evidence.customers))

    def shared(self, vectors: float, biases: float) -> "FastWeights":
        """So much of the vectors, and so much of the biases."""
        return FastWeights(self.vectors * vectors, self.bias * biases)

    def effect(self, users: Tensor) -> Tensor:
        """(B, C): what they add to the scores of users (B, M, R)."""
        return users.flatten(1) @ self.vectors.flatten(1).T + self.bias


class Learner(nn.Module, ABC):
    """Adapts listings to their first customers."""

    name: ClassVar[str]
    guarded: ClassVar[bool] = True
    """Whether validation may halve or drop its vectors or its biases, and leave few customers
    unused; baselines are as they are."""
    vector_share: Tensor
    bias_share: Tensor
    fewest: Tensor
    """Customers below which a listing is left as it was."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("vector_share", torch.ones(()))
        self.register_buffer("bias_share", torch.ones(()))
        self.register_buffer("fewest", torch.zeros(()))

    def adapt(self, evidence: Evidence) -> FastWeights:
        """Fast weights of the listings; zero for those without support."""
        weights = self.step(evidence)
        enough = (evidence.customers >= self.fewest).float()
        return FastWeights(
            weights.vectors * (self.vector_share * enough)[:, None, None],
            weights.bias * self.bias_share * enough,
        )

    @abstractmethod
    def step(self, evidence: Evidence) -> FastWeights:
        """The same before the shares that validation allows."""

    def learn(self, rehearsals: Sequence["Rehearsal"]) -> None:
        """What is learned across listings, in place; by default nothing is."""
        del rehearsals

    def floored(self) -> list[nn.Parameter]:
        """Parameters that the outer loop keeps from falling below zero."""
        return []

    def penalty(self) -> Tensor:
        """What the outer loop adds to its loss."""
        return torch.zeros(())


def effect(users: Profiles, deltas: dict[str, Tensor], mean: dict[str, Tensor]) -> Tensor:
    """(B, C): what deltas (modality → (C, D_m)) of C items add to the scores of B users.

    Args:
        mean: modality → (D_m,) of the population's profiles.
    """
    total = torch.zeros(())
    for name, values in deltas.items():
        centred = (users.values[name] - mean[name]) * users.present[name][:, None]
        total = total + centred @ values.T
    return total
