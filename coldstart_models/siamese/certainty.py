"""How sure a score is: a Bayesian last layer, each listing's own error, and what chances they give.

A score is y = φᵀw + a, with φ the standardised terms and the prior, w their weights, and a what
dates and first customers add. Around the weights that were learned the posterior is normal
(Laplace's approximation, MacKay, 1992; of the last layer alone, Kristiadi et al., ICML 2020): its
precision is that of a prior of deviation ρ and the information of the cold-start problems that were
learned on,

    Λ = I / ρ² + γ² Σ_users Σ_c p_c (φ_c − φ̄)(φ_c − φ̄)ᵀ,   p = softmax(γ y).

That part of the error listings share: it is τ² = φᵀ Λ⁻¹ φ, large for those whose terms are unlike
those that were learned from. Another part is each listing's own, what neither its content nor its
first k customers tell: an error of variance s²(k) of its log rate (`own_errors`), s / γ of its
score. The deviation of a score is σ = √(τ² + s²(k) / γ²).

The chance that a person's next choice from a pool is c is

    p_c ∝ exp(γ y_c / √(1 + π γ² κ τ_c² / 8))

(MacKay's moderated output; own errors, as large for all listings of as many customers, would only
do again what the scale does). The scale γ is fitted on the problems that were learned on, and the
inflation κ on later ones, where the world may have moved: both by likelihood.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor, nn

from coldstart_models.data.catalogue import FloatMatrix, IntArray
from coldstart_models.siamese.own_errors import (
    CUSTOMERS,
    UNLEARNED,
    Turnout,
    at_customers,
    own_variances,
)

if TYPE_CHECKING:
    from coldstart_models.siamese.learners.learner import Learner
    from coldstart_models.siamese.learners.rehearsal import Rehearsal
    from coldstart_models.siamese.network import MetaSiamese, TaskView
    from coldstart_models.siamese.preparing import PreparedEpisode

SPREAD: Final = 0.5
"""ρ: deviation of a weight before anything is learned."""
MOST_USERS: Final = 200
"""Of an episode, evenly taken."""
USERS_AT_ONCE: Final = 64
"""Users of whom every pair is held at once."""
INFLATIONS: Final = (0.0, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
LOG_SCALE: Final = (-5.0, 4.0)
"""Bounds of log γ."""


class Certainty(nn.Module):
    """The posterior of the weights, listings' own errors, and what makes scores chances."""

    covariance: Tensor
    scale: Tensor
    inflation: Tensor
    own: Tensor
    """s²: variance of a listing's own log rate, at each of CUSTOMERS."""

    def __init__(self, terms: int) -> None:
        """Unlearned: the prior's width for each of the terms and the prior."""
        super().__init__()
        self.register_buffer("covariance", SPREAD**2 * torch.eye(terms + 1))  # Λ⁻¹
        self.register_buffer("scale", torch.tensor(1.0))  # γ
        self.register_buffer("inflation", torch.tensor(1.0))  # κ
        self.register_buffer("own", torch.full((len(CUSTOMERS),), UNLEARNED))

    def shared(self, features: Tensor) -> Tensor:
        """(…,) deviation that the weights leave a score of features (…, T + 1)."""
        variance = ((features @ self.covariance) * features).sum(dim=-1)
        return variance.clamp_min(0.0).sqrt()

    def directions(self, features: Tensor) -> Tensor:
        """(…, T + 1) rows B of features φ, with B Bᵀ the shared covariance: B z moves scores so."""
        variances, axes = torch.linalg.eigh(self.covariance)
        root: Tensor = axes * variances.clamp_min(0.0).sqrt()
        return features @ root

    def own_deviations(self, customers: IntArray) -> npt.NDArray[np.float64]:
        """(N,) deviation of each listing's own error, by how many first customers it has (N,)."""
        variances = at_customers(self.own.double().numpy(), customers)
        return np.sqrt(variances) / float(self.scale)

    def own_variance(self, customers: int) -> float:
        """s² of a listing that has so many first customers."""
        return float(at_customers(self.own.double().numpy(), np.array([customers]))[0])

    def log_chances(self, scores: Tensor, shared: Tensor) -> Tensor:
        """(B, C) log p of the next choice among the C candidates.

        Args:
            shared: (B, C) τ.
        """
        return _moderated(scores, shared, float(self.scale), float(self.inflation))

    @torch.no_grad()
    def learn(
        self,
        network: "MetaSiamese",
        learning: Sequence["PreparedEpisode"],
        validation: Sequence["PreparedEpisode"],
    ) -> None:
        """Fit Λ and γ on the problems that the scorer learned on, own errors without customers and
        κ on later ones, in place."""
        known = [Choices.of(network, episode) for episode in learning]
        later = [Choices.of(network, episode) for episode in validation]
        if not known or not later:
            return
        self.scale.fill_(_best_scale(known))
        precision = torch.eye(len(self.covariance)) / SPREAD**2
        for problem in known:
            precision = precision + problem.information(float(self.scale))
        self.covariance.copy_(torch.linalg.inv(precision))
        turned_out = [turnout(network, episode, float(self.scale)) for episode in validation]
        self.own.copy_(torch.from_numpy(own_variances({0: turned_out})))
        losses = [
            np.mean([one.loss(self, inflation=inflation) for one in later])
            for inflation in INFLATIONS
        ]
        self.inflation.fill_(INFLATIONS[int(np.argmin(losses))])

    @torch.no_grad()
    def learn_own(self, rehearsals: Sequence["Rehearsal"], learner: "Learner") -> None:
        """Learn what first customers leave of listings' own errors, in place; after `learn`.

        Args:
            rehearsals: that the learner did not learn on.
        """
        turned_out: dict[int, list[Turnout]] = {}
        for one in rehearsals:
            scores = one.adapted(learner.adapt(one.evidence))
            chances = torch.log_softmax(float(self.scale) * scores, dim=1)
            found = Turnout.of(chances.numpy(), one.chosen.numpy())
            turned_out.setdefault(one.shots, []).append(found)
        if turned_out:
            told = torch.from_numpy(own_variances(turned_out)).to(self.own.dtype)
            self.own[1:] = torch.minimum(told[1:], self.own[0])


