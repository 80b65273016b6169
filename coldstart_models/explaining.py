"""Why an item: the parts its score is the exact sum of, and a sentence made from them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from coldstart_models.candidates import ALL, unfiltered_rows
from coldstart_models.data.catalogue import IntArray
from coldstart_models.person import Person
from coldstart_models.scoring import Scoring
from coldstart_models.siamese.personal import moved
from coldstart_models.siamese.sight import FloatArray
from coldstart_models.snapshot import Snapshot
from coldstart_models.user_history import UserHistory

POPULARITY: Final = "popularity"
FIRST_CUSTOMERS: Final = "first customers"
PACE: Final = "pace of first customers"
SELLING: Final = "selling now"
PLACE: Final = "place in the whole list"
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
    deviation: float
    """How unsure the score is, in its own units."""


def explained(
    scoring: Scoring,
    snapshot: Snapshot,
    history: UserHistory,
    row: int,
    *,
    pool: str,
    personal: float | None,
) -> Explanation:
    """Take one score apart; arguments are those of `Recommender.score`.

    Where new listings and known items are ranked in one list, it is the listing's own score, and
    what its place there adds.
    """
    placed = pool == ALL and scoring.shares_out(snapshot, row)
    item_id, rows = str(snapshot.item_ids[row]), np.array([row])
    if placed:
        rows = np.union1d(unfiltered_rows(snapshot, pool, history, [item_id]), rows)
    beside = Person.of(scoring.scorer, snapshot, history, rows)
    place = np.searchsorted(rows, [row])
    if beside is None:
        popularity = float(snapshot.prior[row])
        score = float(scoring.of_stranger(snapshot, rows, pool=pool)[place[0]])
        found = [Contribution(None, POPULARITY, popularity)]
        if score != popularity:
            found.append(Contribution(None, PLACE, score - popularity))
        (unsure,) = scoring.stranger_deviations(snapshot, np.array([row])).tolist()
        told = sentence(title(snapshot, row), [])
        return Explanation(item_id, score, tuple(found), told, unsure)
    person, parts = beside.among(place), beside.parts(place)
    contributions = [
        *_for_everybody(scoring, person, personal=personal),
        *_by_event(scoring, person, parts, personal=personal),
    ]
    dated = scoring.calendar.terms(snapshot)
    score = float(scoring.summed(person, dated, personal=personal)[0])
    if placed:
        among = scoring.summed(beside, dated, personal=personal, together=True)
        held = float(among[place[0]])
        contributions.append(Contribution(None, PLACE, held - score))
        score = held
    (reason,) = _told(person, person.rows, parts, personal=personal)
    (unsure,) = scoring.deviations(person, np.array([0]), personal=personal).tolist()
    return Explanation(item_id, score, tuple(contributions), reason, unsure)


def _for_everybody(
    scoring: Scoring, person: Person, *, personal: float | None
) -> list[Contribution]:
    """What is added to the score of the person's one candidate whoever asks."""
    snapshot, row = person.snapshot, int(person.rows[0])
    general = float(person.general()[0])
    weight = float(scoring.scorer.prior_weight.detach())
    share = 1.0 if personal is None else personal
    found = [Contribution(None, POPULARITY, moved(weight * general, general, weight, personal))]
    sells = float(scoring.sells(snapshot, person.rows)[0])
    added = [(PACE, float(snapshot.biases[row])), (SELLING, sells)]
    dated = scoring.calendar.terms(snapshot)
    if dated is not None:
        added += [(AGE, float(dated.age[row])), (SEASON, float(dated.season[row]))]
    # + 0.0, so that of a negative one nothing is told as 0 and not as -0
    return found + [Contribution(None, term, share * value + 0.0) for term, value in added if value]


def _by_event(
    scoring: Scoring, person: Person, parts: FloatArray, *, personal: float | None
) -> list[Contribution]:
    """What each history event adds to the score of the person's one candidate.

    Args:
        parts: (M, 1, H) by modality.
    """
    adapted = _first_customers(scoring, person)
    share = 1.0 if personal is None else personal
    named = zip(scoring.scorer.widths, parts[:, 0], strict=True)
    told = [
        Contribution(chosen, name, share * float(value))
        for name, values in [*named, (FIRST_CUSTOMERS, adapted.numpy())]
        for chosen, value in zip(person.item_ids, values, strict=True)
    ]
    return [one for one in told if one.value]


@torch.inference_mode()
def _first_customers(scoring: Scoring, person: Person) -> torch.Tensor:
    """(H,): what each history event adds through the delta of the person's one candidate."""
    users, delta = person.past.profiles, person.snapshot.delta(int(person.rows[0]))
    total = torch.zeros(users.compact.shape[1])
    for name in scoring.scorer.widths:
        if not bool(users.present[name][0]):
            continue
        past = person.snapshot.vectors.values[name][users.used][users.compact[0]]
        centred = past - scoring.population.mean[name]
        total = total + users.weights[name][0] * (centred @ delta[name])
    return total


def sentences(person: Person, places: IntArray, *, personal: float | None = None) -> list[str]:
    """Why each of some of the candidates, by their places (K,)."""
    return _told(person, person.rows[places], person.parts(places), personal=personal)


def _told(
    person: Person, rows: IntArray, parts: FloatArray, *, personal: float | None
) -> list[str]:
    """Why each listing (K,), of what each event adds to it (M, K, H).

    Where nothing of the person counts (`personal` 0), nothing of theirs is the reason.
    """
    snapshot = person.snapshot
    if personal == 0.0:
        return [sentence(title(snapshot, row), []) for row in rows.tolist()]

    def title_of(event: int) -> str:
        return title(snapshot, int(person.past_rows[event]))

    reasons = strongest(parts, list(person.scorer.widths), title_of)
    return [
        sentence(title(snapshot, row), told)
        for row, told in zip(rows.tolist(), reasons, strict=True)
    ]


def title(snapshot: Snapshot, row: int) -> str:
    """Of a listing; its id where it has none."""
    named = snapshot.titles[row]
    return str(named) if isinstance(named, str) and named else str(snapshot.item_ids[row])


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
