"""How sure a score is: a Bayesian last layer, and the chance of a choice that it gives.

A score is y = φᵀw, with φ the standardised terms and the prior, and w their weights. Around the
weights that were learned the posterior is normal (Laplace's approximation, MacKay, 1992; of the
last layer alone, Kristiadi et al., ICML 2020): its precision is that of a prior of deviation ρ and
the information of the cold-start problems that were learned on,

    Λ = I / ρ² + γ² Σ_users Σ_c p_c (φ_c − φ̄)(φ_c − φ̄)ᵀ,   p = softmax(γ y),

so the deviation of a score is σ = √(φᵀ Λ⁻¹ φ): large for listings whose terms are unlike those that
were learned from. The chance that a person's next choice from a pool is c is

    p_c ∝ exp(γ y_c / √(1 + π γ² κ σ_c² / 8))

(MacKay's moderated output). The scale γ is fitted on the problems that were learned on, and the
inflation κ on later ones, where the world may have moved: both by likelihood.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor, nn

from coldstart_models.data.catalogue import FloatMatrix

if TYPE_CHECKING:
    from coldstart_models.siamese.training import MetaSiamese, PreparedEpisode, TaskView

SPREAD: Final = 0.5
"""ρ: deviation of a weight before anything is learned."""
MOST_USERS: Final = 200
"""Of an episode, evenly taken."""
USERS_AT_ONCE: Final = 64
"""Users whose features are held at once."""
INFLATIONS: Final = (0.0, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
LOG_SCALE: Final = (-5.0, 4.0)
"""Bounds of log γ."""


class Certainty(nn.Module):
    """The posterior of the weights and the two numbers that make scores chances."""

    covariance: Tensor
    scale: Tensor
    inflation: Tensor

    def __init__(self, terms: int) -> None:
        """Unlearned: the prior's width for each of the terms and the prior."""
        super().__init__()
        self.register_buffer("covariance", SPREAD**2 * torch.eye(terms + 1))  # Λ⁻¹
        self.register_buffer("scale", torch.tensor(1.0))  # γ
        self.register_buffer("inflation", torch.tensor(1.0))  # κ

    def deviation(self, features: Tensor) -> Tensor:
        """σ (…,) of features (…, T + 1)."""
        variance = ((features @ self.covariance) * features).sum(dim=-1)
        return variance.clamp_min(0.0).sqrt()

    def directions(self, features: Tensor) -> Tensor:
        """(…, T + 1) rows B of features φ, with B Bᵀ the scores' covariance: B z moves them so."""
        variances, axes = torch.linalg.eigh(self.covariance)
        root: Tensor = axes * variances.clamp_min(0.0).sqrt()
        return features @ root

    def log_chances(self, scores: Tensor, deviation: Tensor) -> Tensor:
        """(B, C) log p of the next choice among the C candidates."""
        return _moderated(scores, deviation, float(self.scale), float(self.inflation))

    @torch.no_grad()
    def learn(
        self,
        network: "MetaSiamese",
        learning: Sequence["PreparedEpisode"],
        validation: Sequence["PreparedEpisode"],
    ) -> None:
        """Fit Λ and γ on the problems that the scorer learned on and κ on later ones, in place."""
        known = [Choices.of(network, episode) for episode in learning]
        later = [Choices.of(network, episode) for episode in validation]
        if not known or not later:
            return
        self.scale.fill_(_best_scale(known))
        precision = torch.eye(len(self.covariance)) / SPREAD**2
        for problem in known:
            precision = precision + problem.information(float(self.scale))
        self.covariance.copy_(torch.linalg.inv(precision))
        losses = [
            np.mean([one.loss(self, inflation=inflation) for one in later])
            for inflation in INFLATIONS
        ]
        self.inflation.fill_(INFLATIONS[int(np.argmin(losses))])


@torch.inference_mode()
def log_chances(network: "MetaSiamese", problem: "PreparedEpisode") -> FloatMatrix:
    """(U, C) log p of the next choice of a problem's users; support and dates are left aside."""
    view, batches = network.view(problem, problem.histories), []
    for start in range(0, len(problem.histories), USERS_AT_ONCE):
        rows = np.arange(start, min(start + USERS_AT_ONCE, len(problem.histories)))
        features, scores = scored(network, problem, rows, view=view)
        deviation = network.certainty.deviation(features)
        batches.append(network.certainty.log_chances(scores, deviation).numpy())
    return np.concatenate(batches).astype(np.float32)


def scored(
    network: "MetaSiamese",
    problem: "PreparedEpisode",
    rows: npt.NDArray[np.int64],
    *,
    view: "TaskView",
) -> tuple[Tensor, Tensor]:
    """Features φ (B, C, T + 1) of some users and their scores φᵀw (B, C).

    Args:
        view: of a task that holds these users.
    """
    scorer = network.scorer
    users = network.users(view, problem.histories.take(rows))
    found = scorer.features(view.vectors, users, view.candidates, problem.prior)
    return found, found @ torch.cat([scorer.term_weights, scorer.prior_weight[None]])


@dataclass(frozen=True, slots=True)
class Choices:
    """Who chose what in one cold-start problem, and the features of every pair."""

    features: Tensor
    """(B, C, T + 1)"""
    scores: Tensor
    """(B, C)"""
    share: Tensor
    """(B, C): 1 / (number of choices) where chosen, else 0."""

    @classmethod
    def of(cls, network: "MetaSiamese", episode: "PreparedEpisode") -> "Choices":
        """From an episode without support, of up to MOST_USERS users."""
        count = len(episode.histories)
        rows = np.arange(count)[:: -(-count // MOST_USERS)]
        view = network.view(episode, episode.histories.take(rows))
        found, scores = scored(network, episode, rows, view=view)
        chosen = torch.from_numpy(episode.episode.chosen[rows]).to(scores.dtype)
        return cls(found, scores, chosen / chosen.sum(dim=1, keepdim=True).clamp_min(1.0))

    def information(self, scale: float) -> Tensor:
        """(T + 1, T + 1): what the choices say of the weights."""
        chances = torch.softmax(scale * self.scores, dim=1)[:, :, None]
        mean = (chances * self.features).sum(dim=1, keepdim=True)
        spread = ((self.features - mean) * chances.sqrt()).flatten(0, 1)
        return scale**2 * spread.T @ spread

    def loss(self, certainty: Certainty, *, inflation: float) -> float:
        """Mean of −log p over users."""
        deviation = certainty.deviation(self.features)
        chances = _moderated(self.scores, deviation, float(certainty.scale), inflation)
        return float(-(self.share * chances).sum(dim=1).mean())


def _moderated(scores: Tensor, deviation: Tensor, scale: float, inflation: float) -> Tensor:
    softened = 1.0 + torch.pi / 8.0 * inflation * (scale * deviation).square()
    return torch.log_softmax(scale * scores / softened.sqrt(), dim=1)


def _best_scale(problems: Sequence[Choices]) -> float:
    """γ of the highest likelihood."""

    def loss(log_scale: float) -> float:
        scale = float(np.exp(log_scale))
        return float(
            np.mean(
                [
                    -(one.share * torch.log_softmax(scale * one.scores, dim=1)).sum(dim=1).mean()
                    for one in problems
                ]
            )
        )

    return float(np.exp(minimize_scalar(loss, bounds=LOG_SCALE, method="bounded").x))
