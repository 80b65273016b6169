"""A state folder with very many listings, made of the vectors of a trained shop.

Each listing is a blend of two of the shop's, nearer to the one whose place in the catalogue it has,
turned by noise a modality at a time and kept at its length, so that they are of the shop's kinds.
They are where a service reads them: in the catalogue and in the snapshot of `item_vector`.
"""

import os
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from coldstart_models.snapshot import Snapshot
from feature_repo import vector_snapshot
from feature_repo.feature_tables import CREATED_TIMESTAMP, ITEM_VECTOR
from feature_repo.home import Home
from feature_repo.snapshot_state import SnapshotState, name_current, table_state
from validation import tables

NOISE: Final = 0.35
"""Length of what turns a vector, beside its own."""
BLOCK: Final = 20_000


def stocked(home: Home, small: Snapshot, folder: Path, *, count: int) -> Home:
    """A state folder of so many listings; what is not theirs stays in the shop's own."""
    many = Home(folder)
    for path, own in ((home.root, folder), (home.items.parent, many.items.parent)):
        own.mkdir(parents=True, exist_ok=True)
        for entry in path.iterdir():
            if entry not in (home.items, home.items.parent, home.root / "snapshots"):
                (own / entry.name).symlink_to(entry)
    ids = pa.array([f"many-{number:07d}" for number in range(count)])
    shops = pq.read_table(home.items)
    kept = pa.array(small.item_ids.tolist())
    found = pc.index_in(kept, shops[tables.ITEM_ID].combine_chunks())
    items = shops.take(pa.array(np.resize(np.asarray(found), count)))
    pq.write_table(_renamed(items, ids), many.items)
    _write_snapshot(home, many, small, ids)
    return many


def hold_online(many: Home) -> None:
    """Write the vectors of a few of the listings into the online store: a service looks for some.

    All of a million would be gigabytes there, of which a recommendation reads none.
    """
    from bentos.recommender.readiness import some_of
    from feature_repo.store import Store

    vectors = Store(many).vectors(ITEM_VECTOR.name)
    few = np.flatnonzero(np.isin(vectors.item_ids, some_of(vectors.item_ids)))
    moment = pd.Timestamp.now("UTC")
    rows = {
        tables.ITEM_ID: vectors.item_ids[few],
        "vector": list(vectors.matrix[few]),
        "model": vectors.tags[few],
        tables.EVENT_TIMESTAMP: moment,
        CREATED_TIMESTAMP: moment,
    }
    Store(many)._feast.write_to_online_store(ITEM_VECTOR.name, pd.DataFrame(rows))


def _write_snapshot(home: Home, many: Home, small: Snapshot, ids: pa.Array) -> None:
    view = ITEM_VECTOR.name
    version = many.vector_snapshots(view) / "v000001"
    version.mkdir(parents=True)
    width = small.rows.shape[1]
    blended(small.rows, small.widths, count=len(ids), path=version / vector_snapshot.VECTORS)
    _forget(version / vector_snapshot.VECTORS)
    named = [tables.ITEM_ID, "model", tables.EVENT_TIMESTAMP]
    first = pq.read_table(home.feature_table(view), columns=named).select(named).slice(0, 1)
    rows = _renamed(first.take(pa.array(np.zeros(len(ids), np.int64))), ids)
    vector_snapshot._write_rows(rows, version / vector_snapshot.ROWS)
    state = SnapshotState(
        version=1,
        rows=len(ids),
        width=width,
        patches=0,
        table=table_state(many.feature_table(view)),
        checksums={
            name: vector_snapshot._checksum(version / name)
            for name in (vector_snapshot.VECTORS, vector_snapshot.ROWS)
        },
    )
    name_current(state, many.vector_snapshots(view))
    _forget(version / vector_snapshot.VECTORS)


def _renamed(rows: pa.Table, ids: pa.Array) -> pa.Table:
    """The rows under other item ids."""
    at = rows.schema.get_field_index(tables.ITEM_ID)
    return rows.set_column(at, tables.ITEM_ID, ids.cast(rows.schema.field(at).type))


def blended(
    rows: npt.NDArray[np.float32], widths: dict[str, int], *, count: int, path: Path
) -> None:
    """Write (count, D) rows of `item_vector`."""
    generator = np.random.default_rng(0)
    made = np.memmap(path, np.float32, "w+", shape=(count, rows.shape[1]))
    for first in range(0, count, BLOCK):
        size = min(BLOCK, count - first)
        one = np.arange(first, first + size) % len(rows)
        other = generator.integers(len(rows), size=size)
        share = generator.uniform(0.0, 0.5, (size, 1)).astype(np.float32)
        block = (1 - share) * rows[one] + share * rows[other]
        start = 0
        for width in widths.values():
            own, kept = block[:, start : start + width], rows[one, start : start + width]
            length = np.linalg.norm(kept, axis=1, keepdims=True)
            turn = generator.standard_normal(own.shape, dtype=np.float32) / np.sqrt(width)
            own += NOISE * length * turn
            own *= length / np.maximum(np.linalg.norm(own, axis=1, keepdims=True), 1e-12)
            start += width
        made[first : first + size] = block
    made.flush()


def forget(many: Home) -> None:
    """Have the system drop the vectors' files from its memory."""
    for path in many.vector_snapshots(ITEM_VECTOR.name).glob("v*/*"):
        _forget(path)


def _forget(path: Path) -> None:
    """Have the system drop the file from its memory, so that a start reads it from the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
