"""What an extraction has to do, on disk: a row for each photo or text that has no vector yet.

Memory does not grow with the catalogue: it is read in parts, its contents wait in a Parquet file,
and DuckDB finds those that no row answers, in bounded memory. What is left is in `WORK` order:
photos by hash, texts by length and hash, so that equal contents lie together and are encoded once.
"""

import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from feature_repo.encoders.encoder import Encoder, Modality
from feature_repo.feature_tables import CONTENT_HASH, ENCODER_HASH, FeatureTable
from feature_repo.jobs.contents import (
    CONTENTS,
    READ_BUFFER,
    VALUE,
    Refusal,
    catalogue_parts,
    contents_of,
)
from feature_repo.jobs.ranges import in_order
from validation import tables
from validation.tables import TIMESTAMP

MEMORY: Final = 192
"""Megabytes that DuckDB may hold before it goes to disk, up to a million rows;"""
ROWS_A_MEGABYTE: Final = 5_000
"""of more it may hold this part: it cannot put all of a join's or a sort's keys on disk."""
SHARED: Final = 64
"""Items that one row of the work has at most: a photo of a thousand items is encoded sixteen times,
and no batch is larger than this many items a content."""
ROWS: Final = 2_048
"""Contents a row group of the work holds."""
CONTENTS_FILE: Final = "contents.parquet"
WORK_FILE: Final = "work.parquet"

WORK: Final = pa.schema(
    [
        pa.field(VALUE, pa.list_(pa.string())),
        pa.field(CONTENT_HASH, pa.string()),
        pa.field(tables.ITEM_ID, pa.list_(pa.string())),
        pa.field(tables.EVENT_TIMESTAMP, pa.list_(TIMESTAMP)),
        pa.field(tables.SOURCE, pa.list_(pa.string())),
    ]
)
"""A photo or text and the items that have it, in lists beside each other."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What was looked at, and written to the folder."""

    folder: Path
    chosen: int
    """Items that were looked at."""
    contents: int
    """Those that have the photo or text."""
    missing: list[Refusal]
    """Photos that are not there."""


@dataclass(frozen=True, slots=True)
class Worklist:
    """The contents of a catalogue, and what of them is to be encoded."""

    folder: Path
    """Holds the two files, and what DuckDB puts on disk."""
    chosen: int
    """Items that were looked at."""
    contents: int
    """Those that have the photo or text."""
    items: int
    """Those of them to encode."""
    rows: int
    """Distinct contents to encode, more or less: see `SHARED`."""
    missing: list[Refusal]
    """Photos that are not there."""

    @property
    def contents_path(self) -> Path:
        return self.folder / CONTENTS_FILE

    @property
    def path(self) -> Path:
        return self.folder / WORK_FILE

    def batches(self, size: int) -> Iterator[pa.Table]:
        """The work in its order, so many contents at a time."""
        return work_batches(self.path, size=size)

    def count(self, item_ids: Collection[str]) -> int:
        """How many of these items are to be encoded."""
        if not item_ids or not self.rows:
            return 0
        with connection(self.folder, rows=self.items) as database:
            database.register("asked", pa.table({"key": sorted(set(item_ids))}))
            found = database.execute(
                f"""SELECT count(*) FROM asked
                WHERE key IN (SELECT unnest({tables.ITEM_ID}) FROM read_parquet(?))""",
                [str(self.path)],
            ).fetchone()
        return int(found[0]) if found else 0


def make_worklist(
    catalogue: Path,
    *,
    folder: Path,
    known: Sequence[Path],
    table: FeatureTable,
    encoder: Encoder,
    item_ids: Collection[str] | None,
    pool: Executor,
) -> Worklist:
    """Write down what there is to encode.

    Args:
        folder: emptied first.
        known: files of the embedding table; their rows of the same encoder and content are done.
        item_ids: look at these items only.
        pool: hashes the photo files.
    """
    contents = write_contents(
        catalogue, folder=folder, modality=encoder.modality, item_ids=item_ids, pool=pool
    )
    return work_of(contents, known=known, table=table, encoder=encoder)


