"""Why an item: the parts its score is the exact sum of, and a sentence made from them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from coldstart_models.data.catalogue import IntArray
from coldstart_models.siamese.population import Population
from coldstart_models.siamese.scorer import (
    Profiles,
    SiameseScorer,
    Vectors,
)
from coldstart_models.siamese.sight import FloatArray

POPULARITY: Final = "popularity"
FIRST_CUSTOMERS: Final = "first customers"
PACE: Final = "pace of first customers"
AMONG_KNOWN: Final = "place among known items"
AGE: Final = "age of the listing"
SEASON: Final = "season"

PHRASES: Final = {
    "photo": "looks alike",
    "text": "reads alike",
    "words": "shares its words",
    "spelling": "shares parts of its words",
    "attributes": "is of the same kind, brand or price",
    "together": "people buy with things like it",
    "general": "people of other shops choose with things like it",
    "general photo": "people of other shops choose with things that look like it",
}


@dataclass(frozen=True, slots=True)
class Contribution:
    """One part of a score; without a history item it does not come from the history."""

    history_item_id: str | None
    term: str
    value: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """A score taken apart; the contributions sum to it."""

    item_id: str
    score: float
    contributions: tuple[Contribution, ...]
    sentence: str


def first_customer_contributions(
    scorer: SiameseScorer,
    vectors: Vectors,
    users: Profiles,
    delta: dict[str, torch.Tensor],
    population: Population,
) -> torch.Tensor:
    """(H,): what each history event adds through the listing's delta.

    Args:
        delta: modality → (D_m,).
    """
    total = torch.zeros(users.compact.shape[1])
    for name in scorer.widths:
        if not bool(users.present[name][0]):
            continue
        past = vectors.values[name][users.used][users.compact[0]]
        total = total + users.weights[name][0] * ((past - population.mean[name]) @ delta[name])
    return total


def sentence(title: str, reasons: list[tuple[str, str]]) -> str:
    """One sentence for a person.

    Args:
        title: of the recommended listing.
        reasons: (title of a chosen item, modality), strongest first.
    """
    if not reasons:
        return f"{title}: listings like this one have been popular."
    told = [f"“{chosen}”, which {PHRASES[term]}" for chosen, term in reasons[:2]]
    return f"{title}: because of {' and '.join(told)}."


def strongest(
    parts: FloatArray,
    names: Sequence[str],
    title_of: Callable[[int], str],
    *,
    most: int = 2,
) -> list[list[tuple[str, str]]]:
    """The history items that add most to each listing, best first, and by which modality.

    Args:
        parts: (M, K, H) what each event adds to the K listings, by modality.
        names: of the modalities.
        title_of: title of an event's item, by the event's place.
    """
    totals, modality = parts.sum(axis=0), parts.argmax(axis=0)
    order = np.argsort(-totals, axis=1, kind="stable")
    return [
        _distinct(events, totals[at], modality[at], names, title_of, most=most)
        for at, events in enumerate(order)
    ]


def _distinct(
    events: IntArray,
    totals: FloatArray,
    modality: IntArray,
    names: Sequence[str],
    title_of: Callable[[int], str],
    *,
    most: int,
) -> list[tuple[str, str]]:
    """The first of a listing's events (H,) that add something, a title once."""
    best: list[tuple[str, str]] = []
    for event in map(int, events):
        if totals[event] <= 0 or len(best) == most:
            break
        title = title_of(event)
        if all(title != chosen for chosen, _ in best):
            best.append((title, names[modality[event]]))
    return best
