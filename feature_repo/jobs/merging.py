"""New rows into an embedding table: sorted by item, in memory that hardly grows with the table.

Which rows stay is found from ids, hashes and times alone, some hundred bytes a row; their vectors
follow range by range. A database would join and sort them too, and holds two hundred bytes a row
for it.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from feature_repo.feature_tables import (
    CONTENT_HASH,
    CREATED_TIMESTAMP,
    ENCODER_HASH,
    FeatureTable,
)
from feature_repo.jobs.contents import READ_BUFFER
from feature_repo.jobs.parts import STRINGS
from feature_repo.jobs.ranges import in_order
from feature_repo.jobs.worklist import Worklist
from validation import tables
from validation.identities import Hashes, Truths, among, hashed
from validation.whole_files import replacing

ROWS: Final = 16_384
"""Keys that are read at once."""
STAMPED: Final = (tables.EVENT_TIMESTAMP, tables.SOURCE)
"""What a row has from its listing beside the vector of its content."""


@dataclass(frozen=True, slots=True)
class Merge:
    """What a table is to hold."""

    files: Sequence[Path]
    """Parts, then the table as it was, if there was one."""
    ranks: Sequence[npt.NDArray[np.int64]]
    """For each file: where each of its rows goes, −1 for nowhere."""
    kept: int
    """Rows in all."""
    removed: int
    """Items of the table as it was that have no row any more."""
    changed: bool
    stamps: "Stamps | None" = None
    """What to write of rows whose listing has another date or source now; None without any."""


def plan(
    *,
    parts: Sequence[Path],
    stored: Path,
    table: FeatureTable,
    encoder_hash: str,
    work: Worklist,
    catalogue: Path,
    item_ids: Collection[str] | None,
    refused: Collection[str],
) -> Merge:
    """Decide which rows stay: of each item one of its present content, the newest parts' first.

    Args:
        item_ids: what was looked at, None for everything. Rows of other items stay while the
            catalogue has them.
        refused: items that can have no row.
    """
    files = [*parts, *([stored] if stored.exists() else [])]
    sizes = [pq.read_metadata(path).num_rows for path in files]
    before = sizes[-1] if stored.exists() else 0
    if not sum(sizes):
        return Merge(files, [np.full(0, -1, np.int64) for _ in sizes], 0, 0, not stored.exists())
    current, corrected = Stamps.of(work.contents_path), False
    unseen = None if item_ids is None else _Unseen(catalogue, item_ids)
    names = [table.key, CONTENT_HASH, ENCODER_HASH, *STAMPED]
    keys, numbers, first = list[pa.Array](), list[npt.NDArray[np.int64]](), 0
    barred = pa.array(sorted(set(refused)), pa.string())
    for path in files:
        for batch in _batches(path, names):
            key, content, encoder, *_ = (batch.column(name) for name in names)
            places = current.pairs.places(key, content)
            stays = places >= 0
            if unseen is not None:
                stays |= unseen.has(key)
            stays &= np.asarray(pc.equal(encoder, encoder_hash).fill_null(False))
            stays &= ~np.asarray(pc.is_in(key, value_set=barred))
            corrected |= current.differ(batch, np.where(stays, places, -1))
            keys.append(key.filter(pa.array(stays)).cast(pa.large_string()))
            numbers.append(first + np.flatnonzero(stays))
            first += batch.num_rows
    stamps = current if corrected else None
    del current
    names_of_rows = pa.chunked_array(keys, pa.large_string()).combine_chunks()
    keys.clear()
    first_rows = _first_of_each(names_of_rows)
    chosen = np.concatenate(numbers)[first_rows]
    numbers.clear()
    ranks = np.full(sum(sizes), -1, np.int64)
    ranks[chosen] = np.arange(len(chosen))
    removed = _without(stored, table.key, names_of_rows, first_rows) if before else 0
    new = sum(sizes) - before
    ends = np.cumsum(sizes)
    return Merge(
        files,
        [ranks[end - size : end] for end, size in zip(ends, sizes, strict=True)],
        len(chosen),
        removed,
        bool(new) or len(chosen) != before or corrected,
        stamps,
    )


def write(merge: Merge, path: Path, *, table: FeatureTable, folder: Path, now: datetime) -> None:
    """Write the rows that stay, by item, in place of the table.

    Args:
        folder: for the ranges meanwhile.
        now: when rows were made whose listing's date or source was corrected.
    """
    with (
        replacing(path) as partial,
        pq.ParquetWriter(
            partial, table.schema, compression="zstd", use_dictionary=STRINGS
        ) as writer,
    ):
        for rows in in_order(
            merge.files, merge.ranks, schema=table.schema, folder=folder / "ranges"
        ):
            if merge.stamps is not None:
                rows = merge.stamps.put(rows, key=table.key, now=now)
            writer.write_table(rows, row_group_size=rows.num_rows)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Items and their contents, at 24 bytes each: two hashes, so that none is another."""

    items: Hashes
    """Ascending."""
    contents: Hashes
    rows: npt.NDArray[np.int64]
    """Where they came from among all."""

    @classmethod
    def of(cls, batches: Iterator[pa.RecordBatch]) -> "Pairs":
        """The pairs of two columns."""
        parts = [(_hashed(batch.column(0)), _hashed(batch.column(1))) for batch in batches]
        items, contents = (
            np.concatenate([np.empty(0, np.uint64), *(part[place] for part in parts)])
            for place in range(2)
        )
        order = np.argsort(items)
        return cls(items[order], contents[order], order)

    def places(self, items: pa.Array, contents: pa.Array) -> npt.NDArray[np.int64]:
        """(N,) which row holds an item with this content, −1 where none does."""
        asked, content = _hashed(items), _hashed(contents)
        first = np.searchsorted(self.items, asked, side="left")
        last = np.searchsorted(self.items, asked, side="right")
        found = np.full(len(asked), -1, np.int64)
        for place in range(int((last - first).max(initial=0))):  # once, unless hashes are equal
            at = np.minimum(first + place, len(self.items) - 1)
            here = (first + place < last) & (self.contents[at] == content)
            found[here] = self.rows[at[here]]
        return found


