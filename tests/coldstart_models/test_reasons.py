"""Reasons name the history item and the kind of content that a score truly comes from."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
import torch

from coldstart_models.candidates import NEW
from coldstart_models.explaining import PHRASES, Explanation, explained, sentences
from coldstart_models.person import Person
from coldstart_models.scoring import Scoring
from coldstart_models.siamese.network import MetaSiamese
from coldstart_models.siamese.packing import pack
from coldstart_models.siamese.population import Population
from coldstart_models.siamese.scorer import HistoryBatch, Vectors
from coldstart_models.snapshot import ITEM_COLUMNS, Snapshot
from coldstart_models.user_history import UserHistory
from tests.coldstart_models.checkerboard import START
from validation import tables

KINDS = ("photo", "text", "attributes")
OTHERS, WIDTH = 64, 8
TWINS = {kind: f"its {kind} twin" for kind in KINDS}
"""History items; each has one kind of content in common with the lamp."""


@pytest.fixture
def shop() -> tuple[Scoring, Snapshot]:
    """A new lamp, its three twins, and others, everything else in random directions."""
    generator = torch.Generator().manual_seed(5)
    count = len(KINDS) + 1 + OTHERS
    values = {
        kind: torch.nn.functional.normalize(torch.randn(count, WIDTH, generator=generator))
        for kind in KINDS
    }
    lamp = len(KINDS)
    for at, kind in enumerate(KINDS):
        values[kind][at] = values[kind][lamp]
    vectors = Vectors(values, {kind: torch.ones(count, dtype=torch.bool) for kind in KINDS})
    network = MetaSiamese(dict.fromkeys(KINDS, WIDTH), dates=False, generator=generator)
    titles = [*TWINS.values(), "lamp", *(f"other {number}" for number in range(OTHERS))]
    items = pd.DataFrame({name: [None] * count for name in ITEM_COLUMNS})
    items[tables.TITLE] = titles
    items[tables.ITEM_ID] = [f"{number:03d}" for number in range(count)]
    snapshot = Snapshot(
        version=1,
        items=items,
        rows=pack(vectors, np.zeros(count, np.float32)),
        widths=network.scorer.widths,
        new=np.arange(count) >= lamp,
        deltas=np.zeros((count, len(KINDS) * WIDTH), np.float32),
        biases=np.zeros(count, np.float32),
        support=np.zeros(count, np.int64),
    )
    chosen = torch.randint(count, (32, 4), generator=generator)
    people = HistoryBatch(chosen, torch.zeros(32, 4), torch.zeros(32, 4, 6))
    population = Population.of(network.scorer.profiles(vectors, people))
    return Scoring(network, population, now=lambda: datetime.now(UTC)), snapshot


def history(*numbers: int) -> UserHistory:
    days = tuple(START + timedelta(days=day) for day in range(len(numbers)))
    return UserHistory(tuple(f"{one:03d}" for one in numbers), ("purchase",) * len(numbers), days)


def told(shop: tuple[Scoring, Snapshot], given: UserHistory) -> Explanation:
    scoring, snapshot = shop
    return explained(scoring, snapshot, given, len(KINDS), pool=NEW, personal=None)


def weigh(shop: tuple[Scoring, Snapshot], weights: dict[str, float]) -> None:
    """Set what each kind's nearest term weighs; averages weigh nothing."""
    with torch.no_grad():
        for at, (kind, form) in enumerate(shop[0].scorer.terms):
            shop[0].scorer.term_weights[at] = weights[kind] if form == "nearest" else 0.0


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_each_part_is_of_the_item_and_the_kind_of_content_that_it_comes_from(
    shop: tuple[Scoring, Snapshot], order: Sequence[int]
) -> None:
    weigh(shop, dict.fromkeys(KINDS, 1.0))
    found = told(shop, history(*order))
    for at, kind in enumerate(KINDS):
        parts = {
            part.history_item_id: part.value for part in found.contributions if part.term == kind
        }
        assert set(parts) == {"000", "001", "002"}
        assert max(parts, key=lambda item_id: parts[item_id]) == f"{at:03d}"
    assert sum(part.value for part in found.contributions) == pytest.approx(found.score, abs=1e-4)


@pytest.mark.parametrize("first", range(len(KINDS)))
def test_the_sentence_names_the_items_that_add_most_and_by_what(
    shop: tuple[Scoring, Snapshot], first: int
) -> None:
    """In the order of what they add: the kinds weigh 3, 2 and 1 in turn."""
    ranked = [KINDS[(first + at) % len(KINDS)] for at in range(len(KINDS))]
    weigh(shop, dict(zip(ranked, (3.0, 2.0, 1.0), strict=True)))
    best, second, _ = ranked
    expected = (
        f"lamp: because of “{TWINS[best]}”, which {PHRASES[best]} "
        f"and “{TWINS[second]}”, which {PHRASES[second]}."
    )
    given = history(2, 0, 1)
    assert told(shop, given).sentence == expected
    scoring, snapshot = shop
    person = Person.of(scoring.scorer, snapshot, given, np.array([len(KINDS), 5, 6]))
    assert person is not None
    assert sentences(person, np.array([0]))[0] == expected
