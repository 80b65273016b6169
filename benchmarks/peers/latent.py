"""Latent factors of users and warm items: by ALS (implicit), or by descent on sampled pairs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from benchmarks.peers.networks import choice_batches, descend, known_items
from coldstart_models.data.catalogue import FloatMatrix
from coldstart_models.data.interactions import Interactions
from coldstart_models.errors import NotEnoughData

PairLoss = Callable[[Tensor, Tensor], Tensor]
"""Scores of choices (B,) and of as many pairs nobody chose (B,) → their loss."""
SPREAD = 0.1
"""Standard deviation of the factors at the start."""


@dataclass(frozen=True, slots=True)
class Factors:
    """A score is the dot product of a user's and an item's row."""

    users: FloatMatrix
    """(num_users, R)"""
    items: FloatMatrix
    """(num_items, R); meaningless where an item has no event."""


def als_factors(
    interactions: Interactions,
    *,
    width: int,
    confidence: float,
    regularization: float,
    seed: int,
    iterations: int = 15,
) -> Factors:
    """Weighted matrix factorisation (Hu, Koren and Volinsky, ICDM 2008) by `implicit`.

    Raises NotEnoughData without an event.
    """
    from implicit.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    require_events(interactions)
    with threadpool_limits(1, "blas"):  # as implicit asks: it has threads of its own
        model = AlternatingLeastSquares(
            factors=width,
            alpha=confidence,
            regularization=regularization,
            iterations=iterations,
            random_state=seed,
            num_threads=1,
            use_gpu=False,
        )
        model.fit(interactions.matrix(), show_progress=False)
    return Factors(
        np.asarray(model.user_factors, np.float32), np.asarray(model.item_factors, np.float32)
    )


def bayesian_personalized(chosen: Tensor, other: Tensor) -> Tensor:
    """BPR (Rendle et al., UAI 2009): − mean log σ(chosen − other)."""
    return -logsigmoid(chosen - other).mean()


def logistic(chosen: Tensor, other: Tensor) -> Tensor:
    """Cross-entropy of a click: − mean log σ(chosen) − mean log σ(−other)."""
    return -logsigmoid(chosen).mean() - logsigmoid(-other).mean()


def descended_factors(
    interactions: Interactions,
    loss: PairLoss,
    *,
    width: int,
    epochs: int,
    rate: float,
    decay: float,
    seed: int,
) -> Factors:
    """Factors that minimise `loss` over the choices, each against one uniform other item.

    The last of the R columns is a constant 1 of users, so that items have a bias.
    """
    require_events(interactions)
    generator = np.random.default_rng([seed, 3])
    draw = torch.Generator().manual_seed(seed)
    users = nn.Parameter(SPREAD * torch.randn(interactions.num_users, width - 1, generator=draw))
    items = nn.Parameter(SPREAD * torch.randn(interactions.num_items, width, generator=draw))
    known = known_items(interactions)

    def losses() -> Iterator[Tensor]:
        for user, item in choice_batches(interactions, epochs=epochs, generator=generator):
            other = items[generator.choice(known, size=len(item))]
            both = items[item], other
            chosen, not_chosen = (
                (users[user] * row[:, :-1]).sum(dim=1) + row[:, -1] for row in both
            )
            yield loss(chosen, not_chosen)

    descend([users, items], losses(), rate=rate, decay=decay)
    constant = torch.ones(len(users), 1)
    return Factors(torch.cat([users.detach(), constant], dim=1).numpy(), items.detach().numpy())


def require_events(interactions: Interactions) -> None:
    """Raises NotEnoughData where there is nothing to factor."""
    if not len(interactions):
        raise NotEnoughData("the training set holds no positive event on a warm item")