@dataclass(frozen=True, slots=True)
class Stamps:
    """What the catalogue says now of listings beside their content: when and from whom they came.

    A correction of them encodes nothing again, but rows are known from the corrected date on.
    """

    pairs: Pairs
    told: pa.Table
    """`STAMPED`, row by row as `pairs` counts them."""

    @classmethod
    def of(cls, contents: Path) -> "Stamps":
        """Those of a file of contents."""
        told = pq.read_table(contents, columns=list(STAMPED), read_dictionary=[tables.SOURCE])
        pairs = Pairs.of(_batches(contents, [tables.ITEM_ID, CONTENT_HASH]))
        return cls(pairs, told.select(list(STAMPED)).unify_dictionaries().combine_chunks())

    def differ(self, rows: pa.RecordBatch, places: npt.NDArray[np.int64]) -> bool:
        """Whether one of the rows says something else than is told at its place, if it has one."""
        return bool(self._differing(pa.Table.from_batches([rows]), places).any())

    def put(self, rows: pa.Table, *, key: str, now: datetime) -> pa.Table:
        """The rows with what is told; those that differed were made `now`."""
        places = self.pairs.places(rows[key].combine_chunks(), rows[CONTENT_HASH].combine_chunks())
        differing = self._differing(rows, places)
        told = self.told.take(pa.array(np.where(differing, places, 0)))
        new = {name: told[name] for name in STAMPED}
        new[CREATED_TIMESTAMP] = pa.scalar(now, tables.TIMESTAMP)
        for name, values in new.items():
            number, field = rows.schema.get_field_index(name), rows.schema.field(name)
            wanted = values.cast(field.type)
            rows = rows.set_column(
                number, field, pc.if_else(pa.array(differing), wanted, rows[name])
            )
        return rows

    def _differing(self, rows: pa.Table, places: npt.NDArray[np.int64]) -> Truths:
        """(N,)"""
        differing: Truths = np.zeros(len(places), dtype=bool)
        known = np.flatnonzero(places >= 0)
        told = self.told.take(pa.array(places[known]))
        for name in STAMPED:
            ours = rows[name].take(pa.array(known))
            theirs = told[name].cast(ours.type)
            same = pc.equal(ours, theirs).fill_null(False)
            neither = pc.and_(pc.is_null(ours), pc.is_null(theirs))
            differing[known] |= ~np.asarray(pc.or_(same, neither))
        return differing


class _Unseen:
    """Items of the catalogue that were not looked at."""

    def __init__(self, catalogue: Path, item_ids: Collection[str]) -> None:
        self._looked_at = pa.array(sorted(set(item_ids)), pa.string())
        hashes = [_hashed(one.column(0)) for one in _batches(catalogue, [tables.ITEM_ID])]
        self._listed = np.sort(np.concatenate([np.empty(0, np.uint64), *hashes]))

    def has(self, keys: pa.Array) -> Truths:
        """(N,)"""
        found: Truths = among(_hashed(keys), self._listed)
        found &= ~np.asarray(pc.is_in(keys, value_set=self._looked_at))
        return found


def _first_of_each(names: pa.Array) -> npt.NDArray[np.int64]:
    """Where each name stands first, in ascending order of the names."""
    order = pc.sort_indices(names)  # equal ones stay in their order
    starts = np.ones(len(names), dtype=bool)
    for first in range(0, len(names) - 1, ROWS):
        here = names.take(order.slice(first, ROWS + 1))
        differs = pc.not_equal(here.slice(1), here.slice(0, len(here) - 1))
        starts[first + 1 : first + len(here)] = np.asarray(differs)
    chosen: npt.NDArray[np.int64] = np.asarray(order)[starts].astype(np.int64)
    return chosen


def _without(stored: Path, key: str, names: pa.Array, kept: npt.NDArray[np.int64]) -> int:
    """How many items of the table have no row any more: their names are not among the kept."""
    stay = np.empty(len(kept), np.uint64)
    for first in range(0, len(kept), ROWS):
        part = kept[first : first + ROWS]
        stay[first : first + ROWS] = _hashed(names.take(pa.array(part)))
    stay.sort()
    gone = set[str]()
    for batch in _batches(stored, [key]):
        keys = batch.column(0)
        gone.update(keys.filter(pa.array(~among(_hashed(keys), stay))).to_pylist())
    return len(gone)


def _batches(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path, buffer_size=READ_BUFFER, pre_buffer=False) as file:
        yield from (
            batch.select(list(columns)) for batch in file.iter_batches(ROWS, columns=list(columns))
        )


def _hashed(values: pa.Array) -> Hashes:
    return hashed(values.to_pandas())
