from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.encoders.encoder import Modality
from feature_repo.feature_tables import ITEM_TEXT_EMBEDDING
from feature_repo.home import Home
from feature_repo.jobs.batches import embedding_rows
from feature_repo.jobs.parts import TOGETHER, Parts
from feature_repo.jobs.worklist import WORK
from tests.feature_repo.samples import NOW, CountingEncoder, at

ENCODER = CountingEncoder(Modality.TEXT)


def parts(tmp_path: Path) -> Parts:
    return Parts(Home(tmp_path), ITEM_TEXT_EMBEDDING, encoder_hash="h")


def work(*items: list[str]) -> pa.Table:
    """A row of work for each list of items."""
    return pa.Table.from_pylist(
        [
            {
                "value": ["text"] * len(ids),
                "content_hash": f"hash of {ids[0]}",
                "item_id": ids,
                "event_timestamp": [at("2024-01-01")] * len(ids),
                "source": ["shop"] * len(ids),
            }
            for ids in items
        ],
        schema=WORK,
    )


def rows(*items: list[str]) -> pa.Table:
    vectors = np.arange(len(items) * 3, dtype=np.float32).reshape(-1, 3)
    return embedding_rows(
        work(*items), vectors, encoder=ENCODER, table=ITEM_TEXT_EMBEDDING, now=NOW
    )


def ids(held: Parts) -> list[str]:
    return sorted(
        item for path in held.files() for item in pq.read_table(path)["item_id"].to_pylist()
    )


def test_items_that_share_a_content_have_its_vector() -> None:
    table = rows(["a", "b"], ["c"])
    assert table.schema == ITEM_TEXT_EMBEDDING.schema
    assert table["item_id"].to_pylist() == ["a", "b", "c"]
    assert table["embedding"].to_pylist() == [[0, 1, 2], [0, 1, 2], [3, 4, 5]]
    assert table["content_hash"].to_pylist() == ["hash of a", "hash of a", "hash of c"]


def test_many_batches_become_few_files_and_no_row_is_lost(tmp_path: Path) -> None:
    held = parts(tmp_path)
    count = 2 * TOGETHER + 3
    for number in range(count):
        held.add(rows([f"i{number:04}"]))
    assert len(held.files()) == 2 + 3
    assert ids(held) == [f"i{number:04}" for number in range(count)]


def test_batches_of_a_killed_job_are_counted_on(tmp_path: Path) -> None:
    first = parts(tmp_path)
    for number in range(5):
        first.add(rows([f"a{number}"]))
    second = parts(tmp_path)
    for number in range(TOGETHER - 5):
        second.add(rows([f"b{number}"]))
    assert [path.name.partition("-")[0] for path in second.files()] == ["group"]
    assert len(ids(second)) == TOGETHER
    second.clear()
    assert not second.folder.exists()
