"""One control between the general and the personal: how much of a score is the person's own.

With g the content-predicted popularity, standardised over the pool (the same for everybody), and t
all that comes from the person's history and the listing's first customers,

    y_π = π t + (1 − π) g,      π from 0 (what sells in general) to 1 (the person alone).

The model's own score is t + w g with a learned weight w: the order at π = 1 / (1 + w). Where w was
learned to be negative popularity counts against a listing, and no π has that order. Without a π the
score is the model's own.

Training looks along the control on its validation episodes (`choose_place`): the model's own place
is where the weight was learned to be, or the next to it that cannot be told from the one at which
NDCG@10 peaks there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
import torch
from torch import Tensor

from coldstart_models.errors import ConfigError
from coldstart_models.metrics import ndcg_of_each
from coldstart_models.siamese.doubt import near_best
from coldstart_models.siamese.scorer import spread_of

if TYPE_CHECKING:
    from coldstart_models.siamese.network import MetaSiamese
    from coldstart_models.siamese.preparing import PreparedEpisode

PLACES: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)
"""π that are looked at. At 0 there is no weight that has the order."""
BEYOND: Final = 2.0
"""Stands for the place of a negative weight: past 1, and nearest to it."""
DIGITS: Final = 5
Numbers = TypeVar("Numbers", Tensor, float)


@dataclass(frozen=True, slots=True)
class PlaceRecord:
    """How well validation was ranked along the control, and which place the model has now."""

    learned: float | None
    """π of the weight that was learned; None where it was negative."""
    ndcg: float
    """NDCG@10 there."""
    by_place: dict[float, float]
    """π of PLACES → NDCG@10."""
    kept: float | None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "learned": None if self.learned is None else round(self.learned, DIGITS),
            "kept": None if self.kept is None else round(self.kept, DIGITS),
            "validation_ndcg@10": {
                "learned": round(self.ndcg, DIGITS),
                **{str(place): round(value, DIGITS) for place, value in self.by_place.items()},
            },
        }


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
    require_place(personal)
    if personal is None:
        return score
    return personal * (score - weight * general) + (1.0 - personal) * general


def require_place(personal: float | None) -> None:
    """Raise ConfigError for a π outside 0 … 1."""
    if personal is not None and not 0.0 <= personal <= 1.0:
        raise ConfigError(f"personal is {personal}; give a number from 0 (general) to 1 (personal)")


def standardised(prior: Tensor) -> Tensor:
    """(C,) expected log popularity less its mean over the pool, over its deviation there."""
    return (prior - prior.mean()) / spread_of(prior)


@torch.no_grad()
def choose_place(
    network: "MetaSiamese", validation: Sequence["PreparedEpisode"]
) -> PlaceRecord | None:
    """Move the model, in place, towards where validation ranks best from the general to the
    personal, as far as it tells that from the place that was learned (`doubt`) and no farther;
    None where there is none to ask.
    """
    from coldstart_models.siamese.network import score_task

    if not validation:
        return None
    weight = float(network.scorer.prior_weight.detach())
    places = (None, *PLACES)
    reached: list[list[np.ndarray]] = [[] for _ in places]
    for prepared in validation:
        scores = torch.from_numpy(score_task(network, prepared))
        general = standardised(prepared.prior).expand_as(scores)
        for of_place, place in zip(reached, places, strict=True):
            found = moved(scores, general, weight, place).numpy()
            of_place.append(ndcg_of_each(found, prepared.episode.chosen))
    values = [float(np.mean([each.mean() for each in one])) for one in reached]
    kept = learned = own_place(weight)
    as_learned, *near = near_best(reached)
    if not as_learned:
        own = BEYOND if learned is None else learned
        allowed = [place for place, good in zip(PLACES, near, strict=True) if good]
        kept = min(allowed, key=lambda place: abs(place - own))
        network.scorer.prior_weight.fill_(1.0 / kept - 1.0)
    return PlaceRecord(learned, values[0], dict(zip(PLACES, values[1:], strict=True)), kept)
