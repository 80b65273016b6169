"""What the event log holds at one moment, and how its files say where in it their rows are.

`event_log` says which files there are and how they change.
"""

import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.errors import JobError
from feature_repo.event_index import conforming
from validation import tables
from validation.whole_files import file_hash

GENERATION: Final = b"coldstart.generation"
"""Key in the large file's footer."""
NO_LOG: Final = "0"
"""Generation where there is none."""
DIGITS: Final = 16
"""Of a generation."""
HASHED: Final = "sha256-"
"""Begins the generation of a large file that another program wrote."""
NAME: Final = re.compile(r"(\d{15})-(\d{15})-(\d)\.parquet")
NUMBER: Final = "number"
"""Column of `LogState.batches`: a row's place in the log."""
READ_ROWS: Final = 100_000
_NOT_EVENTS: Final = "{} is not the events table ({}); ingest again with --replace"


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a log: everything before it was there."""

    generation: str
    rows: int


@dataclass(frozen=True, slots=True)
class Segment:
    """One small file: the log's rows from `start` to before `end`."""

    path: Path
    start: int
    end: int
    level: int

    @classmethod
    def of(cls, path: Path) -> "Segment | None":
        """None of a file that is no segment, such as one that is still being written."""
        named = NAME.fullmatch(path.name)
        return cls(path, *map(int, named.groups())) if named else None


@dataclass(frozen=True, slots=True)
class LogState:
    """What the log held at one moment; it stays readable whatever happens to the files."""

    path: Path
    generation: str
    identity: str
    """Of the large file; empty where there is no log."""
    base_rows: int
    segments: tuple[Segment, ...]
    tail: pa.Table = field(repr=False)
    """The rows of the small files, in memory."""
    source: Any = field(repr=False)
    """The open large file; None where there is no log."""

    @property
    def rows(self) -> int:
        return int(self.base_rows + self.tail.num_rows)

    @property
    def position(self) -> Position:
        """The end of what is here."""
        return Position(self.generation, self.rows)

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The whole log, or some columns of it. Raises JobError where it is no events table."""
        tail = self.tail if columns is None else self.tail.select(list(columns))
        if self.source is None:
            return tail
        try:
            base = pq.read_table(
                self.source,
                schema=tables.EVENTS.schema,
                columns=None if columns is None else list(columns),
            )
        except (pa.ArrowException, ValueError) as error:
            raise JobError(_NOT_EVENTS.format(self.path, error)) from error
        return pa.concat_tables([base, tail]) if tail.num_rows else base

    def batches(self) -> pa.RecordBatchReader:
        """The whole log in parts, with a row's place in it as `number`."""
        schema = tables.EVENTS.schema.append(pa.field(NUMBER, pa.int64()))
        return pa.RecordBatchReader.from_batches(schema, self._numbered(schema))

    def parts(self, columns: Sequence[str], *, after: int = 0) -> Iterator[pa.Table]:
        """Some columns of the log, a hundred thousand rows at a time.

        Args:
            after: rows at its beginning that are left out.

        Raises JobError where it is no events table.
        """
        if after and after >= self.base_rows:  # the large file need not be read
            yield self.after(after, columns)
            return
        start = 0
        try:
            for part in self._parts(list(columns)):
                if start + part.num_rows > after:
                    yield part.select(list(columns)).slice(max(after - start, 0))
                start += part.num_rows
        except (pa.ArrowException, ValueError) as error:
            raise JobError(_NOT_EVENTS.format(self.path, error)) from error

    def after(self, rows: int, columns: Sequence[str]) -> pa.Table:
        """Some columns of what was appended after the log's first `rows` rows."""
        if rows >= self.base_rows:
            return self.tail.select(list(columns)).slice(rows - self.base_rows)
        return self.read(columns).slice(rows)

    def _numbered(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        start = 0
        for part in self._parts():
            number = pa.array(range(start, start + part.num_rows), type=pa.int64())
            start += part.num_rows
            numbered = part.append_column(schema.field(NUMBER), number)
            yield from numbered.combine_chunks().to_batches()

    def _parts(self, columns: list[str] | None = None) -> Iterator[pa.Table]:
        if self.source is not None:
            for batch in pq.ParquetFile(self.source).iter_batches(READ_ROWS, columns=columns):
                yield conforming(pa.Table.from_batches([batch]))
        if self.tail.num_rows:
            yield self.tail


def write_base(rows: pa.Table, path: Path, *, generation: str) -> None:
    """Write a large file."""
    with pq.ParquetWriter(path, footed(generation), compression="zstd") as writer:
        writer.write_table(rows.cast(tables.EVENTS.schema))


def new_generation() -> str:
    """A name for a log that is written anew."""
    return uuid.uuid4().hex[:DIGITS]


def footed(generation: str) -> pa.Schema:
    """The schema of a large file, with the log's generation in its footer."""
    return tables.EVENTS.schema.with_metadata({GENERATION: generation.encode()})


def footer(path: Path, source: Any) -> tuple[str, int]:
    """Generation and rows of a large file; the hash of all of it where another program wrote it and
    named none. Raises JobError where it is no Parquet."""
    try:
        file = pq.ParquetFile(source)
    except pa.ArrowException as error:
        raise JobError(_NOT_EVENTS.format(path, error)) from error
    named = (file.schema_arrow.metadata or {}).get(GENERATION)
    generation = named.decode() if named else HASHED + file_hash(path)[:DIGITS]
    return generation, int(file.metadata.num_rows)


def joined(segments: Sequence[Segment], base_rows: int) -> tuple[Segment, ...] | None:
    """The segments that follow on each other after the large file; None where some are missing."""
    found, end = [], base_rows
    for segment in segments:
        if segment.end <= end:
            continue
        if segment.start > end:
            return None
        found.append(segment)
        end = segment.end
    return tuple(found)
