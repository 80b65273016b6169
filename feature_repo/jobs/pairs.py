"""The listings that have a photo's vector and a text's, by id, in memory that hardly grows.

Names and row numbers alone are sorted; what is shown of the listings follows range by range.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from feature_repo.feature_tables import CREATED_TIMESTAMP
from feature_repo.jobs.contents import READ_BUFFER
from feature_repo.jobs.ranges import in_order
from validation import tables

Rows = npt.NDArray[np.int64]
KEY: Final = tables.ITEM_ID
ROW: Final = "row"


def write_pairs(
    photos: Path,
    texts: Path,
    catalogue: Path,
    *,
    path: Path,
    shown: Sequence[str],
    names: tuple[str, str],
    folder: Path,
    chunk: int,
) -> int:
    """Write a row for each listing that has both: its columns and where its vectors are.

    Args:
        photos, texts: embedding tables; the newest row of an item counts.
        shown: columns of the catalogue, the id among them; null where it has no such item any more.
        names: of the columns with the row in `photos` and in `texts`.
        folder: for what is on disk meanwhile.
        chunk: rows that are written at once.

    Returns:
        How many have both.
    """
    (ids, photo_rows), (text_ids, text_rows) = newest_rows_of(photos), newest_rows_of(texts)
    left, right = matched(ids, text_ids)
    ids, photo_rows, text_rows = ids.take(pa.array(left)), photo_rows[left], text_rows[right]
    del text_ids, left, right
    listed = np.zeros(len(ids), dtype=bool)
    ranks = np.full(pq.read_metadata(catalogue).num_rows, -1, np.int64)
    here, there = matched(ids, _columns(catalogue, [KEY])[KEY])
    listed[here], ranks[there] = True, np.arange(len(there))
    schema = pa.schema([tables.ITEMS.schema.field(name) for name in shown])
    written = schema
    for name in names:
        written = written.append(pa.field(name, pa.int64()))
    rows = _in_chunks(
        in_order([catalogue], [ranks], schema=schema, folder=folder), listed, chunk, schema
    )
    first = 0
    with pq.ParquetWriter(path, written, compression="lz4") as writer:
        for part in rows:
            last = first + part.num_rows
            columns = {name: part[name] for name in shown}
            columns[KEY] = ids.slice(first, part.num_rows)
            columns |= {names[0]: photo_rows[first:last], names[1]: text_rows[first:last]}
            writer.write_table(pa.table(columns, schema=written))
            first = last
    return first


def newest_rows_of(path: Path) -> tuple[pa.ChunkedArray, Rows]:
    """The items of an embedding table in ascending order, each with its newest row.

    Of rows of one time the later in the file counts, as everywhere.
    """
    read = _columns(path, [KEY, tables.EVENT_TIMESTAMP, CREATED_TIMESTAMP])
    read = read.append_column(ROW, pa.array(np.arange(read.num_rows)))
    order = pc.sort_indices(
        read,
        sort_keys=[
            (KEY, "ascending"),
            (tables.EVENT_TIMESTAMP, "descending"),
            (CREATED_TIMESTAMP, "descending"),
            (ROW, "descending"),
        ],
    )
    ascending = read[KEY].take(order)
    first = _differs(ascending)
    return ascending.filter(pa.array(first)), np.asarray(order)[first].astype(np.int64)


def matched(left: pa.ChunkedArray, right: pa.ChunkedArray) -> tuple[Rows, Rows]:
    """Where equal names stand in both, in ascending order of the names; each has a name once."""
    together = pa.chunked_array([*left.chunks, *right.chunks], pa.string())
    order = pc.sort_indices(together)  # equal ones stay in their order: left, then right
    same = ~_differs(together.take(order))
    places = np.asarray(order).astype(np.int64)
    second = np.flatnonzero(same)
    return places[second - 1], places[second] - len(left)


def _differs(ascending: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """(N,) whether a name is not the one before it."""
    count = len(ascending)
    differs = np.ones(count, dtype=bool)
    if count > 1:
        differs[1:] = np.asarray(pc.not_equal(ascending.slice(1), ascending.slice(0, count - 1)))
    return differs


def _in_chunks(
    tables_in_order: Iterator[pa.Table],
    listed: npt.NDArray[np.bool_],
    chunk: int,
    schema: pa.Schema,
) -> Iterator[pa.Table]:
    """The rows in chunks, with nulls for those that are not listed."""
    held = schema.empty_table()
    for first in range(0, len(listed), chunk):
        here = listed[first : first + chunk]
        needed = int(here.sum())
        while held.num_rows < needed:
            held = pa.concat_tables([held, next(tables_in_order)])
        places = np.cumsum(here) - 1
        yield held.take(pa.array(places, mask=~here))
        held = held.slice(needed)


def _columns(path: Path, names: Sequence[str]) -> pa.Table:
    with pq.ParquetFile(path, buffer_size=READ_BUFFER, pre_buffer=False) as file:
        return file.read(columns=list(names))
