"""One control between the general and the personal: how much of a score is the person's own.

With g the content-predicted popularity, standardised over the pool (the same for everybody), and t
all that comes from the person's history and the listing's first customers,

    y_π = π t + (1 − π) g,      π from 0 (what sells in general) to 1 (the person alone).

The model's own score is t + w g with a learned weight w: the order at π = 1 / (1 + w). Where w was
learned to be negative popularity counts against a listing, and no π has that order. Without a π the
score is the model's own, as it was learned.
"""

from typing import TypeVar

from torch import Tensor

from coldstart_models.errors import ConfigError
from coldstart_models.siamese.scorer import spread_of

Numbers = TypeVar("Numbers", Tensor, float)


def own_place(weight: float) -> float | None:
    """The π at which the order is the model's own; 1 where popularity counts for nothing, and None
    where it counts against a listing.
    """
    return 1.0 / (1.0 + weight) if weight >= 0.0 else None


def moved(score: Numbers, general: Numbers, weight: float, personal: float | None) -> Numbers:
    """y_π of the model's own score; the score itself without a π.

    Args:
        general: g, as wide as the score.
        weight: w.
        personal: π.

    Raises ConfigError for a π outside 0 … 1.
    """
    if personal is None:
        return score
    if not 0.0 <= personal <= 1.0:
        raise ConfigError(f"personal is {personal}; give a number from 0 (general) to 1 (personal)")
    return personal * (score - weight * general) + (1.0 - personal) * general


def standardised(prior: Tensor) -> Tensor:
    """(C,) expected log popularity less its mean over the pool, over its deviation there."""
    return (prior - prior.mean()) / spread_of(prior)
