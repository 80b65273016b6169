"""How much a listing is wanted: the bias that its first customers give it, for everybody.

The scorer ranks by an expectation of its own: how popular content like the listing's has been, and
how near it is to everybody's average profile, which lifts it in every ranking. What is seen takes
the place of what was expected as customers come. With x_c the paces (see `pace`), e_c the
expectations, all standardised over launches, a normal prior around η e_c and the n = k − 1 times
between k customers observed,

    b_c = √(n / (n + κ)) · ( Σ_j β_j x_cj − Σ_j η_j e_cj ),        β, η ≥ 0

is the posterior's shift from what the scorer already gives it: none by a single customer, who has
no pace, nor where nothing tells when customers came, so that what was expected stands. β, η and κ
are learned on rehearsals, the weights drawn to zero and κ to where it starts: launches are few, and
a fast start says more of the weeks that a rehearsal spans than of the months that follow.
"""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn

from coldstart_models.siamese.learners.evidence import Evidence
from coldstart_models.siamese.learners.trust import Trust

INITIAL_PACE: Final = (1.5, 1.0)
INITIAL_SHRINKAGE: Final = (0.2, 0.2)
RIDGE: Final = 0.002
LEAST_DEVIATION: Final = 1e-6


class Demand(nn.Module):
    """A bias from the pace of the customers, less what was expected."""

    crowd_mean: Tensor
    crowd_deviation: Tensor
    expected_mean: Tensor
    expected_deviation: Tensor

    def __init__(self, modalities: int) -> None:
        super().__init__()
        self.pace = nn.Parameter(torch.tensor(INITIAL_PACE))
        self.shrinkage = nn.Parameter(torch.tensor(INITIAL_SHRINKAGE))
        self.trust = Trust()
        self.register_buffer("crowd_mean", torch.zeros(modalities))
        self.register_buffer("crowd_deviation", torch.zeros(modalities))  # 0: nothing is known
        self.register_buffer("expected_mean", torch.zeros(2))
        self.register_buffer("expected_deviation", torch.zeros(2))

    def standardise(self, listings: Sequence[Evidence]) -> None:
        """Learn the mean and deviation of the expectations of these listings."""
        if not listings:
            return
        crowd = torch.cat([each.crowd for each in listings])
        self.crowd_mean = crowd.mean(dim=0)
        self.crowd_deviation = crowd.std(dim=0, correction=0)
        expected = torch.cat([self._raw(each) for each in listings])
        self.expected_mean = expected.mean(dim=0)
        self.expected_deviation = expected.std(dim=0, correction=0)

    def forward(self, evidence: Evidence) -> Tensor:
        """(C,): b."""
        expected = _over(self._raw(evidence) - self.expected_mean, self.expected_deviation)
        seen = evidence.pace @ self.pace
        shift: Tensor = seen - expected @ self.shrinkage
        observed = (evidence.customers - 1).clamp_min(0) * (evidence.pace != 0).any(dim=1)
        trust: Tensor = self.trust(observed)
        return trust * shift

    def floored(self) -> list[nn.Parameter]:
        """Weights that may not be below zero."""
        return [self.pace, self.shrinkage]

    def penalty(self) -> Tensor:
        """Of weights far from zero and trust far from its start."""
        weights = self.pace.square().sum() + self.shrinkage.square().sum()
        return RIDGE * weights + self.trust.penalty()

    def _raw(self, evidence: Evidence) -> Tensor:
        """(C, 2): nearness to the crowd over all modalities, and the prior."""
        near = _over(evidence.crowd - self.crowd_mean, self.crowd_deviation).sum(dim=1)
        return torch.stack([near, evidence.prior], dim=1)


def _over(values: Tensor, deviation: Tensor) -> Tensor:
    """Values over their deviation; zero where they do not differ."""
    known = deviation > LEAST_DEVIATION
    return torch.where(known, values / torch.where(known, deviation, 1.0), 0.0)
