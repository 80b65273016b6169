"""Choices are counted as the log grows, and anew where it was written anew."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from coldstart_models.sales import READ, Sales
from coldstart_models.snapshot import ITEM_COLUMNS, Snapshot
from feature_repo.event_log import event_log
from feature_repo.home import Home
from validation import tables

START = datetime(2026, 3, 1, tzinfo=UTC)
IDS = np.array(["a", "b", "c"], dtype=object)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def told(*events: tuple[str, str, float]) -> pd.DataFrame:
    """Events of an item, a type and a day."""
    items, kinds, days = zip(*events, strict=True)
    return pd.DataFrame(
        {
            tables.EVENT_ID: [f"{item}-{kind}-{day}" for item, kind, day in events],
            tables.USER_ID: "u",
            tables.ITEM_ID: items,
            tables.EVENT_TYPE: kinds,
            tables.EVENT_TIMESTAMP: [START + timedelta(days=day) for day in days],
            tables.SOURCE: "test",
        }
    )


def append(home: Home, *events: tuple[str, str, float]) -> None:
    event_log(home).append(tables.EVENTS.to_arrow(told(*events)))


def whole(home: Home) -> Sales:
    state = event_log(home).state()
    return Sales.of(state.read(READ).to_pandas(), IDS, position=state.position)


def test_positive_events_of_served_items_count_by_when_they_happened(home: Home) -> None:
    append(home, ("a", "purchase", 0), ("a", "impression", 7), ("zz", "click", 9), ("b", "cart", 7))
    sales = whole(home)
    assert sales.recent.sums == pytest.approx([0.5, 1.0, 0.0])
    assert sales.position == event_log(home).state().position


def test_what_came_since_is_added_and_what_came_late_counts_as_if_it_had_not(home: Home) -> None:
    append(home, ("a", "purchase", 0), ("b", "click", 3))
    before = whole(home)
    assert before.caught_up(event_log(home).state(), IDS) is before
    append(home, ("c", "rating", 14), ("a", "click", 1))
    later = before.caught_up(event_log(home).state(), IDS)
    assert later.recent.sums == pytest.approx(whole(home).recent.sums)
    assert later.recent.sums[2] == 1.0
    assert later.position == event_log(home).state().position


def test_of_a_log_that_was_written_anew_nothing_is_kept(home: Home) -> None:
    append(home, ("a", "purchase", 0), ("b", "click", 3))
    before = whole(home)
    elsewhere = Home(home.root / "elsewhere")
    append(elsewhere, ("b", "click", 3))
    state = event_log(elsewhere).state()
    assert state.generation != before.position.generation
    assert before.caught_up(state, IDS).recent.sums == pytest.approx([0.0, 1.0, 0.0])


def test_a_file_of_another_program_is_counted_anew_wherever_it_was_changed(home: Home) -> None:
    home.events.parent.mkdir(parents=True)
    pq.write_table(tables.EVENTS.to_arrow(told(("a", "click", 0), ("b", "click", 0))), home.events)
    before = whole(home)
    assert before.caught_up(event_log(home).state(), IDS) is before
    longer = told(("c", "click", 0), ("c", "cart", 0), ("c", "purchase", 0))
    pq.write_table(tables.EVENTS.to_arrow(longer), home.events)
    later = before.caught_up(event_log(home).state(), IDS)
    assert later.recent.sums.tolist() == [0.0, 0.0, 3.0]


def snapshot(sales: Sales | None) -> Snapshot:
    """The listing `c` is new."""
    items = pd.DataFrame({tables.ITEM_ID: IDS}).reindex(columns=list(ITEM_COLUMNS))
    return Snapshot(
        version=1,
        items=items,
        rows=np.eye(3, dtype=np.float32),
        widths={"text": 2},
        new=np.array([False, False, True]),
        deltas=np.zeros((3, 2), np.float32),
        biases=np.zeros(3, np.float32),
        support=np.zeros(3, np.int64),
        sales=sales,
    )


def test_a_snapshot_keeps_each_listings_own_count_whoever_comes_and_goes(home: Home) -> None:
    append(home, ("a", "click", 0), ("b", "click", 0), ("b", "cart", 0), ("c", "click", 0))
    first = snapshot(whole(home))
    assert first.selling.tolist() == pytest.approx([-1.0, 1.0, 0.0])
    arriving = pd.DataFrame({tables.ITEM_ID: ["aa", "b"], tables.TITLE: ["rug", "sofa"]})
    second = first.with_items(arriving, np.ones((2, 3), np.float32))
    assert second.item_ids.tolist() == ["a", "aa", "b", "c"]
    assert second.sales is not None
    assert second.sales.recent.sums == pytest.approx([1.0, 0.0, 2.0, 1.0])
    assert second.selling.tolist() == pytest.approx([-1.0, 0.0, 1.0, 0.0])
    third = second.without_items(["a"])
    assert third.sales is not None
    assert third.sales.recent.sums == pytest.approx([0.0, 2.0, 1.0])
    assert third.without_items(["aa", "b", "c"]).with_items(arriving, np.ones((2, 3), np.float32))
    learned = second.with_delta(3, np.ones(2, np.float32), 0.5, support=2)
    assert learned.selling is second.selling


def test_with_another_count_the_next_version_sells_otherwise_and_knows_the_rest(home: Home) -> None:
    append(home, ("a", "click", 0), ("b", "click", 0), ("b", "cart", 0))
    first = snapshot(whole(home))
    first.warm()
    append(home, *[("a", "click", day / 10) for day in range(1, 9)])
    assert first.sales is not None
    later = first.with_sales(first.sales.caught_up(event_log(home).state(), IDS))
    assert later.version == 2
    assert later.selling.tolist() == pytest.approx([1.0, -1.0, 0.0])
    assert first.selling.tolist() == pytest.approx([-1.0, 1.0, 0.0])
    assert later.position is first.position


def test_where_nobody_counted_nothing_sells() -> None:
    assert snapshot(None).selling.tolist() == [0.0, 0.0, 0.0]
    assert replace(snapshot(None), sales=None).without_items(["a"]).sales is None
