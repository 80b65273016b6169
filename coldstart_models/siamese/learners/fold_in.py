"""Bayesian fold-in: a listing's customers as a posterior, in closed form.

Whose listing c is, is the mean μ_c of its customers' ψ. What content leads to expect of it is the
prior's mean, what the k customers show is data, axis by axis and independently:

    μ_c ~ N(a ζ_c, t),      ψ_s | c ~ N(μ_c, w)
    E[μ_c | ψ_1 … ψ_k] − a ζ_c = k t / (k t + w) · (ψ̄_c − a ζ_c)

so what is learned grows with k by construction, and an axis along which listings' customers hardly
differ (small t), or differ only as content says, is hardly followed. The scorer already says what
content says, so the vector is what goes beyond it, as the log-odds of the two normals,

    v = ρ_m / w · (E[μ_c | …] − a ζ_c)

a, t and w are fitted in closed form on the rehearsals' listings (empirical Bayes); ρ, one scale
a modality, is learned. The bias is that of `demand`, a posterior as well.

It is the fold-in of implicit ALS (Hu, Koren & Volinsky, ICDM 2008) with a prior from content as in
collaborative topic regression (Wang & Blei, KDD 2011), and amortised: nothing is iterated when a
customer comes.
"""

from collections.abc import Sequence
from typing import ClassVar, Final

import torch
from torch import Tensor, nn

from coldstart_models.siamese.learners.demand import Demand
from coldstart_models.siamese.learners.evidence import Evidence
from coldstart_models.siamese.learners.learner import FastWeights, Learner
from coldstart_models.siamese.learners.outer import descend
from coldstart_models.siamese.learners.rehearsal import Rehearsal, launched
from coldstart_models.siamese.learners.space import AXES

INITIAL_SCALE: Final = 0.1
RIDGE: Final = 1.0
"""Listings with content of unit length that say nothing: they draw the map to zero."""
LEAST: Final = 0.05
"""Variance within a listing that is assumed at least; the users' own is 1."""


class BayesFoldIn(Learner):
    """The posterior mean of whose a listing is."""

    name: ClassVar[str] = "bayes"
    expected: Tensor
    between: Tensor
    within: Tensor

    def __init__(self, modalities: int) -> None:
        super().__init__()
        self.register_buffer("expected", torch.zeros(modalities, AXES))  # a
        self.register_buffer("between", torch.full((modalities, AXES), 0.1))  # t
        self.register_buffer("within", torch.ones(modalities, AXES))  # w
        self.scales = nn.Parameter(torch.full((modalities,), INITIAL_SCALE))
        self.demand = Demand(modalities)

    def learn(self, rehearsals: Sequence[Rehearsal]) -> None:
        self.fit(rehearsals)
        self.demand.standardise(launched(rehearsals))
        descend(self, rehearsals)

    def fit(self, rehearsals: Sequence[Rehearsal]) -> None:
        """a, t and w by moments over the rehearsals' listings with two or more customers."""
        some = [each.evidence for each in rehearsals if each.shots > 1]
        if not some:
            return
        count = torch.cat([each.known for each in some])[..., None]  # (C, M, 1)
        profile = torch.cat([each.profile for each in some])
        square = torch.cat([each.square for each in some])
        content = torch.cat([each.content for each in some])
        weight = count * (count > 1)
        total = weight.sum(dim=0).clamp_min(1.0)
        inside = (square - profile.square()) * count / (count - 1.0).clamp_min(1.0)
        self.within = ((inside * weight).sum(dim=0) / total).clamp_min(LEAST)
        alike, size = (profile * content * weight).sum(dim=0), (content.square() * weight).sum(0)
        self.expected = alike / (size + RIDGE * weight.amax(dim=0).clamp_min(1.0))
        beyond = (profile - self.expected * content).square() - self.within / count.clamp_min(1.0)
        self.between = ((beyond * weight).sum(dim=0) / total).clamp_min(0.0)

    def step(self, evidence: Evidence) -> FastWeights:
        count = evidence.known[..., None]
        trust = count * self.between / (count * self.between + self.within).clamp_min(1e-12)
        beyond = (evidence.profile - self.expected * evidence.content) * (count > 0)
        vectors = self.scales[:, None] / self.within * trust * beyond
        return FastWeights(vectors, self.demand(evidence))

    def floored(self) -> list[nn.Parameter]:
        return [self.scales, *self.demand.floored()]

    def penalty(self) -> Tensor:
        return self.demand.penalty()
