"""Every item's newest vector in one memory-mapped file, for processes that serve.

`materialize` writes a new version beside the last one and then names it in ``current.json``, by
one atomic rename: a reader has the old version or the new one, whole. A push adds a small patch
file to the version. ``current.json`` also tells which state of the offline table it mirrors; where
the table has become another one since, there is no snapshot until the next `materialize`. It holds
the checksums of its files, too: a version that a machine without power, or a full disk, left torn
is refused and forgotten, the table itself is read, and the next `materialize` writes it anew.

    snapshots/item_vector/current.json         version, rows, width, patches, the table's state
    snapshots/item_vector/v000003/vectors.f32  N × D little-endian float32, ascending item_id
    snapshots/item_vector/v000003/rows.arrow   item_id, tag and time of each row
    snapshots/item_vector/v000003/000001.arrow the rows of the first push since

"""

import logging
import shutil
import threading
import zlib
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from feature_repo.errors import FeatureError
from feature_repo.feature_tables import (
    CREATED_TIMESTAMP,
    FEATURE_TABLES,
    ITEM_VECTOR,
    FeatureTable,
)
from feature_repo.home import Home
from feature_repo.newest_rows import TableColumns, newest_batches, newest_row_numbers
from feature_repo.snapshot_state import (
    CURRENT,
    SnapshotState,
    last_version,
    name_current,
    snapshot_state,
    table_state,
)
from validation import tables
from validation.whole_files import alone, flush

log = logging.getLogger(__name__)

VIEWS: Final = frozenset({ITEM_VECTOR.name})
"""Views that have a snapshot: those whose vectors a service holds in memory."""
VECTORS: Final = "vectors.f32"
ROWS: Final = "rows.arrow"
CHECKED_BYTES: Final = 1 << 26
"""Read and checked in one go: threads that hold Python's lock are waited for in between."""
BATCH: Final = 8_000
_READING: Final = threading.Lock()
ATTEMPTS: Final = 3
"""How often a reader looks again where a version was removed while it was being opened."""


