"""Why an item: the parts its score is the exact sum of, and a sentence made from them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from coldstart_models.siamese.population import Population
from coldstart_models.siamese.scorer import (
    NEAREST,
    Calibration,
    Profiles,
    SiameseScorer,
    Vectors,
    safe_log,
)

POPULARITY: Final = "popularity"
FIRST_CUSTOMERS: Final = "first customers"
PACE: Final = "pace of first customers"

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


def history_contributions(
    scorer: SiameseScorer,
    vectors: Vectors,
    users: Profiles,
    candidate: Vectors,
    calibration: Calibration,
) -> dict[str, torch.Tensor]:
    """Modality → (H,): what each history event adds to one user's score of one candidate.

    An average is a sum over the history, Σ_h ω_h s_h. A nearest term v is that sum and what the
    nearest events are ahead of it, v − Σ_h ω_h s_h ≥ 0, which is theirs by their shares p_h:

        Σ_h ω_h (s_h − μ) / σ  +  Σ_h p_h (v − Σ_j ω_j s_j) / σ

    So where the term counts for a candidate (its weight is positive), an event that is more like it
    never counts less, be v above the mean μ or below.
    """
    parts = {name: torch.zeros(users.compact.shape[1]) for name in scorer.widths}
    for position, (name, kind) in enumerate(scorer.terms):
        if not (bool(users.present[name][0]) and bool(candidate.present[name][0])):
            continue
        similar = (vectors.values[name][users.used] @ candidate.values[name][0])[users.compact[0]]
        weights = users.weights[name][0]
        mean, deviation = calibration.mean[0, 0, position], calibration.deviation[0, 0, position]
        part = weights * (similar - mean)
        if kind == NEAREST:
            temperature = scorer.temperature(name)
            logits = temperature * similar + safe_log(users.weights[name])[0]
            ahead = logits.logsumexp(dim=0) / temperature - (weights * similar).sum()
            part = part + torch.softmax(logits, dim=0) * ahead
        parts[name] = parts[name] + part / deviation * scorer.term_weights[position]
    return parts


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
    parts: dict[str, torch.Tensor], title_of: Callable[[int], str], *, most: int = 2
) -> list[tuple[str, str]]:
    """The history items that add most, each with its strongest modality, best first.

    Args:
        title_of: title of an event's item, by the event's place.
    """
    stacked = torch.stack(list(parts.values())).numpy()  # (M, H)
    names = list(parts)
    best: list[tuple[str, str]] = []
    for event in np.argsort(-stacked.sum(axis=0), kind="stable"):
        if stacked[:, event].sum() <= 0 or len(best) == most:
            break
        reason = (title_of(int(event)), names[int(stacked[:, event].argmax())])
        if reason[0] not in {chosen for chosen, _ in best}:
            best.append(reason)
    return best
