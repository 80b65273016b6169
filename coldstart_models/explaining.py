"""Why an item: the parts its score is the exact sum of, and a sentence made from them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from coldstart_models.siamese.population import Population
from coldstart_models.siamese.scorer import (
    Calibration,
    Profiles,
    SiameseScorer,
    Vectors,
)
from coldstart_models.siamese.sight import contributions

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
    candidates: Vectors,
    calibration: Calibration,
) -> dict[str, torch.Tensor]:
    """Modality → (C, H): what each history event adds to one user's score of each candidate.

    An average is a sum over the history, Σ_h ω_h s_h. A nearest term v is that sum and what the
    nearest events are ahead of it, v − Σ_h ω_h s_h ≥ 0, which is theirs by their shares p_h:

        Σ_h ω_h (s_h − μ) / σ  +  Σ_h p_h (v − Σ_j ω_j s_j) / σ

    So where the term counts for a candidate (its weight is positive), an event that is more like it
    never counts less, be v above the mean μ or below.
    """
    events = [vectors.values[name][users.used][users.compact[0]] for name in scorer.widths]
    parts = contributions(
        scorer,
        torch.stack(
            [
                candidates.values[name] @ past.T
                for name, past in zip(scorer.widths, events, strict=True)
            ]
        ),
        torch.stack([users.weights[name][0] for name in scorer.widths]),
        torch.stack([candidates.present[name] for name in scorer.widths]),
        mean=calibration.mean[0, 0],
        deviation=calibration.deviation[0, 0],
    )
    return dict(zip(scorer.widths, parts, strict=True))


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
    parts: npt.NDArray[np.float32],
    names: Sequence[str],
    title_of: Callable[[int], str],
    *,
    most: int = 2,
) -> list[tuple[str, str]]:
    """The history items that add most, each with its strongest modality, best first.

    Args:
        parts: (M, H) what each event adds by modality.
        names: of the modalities.
        title_of: title of an event's item, by the event's place.
    """
    totals = parts.sum(axis=0)
    best: list[tuple[str, str]] = []
    for event in np.argsort(-totals, kind="stable").tolist():
        if totals[event] <= 0 or len(best) == most:
            break
        reason = (title_of(event), names[int(parts[:, event].argmax())])
        if reason[0] not in {chosen for chosen, _ in best}:
            best.append(reason)
    return best
