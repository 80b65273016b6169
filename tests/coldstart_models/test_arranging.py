"""Pages that differ within, and newer listings sooner: exact orders on a provable snapshot."""

import numpy as np
import pandas as pd
import pytest

from coldstart_models.arranging import (
    BEST_FIRST,
    Arrangement,
    first_best,
    freshness,
    marginal_relevance,
)
from coldstart_models.candidates import pool_rows
from coldstart_models.errors import ConfigError
from coldstart_models.snapshot import Snapshot
from validation import tables

IDS = ["a", "b", "c", "d"]
SCORES = np.array([1.0, 0.9, 0.5, 0.0], np.float32)
ROWS = np.arange(4)


@pytest.fixture
def snapshot() -> Snapshot:
    """`a` and `b` are equal; `c` and `d` are like nothing else. `d` is the newest, `b` undated."""
    vectors = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    items = pd.DataFrame(
        {
            tables.ITEM_ID: IDS,
            tables.TITLE: IDS,
            tables.CATEGORY: ["Home > Sofas", "Home > Lamps", None, "Home > Sofas > Beds"],
            tables.PRICE: [10.0, 20.0, None, 30.0],
            tables.AVAILABLE: [True, False, None, True],
            tables.DOMAIN: [None] * 4,
            tables.LISTED_AT: pd.to_datetime(
                ["2026-01-01", None, "2026-01-15", "2026-01-29"], utc=True
            ),
        }
    )
    presence = np.ones((4, 1), np.float32)
    return Snapshot(
        version=1,
        items=items,
        rows=np.hstack([vectors, presence * 0]).astype(np.float32),
        widths={"text": 3},
        new=np.ones(4, bool),
        deltas=np.zeros((4, 3), np.float32),
        biases=np.zeros(4, np.float32),
        support=np.zeros(4, np.int64),
    )


def order(snapshot: Snapshot, arrangement: Arrangement, k: int = 3) -> list[str]:
    return [IDS[column] for column in arrangement.order(snapshot, ROWS, SCORES, k=k)]


def test_by_default_the_best_come_first(snapshot: Snapshot) -> None:
    assert order(snapshot, BEST_FIRST) == ["a", "b", "c"]


def test_diversity_gives_the_place_of_the_equal_one_to_another(snapshot: Snapshot) -> None:
    assert order(snapshot, Arrangement(diversity=0.5)) == ["a", "c", "d"]
    assert order(snapshot, Arrangement(diversity=0.2)) == ["a", "b", "c"]
    assert sorted(order(snapshot, Arrangement(diversity=1.0), k=4)) == IDS


def test_freshness_halves_in_a_fortnight_and_lifts_the_newest(snapshot: Snapshot) -> None:
    assert freshness(snapshot).tolist() == [0.25, 0.0, 0.5, 1.0]
    scores = np.array([1.0, 0.9, 0.5, 0.2], np.float32)  # σ = 0.32
    lifted = Arrangement(freshness=1.0).order(snapshot, ROWS, scores, k=4)
    assert [IDS[column] for column in lifted] == ["a", "b", "d", "c"]  # 1.16, 0.90, 0.84, 0.82


def test_marginal_relevance_is_that_of_its_formula() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(30, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = np.sort(random.normal(size=30).astype(np.float32))[::-1].copy()
    alike = vectors @ vectors.T
    scaled = (scores - scores.min()) / (scores.max() - scores.min())
    chosen: list[int] = []
    for _ in range(8):
        left = [place for place in range(30) if place not in chosen]
        gains = [
            0.6 * scaled[place] - 0.4 * (max(alike[place][chosen]) if chosen else 0.0)
            for place in left
        ]
        chosen.append(left[int(np.argmax(gains))])
    assert marginal_relevance(scores, alike, k=8, relevance=0.6).tolist() == chosen


@pytest.mark.parametrize("wrong", [{"diversity": -0.1}, {"freshness": 1.5}])
def test_a_control_outside_its_range_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="expected 0 to 1"):
        Arrangement(**wrong)


def test_filters_by_category_price_and_availability(snapshot: Snapshot) -> None:
    def rows(**filters: object) -> list[str]:
        return [IDS[row] for row in pool_rows(snapshot, "all", **filters)]  # type: ignore[arg-type]

    assert rows() == ["a", "c", "d"]
    assert rows(available=False) == IDS
    assert rows(category="Home > Sofas") == ["a", "d"]
    assert rows(category=" home>SOFAS") == ["a", "d"]
    assert rows(min_price=15) == ["d"]
    assert rows(max_price=15) == ["a", "c"]
    assert rows(min_price=5, max_price=15, exclude=["c"]) == ["a"]


def test_of_many_candidates_the_best_are_the_same_as_of_all_sorted() -> None:
    generator = np.random.default_rng(0)
    scores = generator.integers(0, 40, 5_000).astype(np.float32)
    for k in (0, 1, 7, 30):
        expected = np.argsort(-scores, kind="stable")[:k]
        assert first_best(scores, k).tolist() == expected.tolist()
