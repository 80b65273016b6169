"""Finding some users', items' or ids' rows of a large log without reading it.

Beside the log's Parquet file stands a copy of its rows as an uncompressed Arrow file, which is
mapped into memory and read where needed, and for each key column the 64-bit hashes of its values
in ascending order with their rows' numbers. A look-up is a binary search and as many reads as
there are rows; the price is the log once more on disk, uncompressed (about 150 bytes an event).
Sums of each item's events stand beside them, so that nobody reads all events of a popular item.
The index is a cache: it is named after the file it was made of and made anew where it is missing.
"""

import json
import os
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from feature_repo.jobs import item_sums
from feature_repo.jobs.item_sums import ItemSums
from validation import tables
from validation.identities import Hashes, distinct, hashed

KEYS: Final = (tables.EVENT_ID, tables.USER_ID, tables.ITEM_ID)
"""Columns whose values can be looked up."""
ROWS: Final = "rows.arrow"
FACTS: Final = "index.json"
BATCH: Final = 1_000_000
"""Rows of one Arrow batch: far below the 2 GiB of text that one can hold."""
WITNESS: Final = "coldstart"
"""Its hash is kept, so that an index made by another hash function is made anew."""

RowNumbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class EventIndex:
    """The rows of one log file, by key."""

    batches: tuple[Any, ...]
    """Arrow record batches in the file's order, mapped from disk."""
    starts: RowNumbers
    """(batches + 1,) number of each batch's first row, and the count of all."""
    hashes: dict[str, Hashes]
    """Key column → hashes, ascending."""
    numbers: dict[str, npt.NDArray[np.uint32]]
    """Key column → the row of each hash; rows of one hash ascend."""
    sums: ItemSums

    @classmethod
    def open(cls, folder: Path) -> "EventIndex | None":
        """The index in the folder; None where there is no whole one, or one of another making."""
        try:
            if json.loads((folder / FACTS).read_text(encoding="utf-8")) != _facts():
                return None
            file = pa.ipc.open_file(pa.memory_map(str(folder / ROWS)))
            batches = tuple(file.get_batch(number) for number in range(file.num_record_batches))
            return cls(
                batches=batches,
                starts=np.cumsum([0, *(batch.num_rows for batch in batches)]).astype(np.int64),
                hashes={key: np.load(folder / f"{key}.hashes.npy", mmap_mode="r") for key in KEYS},
                numbers={
                    key: np.load(folder / f"{key}.numbers.npy", mmap_mode="r") for key in KEYS
                },
                sums=ItemSums.open(folder),
            )
        except (OSError, EOFError, ValueError, pa.ArrowException):
            return None  # a file is missing or cut off: the cache was cleared, or power was lost

    def rows(self, column: str, among: Collection[str], columns: Sequence[str]) -> pa.Table:
        """Some columns, the key's among them, of the rows whose key is one of the values.

        They are in the file's order.
        """
        wanted = pa.array(sorted(set(among)), type=pa.string())
        table = self.take(np.sort(self._candidates(column, wanted)), columns)
        return table.filter(pc.is_in(table[column], wanted))  # hashes may collide

    def take(self, numbers: RowNumbers, columns: Sequence[str]) -> pa.Table:
        """Some columns of the rows of these numbers, which ascend."""
        cuts = np.searchsorted(numbers, self.starts)
        found = [
            batch.select(list(columns)).take(pa.array(numbers[first:last] - start))
            for batch, start, first, last in zip(
                self.batches, self.starts, cuts, cuts[1:], strict=False
            )
            if last > first
        ]
        schema = pa.schema([tables.EVENTS.schema.field(name) for name in columns])
        return pa.Table.from_batches(found, schema=schema)

    def users(self, numbers: RowNumbers) -> list[str]:
        """Whose the rows of these numbers are."""
        ascending, places = np.unique(numbers, return_inverse=True)
        found = self.take(ascending, [tables.USER_ID])[tables.USER_ID]
        named: list[str] = found.take(pa.array(places)).to_pylist()
        return named

    def _candidates(self, column: str, wanted: pa.Array) -> RowNumbers:
        """Numbers of the rows whose hash is that of a wanted value."""
        hashes, numbers = self.hashes[column], self.numbers[column]
        asked = hashed(wanted.to_pandas())
        first = np.searchsorted(hashes, asked, side="left")
        last = np.searchsorted(hashes, asked, side="right")
        parts = [numbers[low:high] for low, high in zip(first, last, strict=True) if high > low]
        if not parts:
            return np.empty(0, np.int64)
        return distinct(np.concatenate(parts).astype(np.int64))


def build(log: Path, folder: Path) -> None:
    """Make the index of a log file, whole or not at all."""
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        _write(log, partial)
        try:
            os.rename(partial, folder)
        except OSError:  # another process was faster, or what is there is of another making
            if EventIndex.open(folder) is None:
                shutil.rmtree(folder, ignore_errors=True)
                os.rename(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(log: Path, folder: Path) -> None:
    hashes: dict[str, list[Hashes]] = {key: [] for key in KEYS}
    with (
        pq.ParquetFile(log) as file,
        pa.OSFile(str(folder / ROWS), "wb") as sink,
        pa.ipc.new_file(sink, tables.EVENTS.schema) as writer,
    ):
        for batch in file.iter_batches(BATCH):
            table = conforming(pa.Table.from_batches([batch]))
            writer.write_table(table.combine_chunks(), max_chunksize=BATCH)
            for key in KEYS:
                hashes[key].append(hashed(table[key].to_pandas()))
    for key, parts in hashes.items():
        together = np.concatenate(parts) if parts else np.empty(0, np.uint64)
        order = np.argsort(together, kind="stable")
        np.save(folder / f"{key}.hashes.npy", together[order])
        np.save(folder / f"{key}.numbers.npy", order.astype(np.uint32))
    item_sums.build(log, folder)
    (folder / FACTS).write_text(json.dumps(_facts()) + "\n", encoding="utf-8")


def keep_only(folder: Path) -> None:
    """Remove the indexes of files that were replaced; who has one mapped keeps it."""
    for other in folder.parent.iterdir() if folder.parent.is_dir() else ():
        if other != folder and not other.name.startswith("."):
            shutil.rmtree(other, ignore_errors=True)


def conforming(rows: pa.Table) -> pa.Table:
    """The rows with the events table's columns, order and types; absent columns are null."""
    schema = tables.EVENTS.schema
    columns = [
        rows[field.name].cast(field.type)
        if field.name in rows.column_names
        else pa.nulls(rows.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _facts() -> dict[str, Any]:
    """What an index must agree with to be read."""
    witness = hashed(pa.array([WITNESS]).to_pandas())[0]
    return {
        "witness": f"{int(witness):016x}",
        "columns": tables.EVENTS.names,
        "format": 2,
        "sums": item_sums.making(),
    }
