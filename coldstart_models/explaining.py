"""Why an item: the parts its score is the exact sum of, and a sentence made from them."""

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

    Both terms of a modality are sums over the history whose weights p_h sum to one, so the
    reference mean is taken off event by event: Σ_h p_h (a_h − μ) / σ.
    """
    parts = {name: torch.zeros(users.compact.shape[1]) for name in scorer.widths}
    for position, (name, kind) in enumerate(scorer.terms):
        if not (bool(users.present[name][0]) and bool(candidate.present[name][0])):
            continue
        similar = (vectors.values[name][users.used] @ candidate.values[name][0])[users.compact[0]]
        share, value = users.weights[name][0], similar
        if kind == NEAREST:
            temperature = scorer.temperature(name)
            logs = safe_log(users.weights[name])[0]
            share = torch.softmax(temperature * similar + logs, dim=0)
            bonus = torch.where(share > 0, share.clamp_min(1e-30).log() - logs, 0.0)
            value = similar - bonus / temperature
        mean, deviation = calibration.mean[0, 0, position], calibration.deviation[0, 0, position]
        part = share * (value - mean) / deviation * scorer.term_weights[position]
        parts[name] = parts[name] + torch.where(share > 0, part, 0.0)
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
    parts: dict[str, torch.Tensor], titles: list[str], *, most: int = 2
) -> list[tuple[str, str]]:
    """The history items that add most, each with its strongest modality, best first."""
    stacked = torch.stack(list(parts.values())).numpy()  # (M, H)
    names = list(parts)
    best: list[tuple[str, str]] = []
    for event in np.argsort(-stacked.sum(axis=0), kind="stable"):
        if stacked[:, event].sum() <= 0 or len(best) == most:
            break
        reason = (titles[event], names[int(stacked[:, event].argmax())])
        if reason[0] not in {chosen for chosen, _ in best}:
            best.append(reason)
    return best
