"""The quarantine: rows that the gate held back, one Parquet file a table, until mended.

A row is known by its fingerprint (table, source and raw content; of identical rows each
counts), so ingesting it again updates it and adds nothing. It leaves when a row of the same
source and key passes the gate, or when `release` is asked to let it go.
"""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from validation import reasons, tables
from validation.errors import QuarantineError
from validation.result import GateResult
from validation.tables import TIMESTAMP
from validation.whole_files import alone, remove_left_over, replacing

FINGERPRINT: Final = "fingerprint"
FIRST_SEEN: Final = "first_seen"

SCHEMA: Final = pa.schema(
    [
        (FINGERPRINT, pa.string()),
        (reasons.KEY, pa.string()),
        (tables.SOURCE, pa.string()),
        (reasons.ROW_NUMBER, pa.int64()),
        (reasons.ROW, pa.string()),
        (reasons.REASONS, pa.list_(pa.string())),
        (reasons.CHECKS, pa.list_(pa.string())),
        (reasons.SEVERITY, pa.string()),
        (FIRST_SEEN, TIMESTAMP),
        (reasons.CHECKED_AT, TIMESTAMP),
    ]
)


def store(result: GateResult, *, folder: Path, source: str, now: datetime) -> int:
    """Add a result's quarantined rows; let go what the result accepted. Returns rows held.

    Args:
        folder: holds ``TABLE.parquet``, made if need be.
        source: the source that was checked; other sources' rows stay as they are.
        now: becomes `first_seen` of rows that are new here.
    """
    with settled([result], folder=folder, source=source, now=now) as contents:
        for path, content in contents.items():
            with replacing(path, durable=True) as partial:
                pq.write_table(content, partial)
        return int(pq.read_metadata(folder / f"{result.table}.parquet").num_rows)


@contextmanager
def settled(
    results: Sequence[GateResult],
    *,
    folder: Path,
    source: str,
    now: datetime,
    anew: bool = False,
) -> Iterator[dict[Path, pa.Table]]:
    """As `store`, for who puts it in place together with other files.

    Args:
        results: of different tables.
        anew: start over, without what is held of these tables.

    Yields:
        File → what it is to hold, of those that change. Nobody else changes them meanwhile.
    """
    with _locked(folder):
        contents = dict[Path, pa.Table]()
        for result in results:
            content = _grown(result, folder=folder, source=source, now=now, anew=anew)
            if content is not None:
                contents[folder / f"{result.table}.parquet"] = content
        yield contents


def _grown(
    result: GateResult, *, folder: Path, source: str, now: datetime, anew: bool
) -> pa.Table | None:
    """What a table's file is to hold; None where it holds that already."""
    key = _key_of(result)
    passed = set(result.accepted[key].dropna()) if key in result.accepted else set()
    there = (folder / f"{result.table}.parquet").exists()
    if result.quarantined.empty and there and not anew:
        keys = load(folder, result.table, columns=[reasons.KEY, tables.SOURCE])
        if not ((keys[tables.SOURCE] == source) & keys[reasons.KEY].isin(passed)).any():
            return None
    held = _frame(SCHEMA.empty_table()) if anew else load(folder, result.table)
    new = _fingerprinted(result, source)
    mended = (held[tables.SOURCE] == source) & held[reasons.KEY].isin(passed)
    first_seen = held.set_index(FINGERPRINT)[FIRST_SEEN]
    stay = held[~mended & ~held[FINGERPRINT].isin(new[FINGERPRINT])]
    seen = new[FINGERPRINT].map(first_seen).fillna(pd.Timestamp(now))
    return _table(stay, new.assign(**{FIRST_SEEN: seen}))


def load(folder: Path, table: str, *, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """The rows of a table in quarantine, or some columns; oldest first, none without a file.

    Raises:
        QuarantineError: the file cannot be read.
    """
    path = folder / f"{table}.parquet"
    if not path.exists():
        return _frame(SCHEMA.empty_table().select(list(columns or SCHEMA.names)))
    try:
        return _frame(pq.read_table(path, schema=SCHEMA, columns=columns and list(columns)))
    except (pa.ArrowException, OSError) as error:
        raise QuarantineError(
            f"the quarantine file {path} cannot be read ({error}); move it away and ingest again"
        ) from error


def release(
    folder: Path,
    table: str,
    *,
    source: str | None = None,
    keys: Collection[str] | None = None,
    fingerprints: Collection[str] | None = None,
) -> int:
    """Let rows go that match everything given; returns how many went.

    Given nothing but the table, all of it goes.
    """
    with _locked(folder):
        remove_left_over(folder / f"{table}.parquet")
        return _release(folder, table, source=source, keys=keys, fingerprints=fingerprints)


def _release(
    folder: Path,
    table: str,
    *,
    source: str | None,
    keys: Collection[str] | None,
    fingerprints: Collection[str] | None,
) -> int:
    held = load(folder, table)
    going = pd.Series(True, index=held.index)
    if source is not None:
        going &= held[tables.SOURCE] == source
    if keys is not None:
        going &= held[reasons.KEY].isin(list(keys))
    if fingerprints is not None:
        going &= held[FINGERPRINT].isin(list(fingerprints))
    if going.any():
        with replacing(folder / f"{table}.parquet", durable=True) as partial:
            pq.write_table(_table(held[~going]), partial)
    return int(going.sum())


def fingerprints(result: GateResult, *, source: str) -> set[str]:
    """The fingerprints under which `store` keeps a result's quarantined rows."""
    return set(_fingerprinted(result, source)[FINGERPRINT])


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Wait until no other process changes the quarantine: each rewrites a file whole."""
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder):
        yield


def _key_of(result: GateResult) -> str:
    known = tables.TABLES.get(result.table)
    return known.key if known is not None else tables.ITEM_ID


def _fingerprinted(result: GateResult, source: str) -> pd.DataFrame:
    rows = result.quarantined.assign(**{tables.SOURCE: source})
    repeat = rows.groupby(reasons.ROW).cumcount()
    prints = [
        hashlib.sha256(f"{result.table}\n{source}\n{row}\n{number}".encode()).hexdigest()
        for row, number in zip(rows[reasons.ROW], repeat, strict=True)
    ]
    return rows.assign(**{FINGERPRINT: pd.Series(prints, index=rows.index, dtype=object)})


def _frame(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas()
    for name in {reasons.REASONS, reasons.CHECKS} & set(frame):
        frame[name] = pd.Series([list(value) for value in frame[name]], dtype=object)
    return frame


def _table(*parts: pd.DataFrame) -> pa.Table:
    return pa.concat_tables(
        pa.Table.from_pandas(part[SCHEMA.names], schema=SCHEMA, preserve_index=False)
        for part in parts
    )
