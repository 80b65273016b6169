"""What the gate says of new vectors, chunk by chunk while the next ones are encoded."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.encoders.encoder import Encoder, FloatMatrix
from feature_repo.feature_tables import EMBEDDING, ENCODER_HASH, FeatureTable
from feature_repo.jobs.contents import READ_BUFFER, Refusal
from feature_repo.jobs.worklist import Worklist, connection
from feature_repo.offline_tables import locked
from validation import reasons, tables
from validation.vectors import REFERENCE_ROWS

if TYPE_CHECKING:
    from validation.result import GateResult

VECTOR_CHECK: Final = "vector_sound"
CHUNK: Final = 16_384
"""Vectors that the gate judges at once, or fewer where they are wide:"""
CHUNK_BYTES: Final = 32 << 20
ROWS: Final = 4_096
"""Rows that are read at once to draw a sample."""
JUDGED: Final = [tables.ITEM_ID, EMBEDDING, ENCODER_HASH, tables.SOURCE]


@dataclass(frozen=True, slots=True)
class Judged:
    """What the gate says of new vectors."""

    refused: list[Refusal]
    unusual: int = 0
    """Accepted vectors that are far from the catalogue's."""
    notes: tuple[str, ...] = ()
    """Sentences about the batch as a whole."""


def refused_vectors(result: "GateResult") -> Iterator[Refusal]:
    """Whose vectors the gate holds back, and why; a row may name no source."""
    held = result.quarantined
    for key, source, told in zip(
        held[reasons.KEY], held[tables.SOURCE], held[reasons.REASONS], strict=True
    ):
        known = source if isinstance(source, str) else ""
        yield Refusal(key, VECTOR_CHECK, "", known, "; ".join(told))


