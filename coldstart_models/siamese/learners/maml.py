"""First-order MAML, and ANIL: the start and the step sizes of the inner loop are meta-learned.

Where every listing begins (a, g), the inner step sizes α (one a modality) and the trust κ are what
the outer loop learns, by the gradient of the query loss at the adapted
parameters, with the inner loop's own gradients taken as constants:

    θ' = θ − α √(k / (k + κ)) Σ_t ∇L(θ_t)
    ∂L_query/∂θ ≈ ∂L_query(θ')/∂θ' · ∂θ'/∂θ |_{∇L const}

In ANIL only the head moves within a listing; a and g are reused. The bias is that of `demand`.

Sources: MAML and its first-order form (Finn et al., ICML 2017), learned step sizes (Meta-SGD, Li et
al., 2017), ANIL (Raghu et al., ICLR 2020).
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

INITIAL_RATE: Final = 0.2
INITIAL_SCALE: Final = 0.1
"""From the log-odds of the support loss to the scorer's units."""
RIDGE: Final = 0.01
"""Of a start that leaves zero expectations and open gates."""


class FirstOrderMaml(Learner):
    """Every parameter of a listing adapts."""

    name: ClassVar[str] = "maml"
    body: ClassVar[bool] = True

    def __init__(self, modalities: int) -> None:
        super().__init__()
        self.expected = nn.Parameter(torch.zeros(modalities, AXES))
        self.gates = nn.Parameter(torch.ones(modalities, AXES))
        self.log_rates = nn.Parameter(torch.full((modalities,), INITIAL_RATE).log())
        self.scales = nn.Parameter(torch.full((modalities,), INITIAL_SCALE))
        self.trust = Trust()
        self.demand = Demand(modalities)

    def learn(self, rehearsals: Sequence[Rehearsal]) -> None:
        self.demand.standardise(launched(rehearsals))
        descend(self, rehearsals)

    def step(self, evidence: Evidence) -> FastWeights:
        start = Start(self.expected, self.gates)
        rates = self.log_rates.exp() * self.trust(evidence.known)
        slope = slope_along(start, evidence, rates=rates, body=self.body)
        vectors = self.scales[:, None] * moved(start, slope, evidence, rates)
        return FastWeights(vectors, self.demand(evidence))

    def floored(self) -> list[nn.Parameter]:
        return [self.scales, *self.demand.floored()]

    def penalty(self) -> Tensor:
        gates = (self.gates - 1.0).square().mean() + self.expected.square().mean()
        return self.demand.penalty() + self.trust.penalty() + RIDGE * gates


class Anil(FirstOrderMaml):
    """The head alone adapts."""

    name: ClassVar[str] = "anil"
    body: ClassVar[bool] = False
