"""Rows that were mended, or whose reason is gone: from quarantine through the gate again.

A row that passes enters the catalogue and leaves quarantine; one that fails again stays, with
its present reasons. Nothing leaves quarantine before it is elsewhere.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import pandas as pd

from feature_repo.catalogs.source import Ordering, SourceData
from feature_repo.errors import JobError
from feature_repo.home import Home
from feature_repo.jobs.ingest import Gate, ingest
from feature_repo.sources import SourceRecord, read_records
from validation import quarantine, reasons, tables
from validation.rules import NO_RULES, Rules

Progress = Callable[[int, int], None]

STEP: Final = "resubmit"
TABLES: Final = (tables.ITEMS.name, tables.EVENTS.name)
"""Tables whose rows can come again; embeddings come again by `extract`."""


@dataclass(frozen=True, slots=True)
class Resubmitted:
    """What became of one table's rows."""

    table: str
    submitted: int
    accepted: int
    held: int
    """Rows that failed again."""


def held_rows(home: Home, table: str) -> pd.DataFrame:
    """The raw rows of a table in quarantine, to be mended.

    Returns:
        `fingerprint`, `source` and `reasons`, then the raw columns as they came.
    """
    held = quarantine.load(home.quarantine, table)
    content = pd.DataFrame([json.loads(row) for row in held[reasons.ROW]], index=held.index)
    known = [name for name in tables.TABLES[table].names if name in content]
    named = content[known].drop(columns=[tables.SOURCE], errors="ignore")
    others = content[[name for name in content if name == tables.UNREADABLE]]
    return pd.concat(
        [held[[quarantine.FINGERPRINT, tables.SOURCE, reasons.REASONS]], named, others], axis=1
    )


def resubmit(
    *,
    home: Home,
    gate: Gate,
    now: datetime,
    table: str | None = None,
    mended: pd.DataFrame | None = None,
    rules: Rules = NO_RULES,
    progress: Progress | None = None,
) -> list[Resubmitted]:
    """Send rows through the gate again, items before events.

    Args:
        table: ``items`` or ``events``; both by default.
        mended: rows as `held_rows` gave them, with their `fingerprint` and `source`; by default
            all that is held, as it is.

    Raises:
        JobError: `mended` is without a table, or has a fingerprint that is not in quarantine.
    """
    if mended is not None and table is None:
        raise JobError("say which table the mended rows are of: items or events")
    done = []
    for name in TABLES if table is None else (table,):
        if mended is not None:
            _require_held(mended, home, name)
        rows = held_rows(home, name) if mended is None else mended
        if len(rows):
            done.append(_one_table(name, rows, home, gate, now, rules, progress))
    return done


def _one_table(
    name: str,
    rows: pd.DataFrame,
    home: Home,
    gate: Gate,
    now: datetime,
    rules: Rules,
    progress: Progress | None,
) -> Resubmitted:
    accepted, records = 0, read_records(home.sources)
    for source, part in rows.groupby(tables.SOURCE, sort=True):
        result = ingest(
            _source(name, str(source), part, records.get(str(source))),
            home=home,
            gate=gate,
            now=now,
            part=True,
            step=STEP,
            rules=rules,
            progress=progress,
        )
        (check,) = (one for one in result.checks if one.table == name)
        accepted += len(check.accepted)
        again = quarantine.fingerprints(check, source=str(source))
        quarantine.release(
            home.quarantine, name, fingerprints=set(part[quarantine.FINGERPRINT]) - again
        )
    return Resubmitted(name, len(rows), accepted, len(rows) - accepted)


def _source(table: str, source: str, rows: pd.DataFrame, record: SourceRecord | None) -> SourceData:
    """The rows as a source that has nothing else."""
    raw = rows.drop(columns=[quarantine.FINGERPRINT, reasons.REASONS], errors="ignore")
    raw = raw.astype(object).where(raw.notna(), None).reset_index(drop=True)
    items, events = tables.ITEMS.empty(), tables.EVENTS.empty()
    return SourceData(
        name=source,
        items=raw if table == tables.ITEMS.name else items,
        events=raw if table == tables.EVENTS.name else events,
        ordering=record.ordering if record is not None else Ordering.TIME,
    )


def _require_held(rows: pd.DataFrame, home: Home, table: str) -> None:
    lacking = [name for name in (quarantine.FINGERPRINT, tables.SOURCE) if name not in rows]
    if lacking:
        raise JobError(
            f"the mended rows lack the column(s) {', '.join(lacking)}; keep those of "
            "`coldstart quarantine export`"
        )
    held = set(quarantine.load(home.quarantine, table)[quarantine.FINGERPRINT])
    gone = [one for one in rows[quarantine.FINGERPRINT] if one not in held]
    if gone:
        raise JobError(
            f"{len(gone)} of {len(rows)} rows are not in the quarantine of {table} (any more), "
            f"first fingerprint {gone[0]!r}; export again"
        )