class TornSnapshot(FeatureError):  # noqa: N818 - reads as the fact it states
    """A file of a snapshot is not what was written."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """One vector an item, in ascending `item_id`."""

    item_ids: npt.NDArray[np.object_]
    """(N,)"""
    matrix: npt.NDArray[np.float32]
    """(N, D)"""
    tags: npt.NDArray[np.object_]
    """(N,): the encoder or model that made each vector."""


def write_snapshot(home: Home, view: str) -> SnapshotState | None:
    """Write the newest vectors as the next version. Hold the lock of the view's table.

    None, and no snapshot, where the table is empty or its vectors have several widths.
    """
    table, path = FEATURE_TABLES[view], home.feature_table(view)
    folder, columns = home.vector_snapshots(view), _columns(table)
    last = last_version(folder)
    numbers = newest_row_numbers(path, columns=columns)
    meta = pq.read_table(path, columns=_described_by(table)).take(numbers)
    order = pc.sort_indices(meta[table.key])
    place = np.empty(len(numbers), np.int64)
    place[np.asarray(order)] = np.arange(len(numbers))
    version = folder / f"v{last + 1:06d}"
    shutil.rmtree(version, ignore_errors=True)
    version.mkdir(parents=True)
    assert table.vector is not None
    matrix, first = None, 0
    for batch in newest_batches(path, columns=columns, names=[table.vector], size=BATCH):
        vectors = batch.column(0)
        width = matrix.shape[1] if matrix is not None else _first_width(vectors)
        block = _matrix(vectors, width=width)
        if block is None or not width:
            log.warning("%s holds vectors of several widths: it gets no snapshot", view)
            matrix = None
            break
        if matrix is None:
            matrix = np.memmap(
                version / VECTORS, np.dtype("<f4"), "w+", shape=(len(numbers), width)
            )
        matrix[place[first : first + len(block)]] = block
        first += len(block)
    if matrix is None:
        shutil.rmtree(version)
        (folder / CURRENT).unlink(missing_ok=True)
        return None
    matrix.flush()
    _write_rows(meta.take(order), version / ROWS)
    for name in (VECTORS, ROWS):
        flush(version / name)
    flush(version)
    state = SnapshotState(
        last + 1,
        len(numbers),
        matrix.shape[1],
        0,
        table_state(path),
        {name: _checksum(version / name) for name in (VECTORS, ROWS)},
    )
    name_current(state, folder)
    for old in folder.glob("v[0-9]*"):
        if old.name < f"v{last:06d}":  # a reader may still be opening the one before
            shutil.rmtree(old)
    return state


def patch_snapshot(home: Home, view: str, rows: pa.Table, *, mirrored: SnapshotState) -> None:
    """Add rows that were appended to the table the snapshot mirrored. Hold the table's lock.

    Rows of another width, which cannot be compared, leave the view without a snapshot.
    """
    table, folder = FEATURE_TABLES[view], home.vector_snapshots(view)
    assert table.vector is not None
    if _matrix(rows[table.vector].combine_chunks(), width=mirrored.width) is None:
        return
    state = replace(
        mirrored, patches=mirrored.patches + 1, table=table_state(home.feature_table(view))
    )
    columns = [*_described_by(table), table.vector]
    patch = folder / state.folder / _patch(state.patches)
    _write_rows(rows.select(columns), patch)
    flush(patch)
    if state.checksums:
        state = replace(state, checksums={**state.checksums, patch.name: _checksum(patch)})
    name_current(state, folder)


def read_snapshot(home: Home, view: str) -> Vectors | None:
    """The vectors, mapped into memory and patched; None where no snapshot mirrors the table.

    The matrix may be written to: changes stay in this process.
    """
    state: SnapshotState | None = None
    for _ in range(ATTEMPTS):
        if view not in VIEWS or (state := snapshot_state(home, view)) is None:
            return None
        version = home.vector_snapshots(view) / state.folder
        try:
            _require_whole(version, state)
            return _patched(version, state, FEATURE_TABLES[view])
        except FileNotFoundError:
            log.info("version %s of %s was replaced while it was being opened", state.name, view)
        except (TornSnapshot, ValueError, OSError) as error:  # Arrow's errors are of these two
            log.error("snapshot %s of %s is refused: %s", state.name, view, error)
            _forget(home, view, state)
            return None
    if state is not None and snapshot_state(home, view) == state:
        log.error("snapshot %s of %s is refused: it lacks files", state.name, view)
        _forget(home, view, state)
    return None


def read_ahead(home: Home, view: str) -> threading.Thread:
    """Begin to read the files of a snapshot, in a thread, for who opens it soon.

    They are then in the system's memory, and their checksums known. What is wrong with them is
    told to who opens it.
    """

    def read() -> None:
        with suppress(FeatureError, OSError, ValueError):
            if (state := snapshot_state(home, view)) is not None:
                _require_whole(home.vector_snapshots(view) / state.folder, state)

    reading = threading.Thread(target=read, name="coldstart-read-ahead", daemon=True)
    reading.start()
    return reading


def _require_whole(version: Path, state: SnapshotState) -> None:
    """Raise TornSnapshot naming the file that is not what was written."""
    for name, written in state.checksums.items():
        path = version / name
        stat = path.stat()
        found = _checksum_once(path, (stat.st_ino, stat.st_size, stat.st_mtime_ns))
        if found != written:
            raise TornSnapshot(f"{name} is {found} and was written as {written} (size-checksum)")


def _forget(home: Home, view: str, state: SnapshotState) -> None:
    """Have no snapshot until the next `materialize`, unless another one was written meanwhile."""
    with alone(home.vector_snapshots(view) / ".forget.lock"):
        if snapshot_state(home, view) == state:
            (home.vector_snapshots(view) / CURRENT).unlink(missing_ok=True)


def _checksum(path: Path) -> str:
    """Size and CRC-32 of a file: it finds what was torn, not what was forged."""
    size = crc = 0
    block = memoryview(bytearray(min(CHECKED_BYTES, max(1, path.stat().st_size))))
    with path.open("rb", buffering=0) as file:
        while taken := file.readinto(block):
            size, crc = size + taken, zlib.crc32(block[:taken], crc)
    return f"{size}-{crc:08x}"


def _checksum_once(path: Path, known_by: tuple[int, int, int]) -> str:
    """The same: a process that opens a snapshot again reads gigabytes for it once.

    Args:
        known_by: the file's number, size and time: where they differ it is another file.
    """
    with _READING:  # who comes while it is being read waits, and does not read it as well
        return _kept_checksum(path, known_by)


@lru_cache(maxsize=64)
def _kept_checksum(path: Path, _: tuple[int, int, int]) -> str:
    return _checksum(path)


def _patch(number: int) -> str:
    return f"{number:06d}.arrow"


def _patched(version: Path, state: SnapshotState, table: FeatureTable) -> Vectors:
    meta = _read_rows(version / ROWS)
    matrix: npt.NDArray[np.float32] = np.asarray(
        np.memmap(version / VECTORS, np.dtype("<f4"), "c", shape=(state.rows, state.width))
    )
    if not state.patches:
        return _vectors(meta, matrix, table)
    patch = _newest_patch(
        pa.concat_tables(
            _read_rows(version / _patch(number)) for number in range(1, state.patches + 1)
        ),
        table,
    )
    found = pc.index_in(patch[table.key], meta[table.key].combine_chunks())
    known = patch.filter(pc.is_valid(found))
    positions = np.asarray(found.drop_null())
    later = _not_older(known, meta.take(positions))
    positions, known = positions[later], known.filter(pa.array(later))
    assert table.vector is not None
    replaced = _matrix(known[table.vector].combine_chunks(), width=state.width)
    added = patch.filter(pc.is_null(found))
    new = _matrix(added[table.vector].combine_chunks(), width=state.width)
    assert replaced is not None
    assert new is not None
    matrix[positions] = replaced
    tags = meta[_tag(table)].to_numpy(zero_copy_only=False)
    tags[positions] = known[_tag(table)].to_numpy(zero_copy_only=False)
    ids = meta[table.key].to_numpy(zero_copy_only=False)
    if not added.num_rows:
        return Vectors(ids, matrix, tags)
    ids = np.concatenate([ids, added[table.key].to_numpy(zero_copy_only=False)])
    order = np.asarray(pc.sort_indices(pa.array(ids, pa.string())))
    tags = np.concatenate([tags, added[_tag(table)].to_numpy(zero_copy_only=False)])
    return Vectors(ids[order], np.concatenate([matrix, new])[order], tags[order])


def _vectors(meta: pa.Table, matrix: npt.NDArray[np.float32], table: FeatureTable) -> Vectors:
    return Vectors(
        item_ids=meta[table.key].to_numpy(zero_copy_only=False),
        matrix=matrix,
        tags=meta[_tag(table)].to_numpy(zero_copy_only=False),
    )


def _newest_patch(patches: pa.Table, table: FeatureTable) -> pa.Table:
    """The newest row of each key; of two of the same time the later one, as in the table."""
    numbered = patches.append_column("number", pa.array(range(patches.num_rows), pa.int64()))
    order = [(tables.EVENT_TIMESTAMP, "descending"), ("number", "descending")]
    ordered = numbered.take(pc.sort_indices(numbered, order))
    ranked = ordered.append_column("rank", pa.array(range(ordered.num_rows), pa.int64()))
    chosen = ranked.group_by(table.key).aggregate([("rank", "min")])["rank_min"]
    return ordered.take(chosen)


def _not_older(rows: pa.Table, stored: pa.Table) -> npt.NDArray[np.bool_]:
    """(N,): whether each row takes the place of the stored one, by event time."""
    new, old = (
        np.asarray(part[tables.EVENT_TIMESTAMP].cast(pa.int64())) for part in (rows, stored)
    )
    return np.asarray(new >= old)


def _matrix(vectors: pa.Array, *, width: int) -> npt.NDArray[np.float32] | None:
    """(N, width); None where a vector has another width or is null."""
    if vectors.null_count:
        return None
    flat = np.asarray(vectors.flatten(), dtype=np.float32)
    widths = np.asarray(pc.list_value_length(vectors))
    return flat.reshape(len(vectors), width) if (widths == width).all() else None


def _first_width(vectors: pa.Array) -> int:
    """Of the first vector; 0 where it is null."""
    return pc.list_value_length(vectors)[0].as_py() or 0


def _described_by(table: FeatureTable) -> list[str]:
    """The columns beside a vector that a snapshot keeps."""
    return [table.key, _tag(table), tables.EVENT_TIMESTAMP]


def _columns(table: FeatureTable) -> TableColumns:
    return TableColumns(table.key, tables.EVENT_TIMESTAMP, CREATED_TIMESTAMP)


def _tag(table: FeatureTable) -> str:
    """The column that tells who made a vector."""
    return "encoder" if "encoder" in table.schema.names else "model"


def _write_rows(rows: pa.Table, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, rows.schema) as writer:
        writer.write_table(rows)


def _read_rows(path: Path) -> pa.Table:
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()
