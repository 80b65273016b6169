"""Latent factors of users and warm items, by ALS."""

from dataclasses import dataclass

import numpy as np

from coldstart_models.data.catalogue import FloatMatrix
from coldstart_models.data.interactions import Interactions
from coldstart_models.errors import NotEnoughData
from coldstart_models.ranker import RankingTask


@dataclass(frozen=True, slots=True)
class Factors:
    """A score is the dot product of a user's and an item's row."""

    users: FloatMatrix
    """(num_users, R)"""
    items: FloatMatrix
    """(num_items, R); meaningless where an item has no event."""

    def scores(self, task: RankingTask) -> FloatMatrix:
        """(U, C) products of the task's users and candidates."""
        product = self.users[task.user_index] @ self.items[task.candidates].T
        return np.asarray(product, dtype=np.float32)


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


def scaled_factors(
    interactions: Interactions, *, width: int, confidence: float, scale: float, seed: int
) -> Factors:
    """ALS factors whose scores are logits of standard deviation about `scale`.

    Both sides are brought to the same mean square over the users and items that have events.
    """
    found = als_factors(
        interactions, width=width, confidence=confidence, regularization=1.0, seed=seed
    )
    entry = scale**0.5 / width**0.25
    sides = (
        (found.users, np.unique(interactions.user_index)),
        (found.items, np.unique(interactions.item_index)),
    )
    users, items = (
        np.asarray(side * (entry / root_mean_square(side[rows])), np.float32)
        for side, rows in sides
    )
    return Factors(users, items)


def root_mean_square(entries: FloatMatrix) -> float:
    """What to divide by for entries of unit mean square: never 0."""
    return max(float(np.sqrt((entries**2).mean())), 1e-9)


def require_events(interactions: Interactions) -> None:
    """Raises NotEnoughData where there is nothing to factor."""
    if not len(interactions):
        raise NotEnoughData("the training set holds no positive event on a warm item")
