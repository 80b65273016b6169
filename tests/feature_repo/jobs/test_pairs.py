"""Listings with a photo's and a text's vector are those of a plain loop, by id."""

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_repo.feature_tables import CREATED_TIMESTAMP
from feature_repo.jobs.pairs import write_pairs
from tests.feature_repo.samples import NOW
from validation import tables

ITEM_IDS = ["a", "b", "ü", "z", "Z", "a "]
VECTORS = st.lists(
    st.tuples(st.sampled_from(ITEM_IDS), st.integers(0, 1), st.integers(0, 1)), max_size=9
)
Rows = list[tuple[str, int, int]]


def table(path: Path, rows: Rows) -> Path:
    columns = {
        "item_id": pa.array([item for item, _, _ in rows], pa.string()),
        "event_timestamp": pa.array(
            [NOW + timedelta(days=day) for _, day, _ in rows], tables.TIMESTAMP
        ),
        CREATED_TIMESTAMP: pa.array(
            [NOW + timedelta(days=day) for _, _, day in rows], tables.TIMESTAMP
        ),
    }
    pq.write_table(pa.table(columns), path, row_group_size=2)
    return path


def newest(rows: Rows) -> dict[str, int]:
    """Item → its newest row, of equal ones the last."""
    found: dict[str, int] = {}
    for number, (item, *times) in enumerate(rows):
        if item not in found or list(rows[found[item]][1:]) <= times:
            found[item] = number
    return found


@settings(max_examples=60, deadline=None)
@given(
    photos=VECTORS,
    texts=VECTORS,
    listed=st.lists(st.sampled_from(ITEM_IDS), unique=True),
    chunk=st.integers(1, 4),
)
def test_pairs_are_those_of_a_plain_loop(
    tmp_path_factory: pytest.TempPathFactory,
    photos: Rows,
    texts: Rows,
    listed: list[str],
    chunk: int,
) -> None:
    folder = tmp_path_factory.mktemp("pairs")
    items = pa.Table.from_pylist(
        [
            dict.fromkeys(tables.ITEMS.names) | {"item_id": item, "title": f"the {item}"}
            for item in listed
        ],
        schema=tables.ITEMS.schema,
    )
    pq.write_table(items, folder / "items.parquet")
    count = write_pairs(
        table(folder / "photos.parquet", photos),
        table(folder / "texts.parquet", texts),
        folder / "items.parquet",
        path=folder / "pairs.parquet",
        shown=["item_id", "title"],
        names=("photo", "text"),
        folder=folder / "ranges",
        chunk=chunk,
    )
    of_photos, of_texts = newest(photos), newest(texts)
    expected = [
        {
            "item_id": item,
            "title": f"the {item}" if item in listed else None,
            "photo": of_photos[item],
            "text": of_texts[item],
        }
        for item in sorted(set(of_photos) & set(of_texts))
    ]
    assert pq.read_table(folder / "pairs.parquet").to_pylist() == expected
    assert count == len(expected)
