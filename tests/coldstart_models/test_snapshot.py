"""Versions of what ranking reads: what changes, what holds on, and who reads beside it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import psutil  # type: ignore[import-untyped]
import pytest

from coldstart_models.snapshot import ITEM_COLUMNS, REFERENCE_LEAST, Snapshot
from validation import tables


@pytest.fixture
def snapshot() -> Snapshot:
    """Two listings that nobody has chosen."""
    items = pd.DataFrame({tables.ITEM_ID: ["a", "b"]}).reindex(columns=list(ITEM_COLUMNS))
    return Snapshot(
        version=1,
        items=items,
        rows=np.eye(2, 3, dtype=np.float32),
        widths={"text": 2},
        new=np.ones(2, bool),
        deltas=np.zeros((2, 2), np.float32),
        biases=np.zeros(2, np.float32),
        support=np.zeros(2, np.int64),
    )


def test_a_listing_learns_while_a_request_derives_what_was_not_derived_yet(
    snapshot: Snapshot,
) -> None:
    class Meanwhile(str):
        """A name at which another thread's request comes in."""

        def __hash__(self) -> int:
            assert snapshot.position == {"a": 0, "b": 1}
            return super().__hash__()

    vars(snapshot)[Meanwhile("titles")] = ["told"]
    for name in ("position", "item_ids"):
        vars(snapshot).pop(name)
    later = snapshot.with_delta(1, np.ones(2, np.float32), 0.5, support=3)
    assert (later.version, later.support.tolist()) == (2, [0, 3])
    assert later.titles == ["told"]
    assert snapshot.support.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (0, REFERENCE_LEAST),
        (2, REFERENCE_LEAST),
        (REFERENCE_LEAST - 1, REFERENCE_LEAST),
        (REFERENCE_LEAST, REFERENCE_LEAST),
        (200, 200),
    ],
)
def test_few_new_listings_are_measured_against_others_too(
    snapshot: Snapshot, new: int, expected: int
) -> None:
    count = 400
    items = pd.DataFrame({tables.ITEM_ID: [f"i{row}" for row in range(count)]})
    held = replace(
        snapshot, items=items.reindex(columns=list(ITEM_COLUMNS)), new=np.arange(count) < new
    )
    reference = held.reference
    assert len(reference) >= 0.8 * expected
    assert (np.diff(reference) > 0).all()
    assert set(range(min(new, REFERENCE_LEAST))) <= set(reference.tolist())
    if new < REFERENCE_LEAST:
        assert reference.max() >= new
    else:
        assert reference.max() < new


def test_a_shop_of_few_listings_is_its_own_reference(snapshot: Snapshot) -> None:
    assert snapshot.reference.tolist() == [0, 1]


def test_listings_keep_what_they_learned_whatever_comes_and_goes(snapshot: Snapshot) -> None:
    taught = snapshot.with_delta(1, np.array([3, 4], np.float32), 0.5, support=2)
    new = pd.DataFrame({tables.ITEM_ID: ["0", "b"]})
    grown = taught.with_items(new, np.ones((2, 3), np.float32))
    assert grown.item_ids.tolist() == ["0", "a", "b"]
    assert grown.deltas.tolist() == [[0, 0], [0, 0], [3, 4]]
    assert grown.support.tolist() == [0, 0, 2]
    assert grown.without_items(["a"]).deltas.tolist() == [[0, 0], [3, 4]]
    assert grown.without_deltas(["b"]).deltas.tolist() == [[0, 0]] * 3
    assert {name: one.tolist() for name, one in grown.delta(2).items()} == {"text": [3, 4]}


def test_what_one_of_very_many_listings_learned_takes_no_memory_of_the_others(
    snapshot: Snapshot,
) -> None:
    count, width = 100_000, 1_000
    many = replace(
        snapshot,
        deltas=np.zeros((count, width), np.float32),  # 400 MB if they were written to
        biases=np.zeros(count, np.float32),
        support=np.zeros(count, np.int64),
    )
    process = psutil.Process()
    before = process.memory_info().rss
    later = many.with_lessons(
        np.array([7]), np.ones((1, width), np.float32), np.ones(1, np.float32), np.array([3])
    ).with_delta(9, np.ones(width, np.float32), 0.5, support=1)
    assert process.memory_info().rss - before < 100e6
    assert np.flatnonzero(later.deltas[:, 0]).tolist() == [7, 9]
