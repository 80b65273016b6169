"""Reptile: the start moves toward where listings end after fine-tuning on all their customers.

    θ ← θ + ε mean_c (θ_c − θ)

θ_c is what the inner loop of `inner` makes of listing c from θ, with all that is known of it and
at a fixed rate: there is no query and no gradient of an outer loss. Only how much a listing's
change counts in the scorer's units is fitted on the query afterwards, as for every learner.

Source: Nichol, Achiam and Schulman (2018).
"""

from collections.abc import Sequence
from typing import ClassVar, Final

import torch
from torch import Tensor, nn

from coldstart_models.siamese.learners.demand import Demand
from coldstart_models.siamese.learners.evidence import Evidence
from coldstart_models.siamese.learners.inner import Start, moved, slope_along
from coldstart_models.siamese.learners.learner import FastWeights, Learner
from coldstart_models.siamese.learners.outer import descend
from coldstart_models.siamese.learners.rehearsal import Rehearsal, launched
from coldstart_models.siamese.learners.space import AXES
from coldstart_models.siamese.learners.trust import Trust

RATE: Final = 0.2
OUTER_RATE: Final = 0.3
ROUNDS: Final = 20
INITIAL_SCALE: Final = 0.1


class Reptile(Learner):
    """Starts that fine-tuning leaves soonest."""

    name: ClassVar[str] = "reptile"
    expected: Tensor
    gates: Tensor

    def __init__(self, modalities: int) -> None:
        super().__init__()
        self.register_buffer("expected", torch.zeros(modalities, AXES))
        self.register_buffer("gates", torch.ones(modalities, AXES))
        self.scales = nn.Parameter(torch.full((modalities,), INITIAL_SCALE))
        self.trust = Trust()
        self.demand = Demand(modalities)

    def learn(self, rehearsals: Sequence[Rehearsal]) -> None:
        for rehearsal in [*rehearsals] * ROUNDS:
            self.approach(rehearsal.evidence)
        self.demand.standardise(launched(rehearsals))
        descend(self, rehearsals)

    def approach(self, evidence: Evidence) -> None:
        """One outer step: toward the mean of the listings' fine-tuned weights."""
        ended = self.fine_tuned(evidence)
        told = (evidence.known > 0)[..., None].float()
        share = told.sum(dim=0) / max(1, len(evidence))
        for name, values in (("expected", ended.expected), ("gates", ended.gates)):
            now: Tensor = getattr(self, name)
            mean = (values * told).sum(dim=0) / told.sum(dim=0).clamp_min(1.0)
            setattr(self, name, now + OUTER_RATE * share * (mean - now))

    def fine_tuned(self, evidence: Evidence) -> Start:
        """a and g of each listing after the inner loop: (C, M, R)."""
        rates = torch.full_like(evidence.known, RATE)
        slope = slope_along(self._start, evidence, rates=rates, body=True)
        rate = rates[..., None]
        return Start(self.expected - rate * slope.expected, self.gates - rate * slope.gates)

    def step(self, evidence: Evidence) -> FastWeights:
        rates = RATE * self.trust(evidence.known)
        slope = slope_along(self._start, evidence, rates=rates, body=True)
        vectors = self.scales[:, None] * moved(self._start, slope, evidence, rates)
        return FastWeights(vectors, self.demand(evidence))

    def floored(self) -> list[nn.Parameter]:
        return [self.scales, *self.demand.floored()]

    def penalty(self) -> Tensor:
        return self.demand.penalty() + self.trust.penalty()

    @property
    def _start(self) -> Start:
        return Start(self.expected, self.gates)
