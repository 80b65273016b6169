"""What sketches find of very many listings is what scoring all of them finds."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
import torch

from coldstart_models import answering, person, recommending
from coldstart_models.candidates import pool_rows
from coldstart_models.person import Person
from coldstart_models.recommending import Recommender
from coldstart_models.siamese.packing import pack
from coldstart_models.siamese.population import Population
from coldstart_models.siamese.scorer import HistoryBatch, Vectors
from coldstart_models.siamese.shelves import Shelves
from coldstart_models.siamese.sketch import Sketch
from coldstart_models.snapshot import ITEM_COLUMNS, Snapshot
from coldstart_models.user_history import UserHistory
from tests.coldstart_models.checkerboard import START, no_embeddings, titled
from tests.coldstart_models.test_recommending import HISTORY, recommender
from validation import tables

__all__ = ["recommender"]

COUNT, KINDS, K = 6_000, 40, 100


def listings(widths: dict[str, int], *, seed: int = 0) -> Vectors:
    """Items of some kinds: near their kind's middle in every modality, some lacking one."""
    generator = torch.Generator().manual_seed(seed)
    kind = torch.randint(KINDS, (COUNT,), generator=generator)
    values, present = {}, {}
    for name, width in widths.items():
        middles = torch.randn(KINDS, width, generator=generator)
        own = torch.randn(COUNT, width, generator=generator)
        there = torch.rand(COUNT, generator=generator) < 0.9
        values[name] = torch.nn.functional.normalize(middles[kind] + 0.6 * own) * there[:, None]
        present[name] = there
    return Vectors(values, present)


@pytest.fixture
def many(recommender: Recommender, monkeypatch: pytest.MonkeyPatch) -> Recommender:
    """The checkerboard's model over six thousand listings, of which few are scored exactly."""
    monkeypatch.setattr(recommending, "LARGE", 1_000)
    monkeypatch.setattr(person, "LARGE", 1_000)
    monkeypatch.setattr(answering, "MOST", 600)
    scorer = recommender._scoring.network.scorer
    vectors = listings(scorer.widths)
    generator = np.random.default_rng(0)
    rows = pack(vectors, generator.standard_normal(COUNT).astype(np.float32))
    items = pd.DataFrame({name: [None] * COUNT for name in ITEM_COLUMNS})
    items[tables.ITEM_ID] = [f"i{number:05d}" for number in range(COUNT)]
    items[tables.PRICE] = generator.uniform(1, 100, COUNT)
    items[tables.CATEGORY] = generator.choice(["Home > A", "Home > B"], COUNT)
    items[tables.AVAILABLE] = generator.random(COUNT) < 0.8
    snapshot = Snapshot(
        version=1,
        items=items,
        rows=rows,
        widths=scorer.widths,
        new=np.ones(COUNT, bool),
        deltas=np.zeros((COUNT, rows.shape[1] - 1), np.float32),
        biases=np.zeros(COUNT, np.float32),
        support=np.zeros(COUNT, np.int64),
    )
    chosen = torch.randint(COUNT, (64, 12), generator=torch.Generator().manual_seed(1))
    users = HistoryBatch(chosen, torch.zeros(64, 12), torch.zeros(64, 12, 6))
    return Recommender(
        tag="m:1",
        featurizer=recommender._featurizer,
        head=recommender._head,
        network=recommender._scoring.network,
        population=Population.of(scorer.profiles(vectors, users)),
        snapshot=snapshot,
    )


def history(seed: int, events: int = 30) -> UserHistory:
    rows = np.random.default_rng(seed).choice(COUNT, events, replace=False)
    days = tuple(START + timedelta(days=day) for day in range(events))
    return UserHistory(tuple(f"i{row:05d}" for row in rows), ("purchase",) * events, days)


def best_of_all(one: Recommender, given: UserHistory, **filters: object) -> list[str]:
    rows = pool_rows(one._snapshot, "all", **filters)  # type: ignore[arg-type]
    ids = [str(one._snapshot.item_ids[row]) for row in rows]
    scores = np.array(one.score(given, ids))
    return [ids[place] for place in np.argsort(-scores, kind="stable")[:K]]


def same(one: Sketch, other: Sketch) -> None:
    np.testing.assert_array_equal(one.prior, other.prior)
    for name, shelves in one.shelves.items():
        fresh = other.shelves[name]
        mine, theirs = np.argsort(shelves.listings), np.argsort(fresh.listings)
        np.testing.assert_array_equal(shelves.listings[mine], fresh.listings[theirs])
        for part, anew in (
            (shelves.numbers, fresh.numbers),
            (shelves.scales, fresh.scales),
            (kinds_of(shelves), kinds_of(fresh)),
        ):
            assert torch.equal(part[torch.from_numpy(mine)], anew[torch.from_numpy(theirs)])


def kinds_of(shelves: Shelves) -> torch.Tensor:
    return torch.arange(len(shelves.first) - 1).repeat_interleave(
        torch.from_numpy(np.diff(shelves.first))
    )