def write_contents(
    catalogue: Path,
    *,
    folder: Path,
    modality: Modality,
    item_ids: Collection[str] | None,
    pool: Executor,
    found: Callable[[pa.Table], None] = lambda _: None,
) -> Contents:
    """Write down what each item has, with its hash.

    Args:
        folder: emptied first.
        pool: hashes the photo files.
        found: is told the contents of each part of the catalogue.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    chosen, contents, missing = 0, 0, list[Refusal]()
    asked = None if item_ids is None else frozenset(item_ids)
    with pq.ParquetWriter(folder / CONTENTS_FILE, CONTENTS, compression="lz4") as writer:
        for part in catalogue_parts(catalogue, item_ids=asked):
            there, absent = contents_of(part, modality=modality, pool=pool)
            writer.write_table(there)
            chosen += len(part)
            contents += there.num_rows
            missing += absent
            found(there)
    return Contents(folder, chosen, contents, missing)


def work_of(
    contents: Contents, *, known: Sequence[Path], table: FeatureTable, encoder: Encoder
) -> Worklist:
    """Write down which of the contents have no row yet.

    Args:
        known: files of the embedding table; their rows of the same encoder and content are done.
    """
    folder, items, rows = contents.folder, 0, 0
    with pq.ParquetWriter(folder / WORK_FILE, WORK, compression="lz4") as writer:
        for part in _gathered(_undone(folder, known=known, table=table, encoder=encoder)):
            writer.write_table(part, row_group_size=ROWS)
            items += pc.sum(pc.list_value_length(part[tables.ITEM_ID])).as_py() or 0
            rows += part.num_rows
    return Worklist(folder, contents.chosen, contents.contents, items, rows, contents.missing)


def connection(folder: Path, *, rows: int) -> duckdb.DuckDBPyConnection:
    """A database of its own, for so many rows, that goes to disk in the folder early."""
    database = duckdb.connect(
        config={
            "memory_limit": f"{max(MEMORY, rows // ROWS_A_MEGABYTE)}MB",
            "temp_directory": str(folder / "spill"),
            "preserve_insertion_order": False,
            "threads": 2,
        }
    )
    database.execute("SET TimeZone = 'UTC'")
    return database


def grouped(contents: pa.Table) -> pa.Table:
    """Contents (columns `CONTENTS`) as `WORK`: neighbours of one hash, up to `SHARED`, in a row."""
    count = contents.num_rows
    if not count:
        return WORK.empty_table()
    hashes = contents[CONTENT_HASH].to_pandas().to_numpy(dtype=object)
    starts = np.flatnonzero(np.concatenate([[True], hashes[1:] != hashes[:-1]]))
    place = np.arange(count) - np.repeat(starts, np.diff([*starts, count]))
    firsts = np.flatnonzero(place % SHARED == 0)
    offsets = pa.array([*firsts, count], type=pa.int32())
    columns = {name: contents[name].combine_chunks() for name in contents.column_names}
    return pa.Table.from_arrays(
        [
            pa.ListArray.from_arrays(offsets, columns[field.name])
            if pa.types.is_list(field.type)
            else columns[field.name].take(pa.array(firsts))
            for field in WORK
        ],
        schema=WORK,
    )


def work_batches(path: Path, *, size: int) -> Iterator[pa.Table]:
    """The rows of a work file, so many at a time."""
    with pq.ParquetFile(path, buffer_size=READ_BUFFER, pre_buffer=False) as file:
        for batch in file.iter_batches(size):
            yield pa.Table.from_batches([batch], schema=WORK)


def work_rows(path: Path, *, first: int, count: int) -> pa.Table:
    """At most `count` rows of a work file, from row `first`; reads what holds them alone."""
    with pq.ParquetFile(path, pre_buffer=False) as file:
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        ends = np.cumsum(sizes)
        groups = np.flatnonzero((ends > first) & (ends - sizes < first + count)).tolist()
        if not groups:
            return WORK.empty_table()
        held = int(ends[groups[0]] - sizes[groups[0]])
        return file.read_row_groups(groups).slice(first - held, count).cast(WORK)


def _undone(
    folder: Path, *, known: Sequence[Path], table: FeatureTable, encoder: Encoder
) -> Iterator[pa.Table]:
    """The contents without a row, in the order of the work.

    DuckDB sees 64-bit hashes alone: two of a pair of item and content, so that none is taken for
    another, and one to put equal contents together.
    """
    path = folder / CONTENTS_FILE
    length = f"length({VALUE})" if encoder.modality is Modality.TEXT else "0"
    pair = "hash({key}, {content}) AS one, hash({content}, {key}) AS other"
    ours = pair.format(key=tables.ITEM_ID, content=CONTENT_HASH)
    theirs = pair.format(key=table.key, content=CONTENT_HASH)
    done = f"""
        ANTI JOIN (SELECT {theirs} FROM read_parquet(?) WHERE {ENCODER_HASH} = ?) AS k
        ON c.one = k.one AND c.other = k.other"""
    parameters: list[Any] = [str(path)]
    if known:
        parameters += [[str(file) for file in known], encoder.hash]
    count = pq.read_metadata(path).num_rows
    places = np.full(count, -1, np.int64)
    with connection(folder, rows=count) as database:
        found = database.sql(
            f"""SELECT c.row FROM (
                SELECT file_row_number AS row, {length} AS length, hash({CONTENT_HASH}) AS content,
                       {ours}
                FROM read_parquet(?, file_row_number = true)) AS c
            {done if known else ""}
            ORDER BY c.length, c.content, c.row""",
            params=parameters,
        )
        first = 0
        for batch in found.to_arrow_reader(ROWS):
            places[batch.column(0).to_numpy()] = np.arange(first, first + batch.num_rows)
            first += batch.num_rows
    return in_order([path], [places], schema=CONTENTS, folder=folder / "ranges")


def _gathered(parts: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Contents as work, in tables of `ROWS` or more; neighbours in two parts are encoded twice."""
    held: list[pa.Table] = []
    for part in parts:
        held.append(grouped(part))
        if sum(one.num_rows for one in held) >= ROWS:
            yield pa.concat_tables(held)
            held = []
    if held:
        yield pa.concat_tables(held)
