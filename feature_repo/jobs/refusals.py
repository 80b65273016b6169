"""What extraction could not use, in the quarantine with its reasons."""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.encoder_tables import is_served
from feature_repo.encoders.encoder import Encoder, FloatMatrix
from feature_repo.feature_tables import EMBEDDING, ENCODER_HASH, FeatureTable
from feature_repo.home import Home
from feature_repo.jobs.contents import READ_BUFFER, Refusal
from feature_repo.jobs.worklist import connection
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


def judged(
    new: Sequence[Path],
    stored: Path,
    *,
    table: FeatureTable,
    encoder: Encoder,
    folder: Path,
    now: datetime,
) -> Judged:
    """Send the encoder's new rows of an embedding table through the gate, chunk by chunk.

    Each vector is judged as it would be among all; what is said of more than a chunk as a whole
    (whether they drifted, or are all alike) is said of an evenly spread sample of a chunk's size.

    Args:
        new: files of new rows.
        stored: the table as it was; its rows of the same encoder and other items are what is
            usual.
        folder: where DuckDB may go to disk.
    """
    count = sum(pq.read_metadata(path).num_rows for path in new)
    if not count:
        return Judged([])
    reference = _reference(new, stored, table=table, encoder=encoder, folder=folder)
    chunk = min(CHUNK, CHUNK_BYTES // (4 * encoder.width))
    stride = -(-count // chunk)
    refused: dict[str, Refusal] = {}
    unusual, seen, sample = 0, 0, list[pa.Table]()
    notes: tuple[str, ...] = ()
    for rows in _chunks(new, size=chunk):
        result = _checked(rows, reference, encoder=encoder, now=now)
        unusual, notes = unusual + len(result.warnings), result.notes
        held = result.quarantined
        for key, source, told in zip(
            held[reasons.KEY], held[tables.SOURCE], held[reasons.REASONS], strict=True
        ):
            refused.setdefault(key, Refusal(key, VECTOR_CHECK, "", source or "", "; ".join(told)))
        if stride > 1:
            places = np.arange(-seen % stride, rows.num_rows, stride)
            sample.append(rows.take(pa.array(places)))
            seen += rows.num_rows
    if sample:
        notes = _checked(pa.concat_tables(sample), reference, encoder=encoder, now=now).notes
    return Judged(list(refused.values()), unusual, notes)


def _checked(
    rows: pa.Table, reference: FloatMatrix | None, *, encoder: Encoder, now: datetime
) -> "GateResult":
    from validation import gate

    return gate.check_embeddings(
        rows.to_pandas(),
        width=encoder.width,
        encoder_hash=encoder.hash,
        reference=reference,
        now=now,
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


def _reference(
    new: Sequence[Path], stored: Path, *, table: FeatureTable, encoder: Encoder, folder: Path
) -> FloatMatrix | None:
    """What is usual: an evenly spread sample of the encoder's other rows; None without any."""
    if not stored.exists():
        return None
    rows = pq.read_metadata(stored).num_rows
    with connection(folder, rows=rows) as database:
        numbers = database.sql(
            f"""
            SELECT s.file_row_number AS row
            FROM read_parquet(?, file_row_number = true) AS s
            WHERE s.{ENCODER_HASH} = ?
              AND NOT EXISTS (
                SELECT 1 FROM read_parquet(?) AS n WHERE n.{table.key} = s.{table.key})
            ORDER BY row
            """,
            params=[str(stored), encoder.hash, [str(path) for path in new]],
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


def quarantine_folder(home: Home, view: str, encoder_hash: str) -> Path:
    """Where an encoder's refusals are held: with all others if it serves, else by themselves."""
    served = is_served(home, view, encoder_hash)
    return home.quarantine if served else home.quarantine / encoder_hash[:12]


def quarantine_refused(
    refused: Sequence[Refusal],
    *,
    folder: Path,
    table: str,
    checked: Collection[str] | None,
    now: datetime,
) -> None:
    """Hold what was refused; let go what was checked and is no longer refused.

    Args:
        checked: the items that were looked at; None for the whole catalogue.
    """
    from validation import quarantine

    held = set(quarantine.load(folder, table)["key"])
    mended = held - {refusal.item_id for refusal in refused}
    if checked is not None:
        mended &= set(checked)
    if mended:
        quarantine.release(folder, table, keys=mended)
    for source in sorted({refusal.source for refusal in refused}):
        of_source = [refusal for refusal in refused if refusal.source == source]
        result = _as_result(of_source, table=table, now=now)
        quarantine.store(result, folder=folder, source=source, now=now)


def _as_result(refused: Sequence[Refusal], *, table: str, now: datetime) -> "GateResult":
    from validation.result import GateResult

    quarantined = pd.DataFrame(
        {
            "key": [refusal.item_id for refusal in refused],
            "source": [refusal.source for refusal in refused],
            "row_number": pd.Series(range(len(refused)), dtype="int64"),
            "row": [
                json.dumps({tables.ITEM_ID: refusal.item_id, tables.IMAGE_PATH: refusal.value})
                for refusal in refused
            ],
            "reasons": [[refusal.reason] for refusal in refused],
            "checks": [[refusal.check] for refusal in refused],
            "severity": ["block"] * len(refused),
            "checked_at": pd.Series([now] * len(refused), dtype="datetime64[us, UTC]"),
        }
    )
    counts = dict(Counter(refusal.check for refusal in refused))
    return GateResult(
        table=table,
        accepted=pd.DataFrame({tables.ITEM_ID: pd.Series(dtype=object)}),
        quarantined=quarantined,
        warnings=quarantined.iloc[:0],
        received=len(refused),
        reason_counts=counts,
        severities=dict.fromkeys(counts, "block"),
        notes=(),
        validation={},
        checked_at=now,
    )