FILTERS: list[dict[str, object]] = [
    {},
    {"category": "Home > A"},
    {"max_price": 60.0, "min_price": 5.0},
    {"exclude": [f"i{number:05d}" for number in range(0, COUNT, 3)]},
]


@pytest.mark.parametrize("filters", FILTERS)
def test_a_hundred_of_very_many_are_those_of_scoring_all(
    many: Recommender, filters: dict[str, object]
) -> None:
    shares = []
    for seed in range(10):
        expected = best_of_all(many, history(seed), **filters)
        found = many.recommend(history(seed), k=K, pool="all", **filters)  # type: ignore[arg-type]
        shares.append(len({item.item_id for item in found} & set(expected)) / K)
        scores = many.score(history(seed), [item.item_id for item in found])
        assert [item.score for item in found] == pytest.approx(scores, abs=1e-3)
    assert np.mean(shares) >= 0.95


@pytest.mark.parametrize("personal", [0.0, 0.3, 1.0])
def test_the_best_are_looked_for_where_the_control_between_general_and_personal_stands(
    many: Recommender, personal: float
) -> None:
    rows = pool_rows(many._snapshot, "all")
    ids = many._snapshot.item_ids[rows]
    scores = np.array(many.score(history(1), ids.tolist(), personal=personal))
    expected = set(ids[np.argsort(-scores, kind="stable")[:K]])
    found = many.recommend(history(1), k=K, pool="all", personal=personal)
    assert len({item.item_id for item in found} & expected) / K >= 0.95


def teach_half(many: Recommender) -> None:
    """Let every other listing be new, and learn from customers who move it far."""
    generator = np.random.default_rng(7)
    new = generator.random(COUNT) < 0.5
    rows = np.flatnonzero(new)
    many._snapshot = replace(many._snapshot, new=new).with_lessons(
        rows,
        np.zeros((len(rows), many._snapshot.deltas.shape[1]), np.float32),
        generator.normal(-5.0, 20.0, len(rows)).astype(np.float32),
        np.full(len(rows), 5),
    )


def test_among_known_items_the_best_are_those_of_all_whose_places_are_held(
    many: Recommender,
) -> None:
    teach_half(many)
    shares = []
    for seed in range(5):
        left = pool_rows(many._snapshot, "all", exclude=set(history(seed).item_ids))
        ids = many._snapshot.item_ids[left]
        scores = np.array(many.score(history(seed), ids.tolist(), pool="all"))
        expected = ids[np.argsort(-scores, kind="stable")[:K]].tolist()
        found = many.recommend(history(seed), k=K, pool="all", exclude=set(history(seed).item_ids))
        shares.append(len({item.item_id for item in found} & set(expected)) / K)
    assert np.mean(shares) >= 0.95


def test_among_known_items_few_of_the_new_listings_are_scored_exactly_too(
    many: Recommender,
) -> None:
    teach_half(many)
    snapshot, scoring, most = many._snapshot, many._scoring, 600
    rows = pool_rows(snapshot, "all")
    assert snapshot.new[rows].sum() > 3 * most
    found = Person.of(
        scoring.scorer,
        snapshot,
        history(1),
        rows,
        most=most,
        mean=scoring.population_mean,
        together=True,
    )
    assert found is not None
    assert most < len(found.rows) <= 2 * most


@pytest.mark.parametrize("taught", [False, True])
def test_far_down_a_list_of_very_many_a_page_goes_on_where_the_ones_before_ended(
    many: Recommender, taught: bool
) -> None:
    if taught:
        teach_half(many)
    whole = [item.item_id for item in many.recommend(history(1), k=1_000, pool="all")]
    shown = whole[:900]
    page = [item.item_id for item in many.recommend(history(1), k=10, pool="all", shown=shown)]
    assert len(page) == 10
    assert len(set(page) & set(whole[900:920])) >= 8


def test_what_first_customers_lifted_is_found_and_so_is_a_listing_that_was_just_added(
    many: Recommender,
) -> None:
    person_of = history(3)
    snapshot = many._snapshot
    row = int(np.argmin(many.score(person_of, list(snapshot.item_ids))))
    many._snapshot = snapshot.with_lessons(
        np.array([row]),
        np.zeros((1, snapshot.deltas.shape[1]), np.float32),
        np.array([1000.0], np.float32),
        np.array([5]),
    )
    found = [item.item_id for item in many.recommend(person_of, k=K, pool="all", available=False)]
    assert found[0] == snapshot.item_ids[row]

    added = titled({"z1": "oak chair 98"})
    many.add_listings(added.frame, no_embeddings(1), no_embeddings(1))
    sketch = many._snapshot.sketch
    assert sketch is not None
    same(sketch, sketch.of(many._snapshot.rows))
    many.remove_listings(["z1", "i00000"])
    sketch = many._snapshot.sketch
    assert sketch is not None
    same(sketch, sketch.of(many._snapshot.rows))


def test_a_small_catalogue_has_no_sketch(recommender: Recommender) -> None:
    assert recommender._snapshot.sketch is None
    assert recommender.recommend(HISTORY, k=1)
