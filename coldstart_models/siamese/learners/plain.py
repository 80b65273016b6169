"""Baselines: no adaptation, plain fine-tuning, a smoothed rate, the first customers' neighbours."""

from collections.abc import Sequence
from typing import ClassVar, Final

import torch
from torch import Tensor, nn

from coldstart_models.siamese.learners.evidence import Evidence
from coldstart_models.siamese.learners.learner import FastWeights, Learner
from coldstart_models.siamese.learners.outer import descend
from coldstart_models.siamese.learners.rehearsal import Rehearsal

FINE_TUNING_RATE: Final = 0.1
FINE_TUNING_STEPS: Final = 5
PRIOR_CUSTOMERS: Final = 5.0
"""Strength of the rate's prior before it is learned."""
INITIAL_SCALE: Final = 0.1


class NoAdaptation(Learner):
    """Leaves every listing as its content says."""

    name: ClassVar[str] = "none"
    guarded: ClassVar[bool] = False

    def step(self, evidence: Evidence) -> FastWeights:
        return FastWeights.nothing(evidence)


class FineTuning(Learner):
    """Gradient descent on a listing's own support from zero, at a fixed rate: nothing is learned
    across listings.

        L(v, b) = ½|v|² − <v, ψ̄> + ½(b − z)²

    as in `inner`; a fixed factor turns the vector's log-odds into the scorer's units.
    """

    name: ClassVar[str] = "fine-tuning"
    guarded: ClassVar[bool] = False

    def step(self, evidence: Evidence) -> FastWeights:
        vectors = torch.zeros_like(evidence.profile)
        bias, pace = torch.zeros_like(evidence.customers), evidence.pace[:, 0]
        for _ in range(FINE_TUNING_STEPS):
            known = (evidence.known > 0)[..., None]
            vectors = vectors - FINE_TUNING_RATE * (vectors - evidence.profile) * known
            bias = bias - FINE_TUNING_RATE * (bias - pace) * (pace != 0)
        return FastWeights(INITIAL_SCALE * vectors, bias)


class SmoothedRate(Learner):
    """The click-through prior where there are no impressions: customers among all that the shop
    sold meanwhile, smoothed.

    A listing's rate over the usual one after as many customers has a Gamma(α, α) prior, so after
    k − 1 further customers in a span T, in units of the usual span for as many,

        E[rate] = (α + k − 1) / (α + (k − 1) T),        b = η log E[rate]

    (empirical Bayes after Gamma-Poisson smoothing, e.g. Wang et al., WWW 2011, on click-through
    rates). α and η are learned on rehearsals. It says nothing of a single person.
    """

    name: ClassVar[str] = "smoothed-rate"
    guarded: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.log_prior = nn.Parameter(torch.tensor(PRIOR_CUSTOMERS).log())
        self.scale = nn.Parameter(torch.tensor(1.0))

    def learn(self, rehearsals: Sequence[Rehearsal]) -> None:
        descend(self, rehearsals)

    def floored(self) -> list[nn.Parameter]:
        return [self.scale]

    def step(self, evidence: Evidence) -> FastWeights:
        further = (evidence.customers - 1.0).clamp_min(0.0)
        prior = self.log_prior.exp()
        rate = (prior + further) / (prior + further * evidence.relative_span)
        told = evidence.pace[:, 0] != 0
        bias = torch.where(told, self.scale * rate.log(), torch.zeros_like(rate))
        return FastWeights(torch.zeros_like(evidence.profile), bias)


class FirstBuyerNeighbours(Learner):
    """A person's likeness to the first customers, blended in as it is, however few they are.

        <ψ_u, v> = η Σ_m corr_u(p_u, p̄_s)         the correlation with their average profile

    over users, in every modality; η is learned on rehearsals.
    """

    name: ClassVar[str] = "neighbours"
    guarded: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(INITIAL_SCALE))

    def learn(self, rehearsals: Sequence[Rehearsal]) -> None:
        descend(self, rehearsals)

    def floored(self) -> list[nn.Parameter]:
        return [self.scale]

    def step(self, evidence: Evidence) -> FastWeights:
        vectors = self.scale * unit_effect(evidence.profile * evidence.variance)
        return FastWeights(vectors, torch.zeros_like(evidence.customers))


def unit_effect(vectors: Tensor) -> Tensor:
    """Vectors (C, M, R) at the length where <ψ_u, v> has unit variance over users; zero stays."""
    length: Tensor = vectors.norm(dim=2, keepdim=True)
    return vectors / length.clamp_min(1e-12)
