"""Which rows stay in an embedding table is what a plain loop over them says."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_repo.feature_tables import ITEM_TEXT_EMBEDDING
from feature_repo.jobs import merging
from feature_repo.jobs.contents import CONTENTS
from feature_repo.jobs.merging import Pairs, plan
from feature_repo.jobs.worklist import CONTENTS_FILE, Worklist
from tests.feature_repo.samples import NOW

ITEM_IDS = ["a", "b", "ü", "z", "Z", "a "]
ROWS = st.lists(
    st.tuples(st.sampled_from(ITEM_IDS), st.sampled_from("01"), st.sampled_from(["ours", "old"])),
    max_size=8,
)
Row = tuple[str, str, str]


def embedding_file(path: Path, rows: list[Row]) -> Path:
    table = [
        {
            "item_id": item,
            "content_hash": content,
            "encoder_hash": encoder,
            "embedding": [1.0],
            "event_timestamp": NOW,
            "created_timestamp": NOW,
        }
        for item, content, encoder in rows
    ]
    schema = ITEM_TEXT_EMBEDDING.schema
    whole = [{name: row.get(name) for name in schema.names} for row in table]
    pq.write_table(pa.Table.from_pylist(whole, schema=schema), path, row_group_size=3)
    return path


def work_of(folder: Path, contents: dict[str, str]) -> Worklist:
    rows = [
        {"item_id": item, "value": "x", "content_hash": content, "event_timestamp": NOW}
        for item, content in contents.items()
    ]
    whole = [{name: row.get(name) for name in CONTENTS.names} for row in rows]
    pq.write_table(pa.Table.from_pylist(whole, schema=CONTENTS), folder / CONTENTS_FILE)
    return Worklist(folder, len(rows), len(rows), 0, 0, [])


@settings(max_examples=60, deadline=None)
@given(
    parts=st.lists(ROWS, min_size=1, max_size=3),
    stored=st.none() | ROWS,
    contents=st.dictionaries(st.sampled_from(ITEM_IDS), st.sampled_from("01")),
    item_ids=st.none() | st.sets(st.sampled_from(ITEM_IDS)),
    refused=st.sets(st.sampled_from(ITEM_IDS), max_size=2),
)
def test_the_plan_is_that_of_a_plain_loop(
    tmp_path_factory: pytest.TempPathFactory,
    parts: list[list[Row]],
    stored: list[Row] | None,
    contents: dict[str, str],
    item_ids: set[str] | None,
    refused: set[str],
) -> None:
    folder = tmp_path_factory.mktemp("merge")
    catalogue = folder / "items.parquet"
    pq.write_table(pa.table({"item_id": ["a", "b", "ü", "Z"]}), catalogue)
    table = folder / "table.parquet"
    if stored is not None:
        embedding_file(table, stored)
    merge = plan(
        parts=[embedding_file(folder / f"{n}.parquet", rows) for n, rows in enumerate(parts)],
        stored=table,
        table=ITEM_TEXT_EMBEDDING,
        encoder_hash="ours",
        work=work_of(folder, contents),
        catalogue=catalogue,
        item_ids=item_ids,
        refused=refused,
    )
    files = [*parts, *([stored] if stored is not None else [])]
    first: dict[str, tuple[int, int]] = {}
    for file, rows in enumerate(files):
        for number, (item, content, encoder) in enumerate(rows):
            known = contents.get(item) == content or (
                item_ids is not None and item not in item_ids and item in {"a", "b", "ü", "Z"}
            )
            if encoder == "ours" and known and item not in refused:
                first.setdefault(item, (file, number))
    expected: list[Any] = [[-1] * len(rows) for rows in files]
    for rank, item in enumerate(sorted(first)):
        file, number = first[item]
        expected[file][number] = rank
    assert [ranks.tolist() for ranks in merge.ranks] == expected
    assert merge.kept == len(first)
    assert merge.removed == len({item for item, _, _ in stored or ()} - set(first))


def test_items_of_one_hash_keep_their_own_contents(monkeypatch: pytest.MonkeyPatch) -> None:
    def colliding(values: pd.Series) -> Any:
        return np.array([0 if one in ("a", "b") else ord(one) for one in values], np.uint64)

    monkeypatch.setattr(merging, "hashed", colliding)
    batch = pa.record_batch({"item_id": ["b", "c", "a"], "content_hash": ["x", "y", "z"]})
    asked = pa.record_batch({"i": ["a", "a", "b", "c", "c"], "c": ["z", "y", "x", "x", "y"]})
    found = Pairs.of(iter([batch])).places(asked.column(0), asked.column(1))
    assert found.tolist() == [2, -1, 0, -1, 1]