class Judging:
    """Sends an encoder's new rows of an embedding table through the gate, beside the encoding.

    Each vector is judged as it would be among all; what is said of more than a chunk as a whole
    (whether they drifted, or are all alike) is said of an evenly spread sample of a chunk's size.
    """

    def __init__(
        self,
        earlier: Sequence[Path],
        work: Worklist,
        stored: Callable[[], Path],
        *,
        table: FeatureTable,
        encoder: Encoder,
        now: datetime,
        lock: Path,
        ahead: int = 0,
    ) -> None:
        """`stored` tells where the table is; rows of the same encoder and other items are usual.

        Args:
            earlier: files of rows that were encoded by a job that was ended.
            work: what is about to be encoded.
            lock: held by whoever replaces or moves the table.
            ahead: rows that were encoded before the work was known and are added first.
        """
        self.encoder, self.now, self._lock = encoder, now, lock
        self._earlier = earlier
        self._work, self._stored, self._table = work, stored, table
        count = ahead + work.items + sum(pq.read_metadata(path).num_rows for path in earlier)
        self._size = max(1, min(CHUNK, CHUNK_BYTES // (4 * encoder.width)))
        self._stride = max(1, -(-count // self._size))
        self._count, self._seen, self._sample = count, 0, list[pa.Table]()
        self._refused: dict[str, Refusal] = {}
        self._unusual, self._notes = 0, tuple[str, ...]()
        self._held: list[pa.Table] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="judge")
        self._begun = self._under_way = self._thread.submit(self._begin)

    def __enter__(self) -> "Judging":
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def add(self, rows: pa.Table) -> None:
        """Judge rows that were just encoded, once they are a chunk; one chunk waits at most.

        Call it before they are written: earlier files, which may go then, were read by now.
        """
        if self._earlier:
            self._begun.result()
        self._held.append(rows.select(JUDGED))
        while sum(one.num_rows for one in self._held) >= self._size:
            whole = pa.concat_tables(self._held)
            self._under_way.result()
            self._under_way = self._thread.submit(self._judge, whole.slice(0, self._size))
            self._held = [whole.slice(self._size)]

    def verdict(self) -> Judged:
        """What is said of all rows."""
        rest = pa.concat_tables(self._held) if self._held else None
        self._under_way.result()
        if rest is not None and rest.num_rows:
            self._judge(rest)
        if len(self._sample) > 1:
            self._notes = self._checked(pa.concat_tables(self._sample)).notes
        return Judged(list(self._refused.values()), self._unusual, self._notes)

    def _begin(self) -> None:
        with locked(self._lock):
            self._reference = self._usual(self._stored())
        if self._count:
            # Takes longer than a batch: beside the first ones, not when the last is waited for.
            import validation.gate  # noqa: F401
        for rows in _chunks(self._earlier, size=self._size):
            self._judge(rows)

    def _judge(self, rows: pa.Table) -> None:
        result = self._checked(rows)
        self._unusual, self._notes = self._unusual + len(result.warnings), result.notes
        for refusal in refused_vectors(result):
            self._refused.setdefault(refusal.item_id, refusal)
        places = np.arange(-self._seen % self._stride, rows.num_rows, self._stride)
        self._sample.append(rows.take(pa.array(places)))
        self._seen += rows.num_rows

    def _checked(self, rows: pa.Table) -> "GateResult":
        from validation import gate

        return gate.check_embeddings(
            rows.to_pandas(),
            width=self.encoder.width,
            encoder_hash=self.encoder.hash,
            reference=self._reference,
            now=self.now,
        )

    def _usual(self, stored: Path) -> FloatMatrix | None:
        """An evenly spread sample of the encoder's other rows; None without any."""
        if not stored.exists():
            return None
        table = self._table
        rows = pq.read_metadata(stored).num_rows
        with connection(self._work.folder, rows=rows) as database:
            self._name_new(database)
            numbers = database.sql(
                f"""
                SELECT s.file_row_number AS row
                FROM read_parquet(?, file_row_number = true) AS s
                WHERE s.{ENCODER_HASH} = ?
                  AND NOT EXISTS (SELECT 1 FROM new AS n WHERE n.key = s.{table.key})
                ORDER BY row
                """,
                params=[str(stored), self.encoder.hash],
            ).fetchnumpy()["row"]
        chosen = numbers[:: -(-len(numbers) // REFERENCE_ROWS) or 1]
        if not len(chosen):
            return None
        found, first = [], 0
        with pq.ParquetFile(stored, buffer_size=READ_BUFFER, pre_buffer=False) as file:
            for batch in file.iter_batches(ROWS, columns=[EMBEDDING]):
                here = chosen[(chosen >= first) & (chosen < first + batch.num_rows)] - first
                if len(here):
                    vectors = batch.column(0).take(pa.array(here)).flatten()
                    found.append(np.asarray(vectors, np.float32).reshape(len(here), -1))
                first += batch.num_rows
        return np.concatenate(found)

    def _name_new(self, database: duckdb.DuckDBPyConnection) -> None:
        """The items whose rows are judged, as a table of the database."""
        database.execute(
            f"CREATE TABLE new AS SELECT unnest({tables.ITEM_ID}) AS key FROM read_parquet(?)",
            [str(self._work.path)],
        )
        for path in self._earlier:
            database.execute(
                f"INSERT INTO new SELECT {self._table.key} FROM read_parquet(?)", [str(path)]
            )


def _chunks(files: Sequence[Path], *, size: int) -> Iterator[pa.Table]:
    """What the gate reads of the files, so many rows at a time."""
    held: list[pa.RecordBatch] = []
    for path in files:
        with pq.ParquetFile(path, buffer_size=READ_BUFFER, pre_buffer=False) as file:
            for batch in file.iter_batches(size, columns=JUDGED):
                held.append(batch)
                while sum(one.num_rows for one in held) >= size:
                    whole = pa.Table.from_batches(held)
                    yield whole.slice(0, size)
                    held = whole.slice(size).to_batches()
    if held and sum(one.num_rows for one in held):
        yield pa.Table.from_batches(held)
