"""How much each term counts, by a convex fit on past cold starts: the first thing that is learned.

What makes two things go together differs by shop: in rooms, one lamp speaks against a second
one; in a warehouse, whoever bought one part buys its neighbours. With the towers as they are, a
score is a weighted sum of standardised terms x, so the weights that explain past choices best are
the minimum of a convex loss,

    L(w) = mean over episodes of
               − mean_u 1/|P_u| Σ_{c ∈ P_u} log softmax_c(<w, x_uc> + log q_c) + λ |w − w₀|²

with P_u what user u chose, and w₀ the stated starting weights times the scale that fits best. On
launches q_c is in proportion to how many people chose c, as in training: which contents sold is the
season's, and a fit that must explain it gave the prior most of the weight and lost 4 % of NDCG@10
on a later launch. On held-out items, whose popularity is their own, q is 1.

There is a fit for every pull λ of PULLS, and the starting weights beside them. Of a few hundred
people the validation episodes tell the bad ones from the good, and hardly the best from the next:
the mean of the directions is kept of those that cannot be told from the best (`siamese.doubt`). The
length is that of the starting weights.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize

from coldstart_models.data.catalogue import BoolArray, FloatMatrix
from coldstart_models.metrics import ndcg_of_each
from coldstart_models.siamese.doubt import near_best

if TYPE_CHECKING:
    from coldstart_models.siamese.network import MetaSiamese
    from coldstart_models.siamese.preparing import PreparedEpisode

logger = logging.getLogger(__name__)

PULLS: Final = (1.0, 0.3, 0.1, 0.03, 0.01)
"""λ, strongest first."""
SCALES: Final = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
ITERATIONS: Final = 60
USERS_AT_ONCE: Final = 128

Weights = npt.NDArray[np.float64]
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Choices:
    """An episode as a conditional choice among standardised terms."""

    terms: FloatMatrix
    """(U, C, W): the scorer's terms, 0 where missing, the prior and, where allowed, exposure."""
    chosen: BoolArray
    """(U, C), at least one a user."""
    log_popularity: FloatArray
    """(C,): log q."""


def weigh(
    model: "MetaSiamese",
    learning: Sequence["PreparedEpisode"],
    validation: Sequence["PreparedEpisode"],
    *,
    launches: bool,
) -> tuple[float | None, ...]:
    """Set the weights of the model's terms and prior in place; returns the pulls that were kept.

    None among them stands for the starting weights.

    Args:
        launches: whether the episodes are of launches, not of held-out items.
    """
    start = stated_weights(model)
    learned = [choices(model, episode, launches=launches) for episode in learning]
    judged = [choices(model, episode, launches=launches) for episode in validation]
    base = start * best_scale(learned, start)
    found = {None: start} | {pull: fitted_weights(learned, base, pull=pull) for pull in PULLS}
    kept = near_best([qualities(judged, weights) for weights in found.values()])
    pulls = tuple(pull for pull, among in zip(found, kept, strict=True) if among)
    logger.info("kept the pulls %s of the terms' weights", pulls)
    mean = np.mean([_directed(found[pull]) for pull in pulls], axis=0)
    set_weights(model, _directed(mean) * np.linalg.norm(start))
    return pulls


def _directed(weights: Weights) -> Weights:
    return weights / max(float(np.linalg.norm(weights)), 1e-9)


def stated_weights(model: "MetaSiamese") -> Weights:
    """(W,): of the scorer's terms, of the prior and, where the model may use dates, of exposure."""
    scorer = model.scorer
    parts = [scorer.term_weights.detach(), scorer.prior_weight.detach()[None]]
    if model.date_term is not None:
        parts.append(model.date_term.age_weight.detach())
    return np.asarray(torch.cat(parts).numpy(), np.float64)


@torch.no_grad()
def set_weights(model: "MetaSiamese", weights: Weights) -> None:
    """Put (W,) weights where `stated_weights` reads them."""
    given, count = torch.from_numpy(weights).float(), len(model.scorer.term_weights)
    model.scorer.term_weights.copy_(given[:count])
    model.scorer.prior_weight.copy_(given[count])
    if model.date_term is not None:
        model.date_term.age_weight.copy_(given[count + 1 :])


@torch.inference_mode()
def choices(model: "MetaSiamese", prepared: "PreparedEpisode", *, launches: bool) -> Choices:
    """The terms of all of an episode's users and candidates."""
    scorer, users = model.scorer, len(prepared.histories)
    view = model.view(prepared, prepared.histories)
    exposure = None if model.date_term is None else prepared.dates[:, 0]
    blocks = []
    for start in range(0, users, USERS_AT_ONCE):
        rows = np.arange(start, min(start + USERS_AT_ONCE, users))
        profiles = model.users(view, prepared.histories.take(rows))
        found = scorer.features(view.vectors, profiles, view.candidates, prepared.prior)
        if exposure is not None:
            alike = exposure[None, :, None].expand(*found.shape[:2], 1)
            found = torch.cat([found, alike], dim=2)
        blocks.append(found.numpy())
    popularity = prepared.log_popularity.numpy()
    return Choices(
        np.concatenate(blocks),
        prepared.episode.chosen,
        popularity if launches else np.zeros_like(popularity),
    )


def fitted_weights(learned: Sequence[Choices], base: Weights, *, pull: float) -> Weights:
    """The minimum of the module's loss, by L-BFGS from `base` (W,)."""

    def objective(weights: Weights) -> tuple[float, Weights]:
        away = weights - base
        loss, gradient = pull * float(away @ away), 2 * pull * away
        for one in learned:
            own, slope = choice_loss(one, weights)
            loss += own / len(learned)
            gradient = gradient + slope / len(learned)
        return loss, gradient

    found = minimize(objective, base, jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS})
    return np.asarray(found.x, np.float64)


def choice_loss(one: Choices, weights: Weights) -> tuple[float, Weights]:
    """−Σ log-shares of the chosen, a mean over users, and its gradient (W,)."""
    scores = one.terms @ weights.astype(np.float32) + one.log_popularity
    scores -= scores.max(axis=1, keepdims=True)
    shares = np.exp(scores)
    total = shares.sum(axis=1, keepdims=True)
    shares /= total
    wanted = one.chosen / one.chosen.sum(axis=1, keepdims=True)
    loss = -float(((scores - np.log(total)) * wanted).sum(axis=1).mean())
    surplus = (shares - wanted).astype(np.float32).ravel()
    gradient = surplus @ one.terms.reshape(-1, one.terms.shape[2]) / len(scores)
    return loss, np.asarray(gradient, np.float64)


def best_scale(learned: Sequence[Choices], start: Weights) -> float:
    """The factor of SCALES under which the starting weights explain the choices best."""
    losses = [sum(choice_loss(one, scale * start)[0] for one in learned) for scale in SCALES]
    return SCALES[int(np.argmin(losses))]


def qualities(judged: Sequence[Choices], weights: Weights) -> list[npt.NDArray[np.float64]]:
    """(U,) of every episode: each person's NDCG@10."""
    given = weights.astype(np.float32)
    return [ndcg_of_each(np.asarray(one.terms @ given, np.float32), one.chosen) for one in judged]