@torch.inference_mode()
def log_chances(network: "MetaSiamese", problem: "PreparedEpisode") -> FloatMatrix:
    """(U, C) log p of the next choice of a problem's users, its support known."""
    view, batches = network.view(problem, problem.histories), []
    for rows in _batches(len(problem.histories)):
        features, scores = scored(network, problem, rows, view=view)
        shared = network.certainty.shared(features)
        batches.append(network.certainty.log_chances(scores, shared).numpy())
    return np.concatenate(batches).astype(np.float32)


def _batches(users: int) -> Iterator[IntArray]:
    """Row numbers of so many users at once as there is room for."""
    for start in range(0, users, USERS_AT_ONCE):
        yield np.arange(start, min(start + USERS_AT_ONCE, users))


def scored(
    network: "MetaSiamese",
    problem: "PreparedEpisode",
    rows: npt.NDArray[np.int64],
    *,
    view: "TaskView",
) -> tuple[Tensor, Tensor]:
    """Features φ (B, C, T + 1) of some users and their scores (B, C).

    Args:
        view: of a task that holds these users.
    """
    scorer = network.scorer
    users = network.users(view, problem.histories.take(rows))
    found = scorer.features(view.vectors, users, view.candidates, problem.prior)
    scores = found @ torch.cat([scorer.term_weights, scorer.prior_weight[None]])
    return found, network.completed(scores, users, view, problem, rows)


def turnout(network: "MetaSiamese", episode: "PreparedEpisode", scale: float) -> Turnout:
    """Of an episode's listings, all its users counted, by the chances of a scale alone."""
    view, batches = network.view(episode, episode.histories), []
    for rows in _batches(len(episode.histories)):
        batches.append(torch.log_softmax(scale * network(episode, rows, view=view), dim=1).numpy())
    return Turnout.of(np.concatenate(batches), episode.episode.chosen)


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
        shared = certainty.shared(self.features)
        chances = _moderated(self.scores, shared, float(certainty.scale), inflation)
        return float(-(self.share * chances).sum(dim=1).mean())


def _moderated(scores: Tensor, shared: Tensor, scale: float, inflation: float) -> Tensor:
    softened = 1.0 + torch.pi / 8.0 * inflation * (scale * shared).square()
    return torch.log_softmax(scale * scores / softened.sqrt(), dim=1)


def _best_scale(problems: Sequence[Choices]) -> float:
    """γ of the highest likelihood."""

    def loss(log_scale: float) -> float:
        scale = float(np.exp(log_scale))
        losses = [
            -(one.share * torch.log_softmax(scale * one.scores, dim=1)).sum(dim=1).mean()
            for one in problems
        ]
        return float(np.mean(losses))

    return float(np.exp(minimize_scalar(loss, bounds=LOG_SCALE, method="bounded").x))
