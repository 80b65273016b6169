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
from feature_repo.jobs.event_ids import is_derived, keys_of
from feature_repo.jobs.ingest import Gate, ingest
from feature_repo.sources import SourceRecord, read_records
from validation import coercion, quarantine, reasons, tables
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
            rows = _with_ids_of_now(rows, home) if name == tables.EVENTS.name else rows
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


def _with_ids_of_now(events: pd.DataFrame, home: Home) -> pd.DataFrame:
    """The events; an id that was derived from what a mended row said before is left out.

    It is derived anew, so that the row is one event with that of its source once that is mended
    too, where its time is a time as well and no text.
    """
    if tables.EVENT_ID not in events:
        return events
    held = held_rows(home, tables.EVENTS.name).set_index(quarantine.FINGERPRINT)
    before = held.loc[events[quarantine.FINGERPRINT]].set_axis(events.index)
    read = _with_times(events)
    rows = zip(
        events[tables.EVENT_ID],
        before[tables.EVENT_ID],
        zip(keys_of(before), keys_of(_with_times(before)), strict=True),
        keys_of(read),
        strict=True,
    )
    stale = [
        event_id == known and now not in keys and any(is_derived(known, key) for key in keys)
        for event_id, known, keys, now in rows
    ]
    changed = pd.Series(stale, index=events.index, dtype=bool)
    return events.assign(
        **{
            tables.EVENT_ID: events[tables.EVENT_ID].astype(object).mask(changed, None),
            tables.EVENT_TIMESTAMP: events[tables.EVENT_TIMESTAMP]
            .astype(object)
            .mask(changed, read[tables.EVENT_TIMESTAMP]),
        }
    )


def _with_times(events: pd.DataFrame) -> pd.DataFrame:
    """The events with times where the gate reads them; what it does not read stays as it is."""
    given = events[tables.EVENT_TIMESTAMP].astype(object)
    read = coercion.moments(given.reset_index(drop=True))[0].set_axis(events.index)
    return events.assign(**{tables.EVENT_TIMESTAMP: given.mask(read.notna(), read.astype(object))})


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
