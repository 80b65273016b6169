"""The gate: a table → accepted rows, quarantined rows with reasons, a result.

Great Expectations runs the table's suite over all rows, cast to their canonical types, and
its list of failing rows decides: a row that fails a blocking check goes to quarantine with
the sentence of every check that it failed, all others pass. Ids are compared only among the
rows that pass the rest, so a bad row never pushes out a good one of the same id.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from validation import (
    comparisons,
    engine,
    facts,
    listing_checks,
    log,
    reasons,
    suites,
    tables,
    vectors,
)
from validation.alignment import Alignment, FloatArray
from validation.checks import READ, Severity, readable
from validation.coercion import Coerced, coerce
from validation.engine import Finding
from validation.errors import MissingColumnError, TableError, ValidationError
from validation.photos import Photo, inspect_all
from validation.reference import Reference
from validation.result import GateResult as GateResult
from validation.result import counts
from validation.rules import NO_RULES, Rules
from validation.tables import Table

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

EMBEDDINGS: Final = "embeddings"
EMBEDDING: Final = "embedding"
PAIRS: Final = "pairs"

Progress = Callable[[int, int], None]


def check_items(
    frame: pd.DataFrame,
    *,
    known_items: pd.DataFrame | None,
    now: datetime,
    source: str | None = None,
    photos: bool = True,
    known_photos: pd.DataFrame | None = None,
    rules: Rules = NO_RULES,
    progress: Progress | None = None,
) -> GateResult:
    """Check listings.

    Args:
        frame: canonical column names, raw values; other columns are left out.
        known_items: what was accepted before, `item_id`, `source` and what else is known of it;
            an id that another source owns is quarantined, one of the same source is an update.
            Listings are compared with it: a category, price, currency or script that it does
            not have is warned of.
        source: value of `source` where the frame has no such column.
        photos: whether to decode the photos.
        known_photos: `item_id` and `fingerprint` of the photos accepted before.
        rules: what the shop adds.
        progress: told photos done and in all.

    Raises:
        MissingColumnError: there is no `item_id` column.
    """
    raw = _raw(frame, tables.ITEMS, (tables.ITEM_ID,), source, now)
    coerced = coerce(raw, tables.ITEMS)
    listings = coerced.frame
    paths = listings[tables.IMAGE_PATH]
    seen = inspect_all(paths.dropna().tolist(), progress=progress) if photos else None
    owners = facts.other_owners(listings, known_items)
    reference = Reference.of(known_items, batch=listings, photos=known_photos)
    compared = comparisons.compare(listings, reference, seen)
    found = {
        suites.OWN: owners.isna(),
        **{name: facts.holds(listings.index, rows) for name, rows in compared.items()},
    }
    if seen is not None:
        found[listing_checks.PHOTO] = facts.photo_bits(paths, seen)
    suite = suites.items(
        now=now,
        present=facts.present_columns(raw),
        photos=photos,
        compared=compared,
        rules=rules,
    )
    details = {
        "id_of_another_source": {
            row: repr(owner) for row, owner in facts.labelled(owners.dropna())
        },
        **compared,
    }
    return _judge(
        tables.ITEMS,
        raw,
        coerced,
        found=found,
        suite=suite,
        details=details,
        now=now,
        photos=seen,
    )


def check_events(
    frame: pd.DataFrame,
    *,
    known_item_ids: Collection[str],
    now: datetime,
    source: str | None = None,
    rules: Rules = NO_RULES,
) -> GateResult:
    """Check events; `event_id` may be absent or null, but ids that are given must differ.

    See `check_items` for the arguments.

    Raises:
        MissingColumnError: `user_id`, `item_id`, `event_type` or `event_timestamp` is absent.
    """
    required = (tables.USER_ID, tables.ITEM_ID, tables.EVENT_TYPE, tables.EVENT_TIMESTAMP)
    raw = _raw(frame, tables.EVENTS, required, source, now)
    coerced = coerce(raw, tables.EVENTS)
    events = coerced.frame
    known = events[tables.ITEM_ID].isin(pd.Index(list(known_item_ids), dtype=object))
    fast = log.too_fast(events)
    found = {
        suites.HUMAN: facts.holds(events.index, fast),
        suites.KNOWN: known | events[tables.ITEM_ID].isna(),
        suites.RATED: (events[tables.EVENT_TYPE] != tables.RATING) | events[tables.VALUE].notna(),
    }
    suite = suites.events(now=now, present=facts.present_columns(raw), rules=rules)
    return _judge(
        tables.EVENTS,
        raw,
        coerced,
        found=found,
        suite=suite,
        details={"user_rate_human": fast},
        notes=log.gaps(events),
        now=now,
    )


def check_embeddings(
    frame: pd.DataFrame,
    *,
    width: int,
    now: datetime,
    column: str = EMBEDDING,
    unit: bool = False,
    encoder_hash: str | None = None,
    reference: vectors.FloatMatrix | None = None,
) -> GateResult:
    """Check vectors: `width` finite numbers each, not all zero, of unit length if `unit`.

    The accepted rows keep all their columns; their vectors are float32 arrays.

    Args:
        encoder_hash: that of the encoder all rows must come from, in the column of that name.
        reference: (M, width) vectors of the catalogue. A vector far from all of them is warned
            of; a batch that drifted from them, or says the same of everything, is noted.

    Raises:
        MissingColumnError: `item_id` or the vectors' column is absent.
    """
    required = [tables.ITEM_ID, column]
    if encoder_hash is not None:
        required.append(suites.ENCODER_HASH)
    _require(frame, EMBEDDINGS, required, now)
    raw = frame.reset_index(drop=True)
    arrays = [facts.vector(value) for value in raw[column]]
    cast = raw.assign(**{column: pd.Series(arrays, index=raw.index, dtype=object)})
    sound = facts.sound_vectors(arrays, width)
    suite = suites.embeddings(
        width=width,
        column=column,
        unit=unit,
        encoder_hash=encoder_hash,
        compared=reference is not None,
    )
    near, details = facts.near_others(sound, len(raw), reference)
    run = engine.run(suite, cast.assign(**{suites.NEAR: near})[suites.columns_of(suite)])
    blocked = run.rows(Severity.BLOCK)
    return _result(
        EMBEDDINGS,
        raw,
        accepted=cast.drop(blocked).reset_index(drop=True),
        key=raw[tables.ITEM_ID],
        findings=run.findings,
        details={
            "vector_width": dict(enumerate(map(facts.vector_size, arrays))),
            "vector_near_others": details,
        },
        validation={str(run.result["suite_name"]): run.result},
        notes=facts.vector_notes(sound, reference),
        now=now,
    )


def check_pairs(
    frame: pd.DataFrame, *, agreement: FloatArray, alignment: Alignment, now: datetime
) -> GateResult:
    """Check whether photos and texts of listings speak of the same thing; it only warns.

    Args:
        frame: `item_id`, and what else a report should show.
        agreement: (N,) of each row, from `alignment`.
        alignment: what is usual.
    """
    _require(frame, PAIRS, (tables.ITEM_ID,), now)
    raw = frame.reset_index(drop=True)
    agrees = agreement >= alignment.threshold
    sure = alignment.confidence(agreement)
    run = engine.run(suites.pairs(), pd.DataFrame({suites.AGREES: agrees}))
    return _result(
        PAIRS,
        raw,
        accepted=raw,
        key=raw[tables.ITEM_ID],
        findings=run.findings,
        details={
            "photo_matches_text": {int(row): f"{sure[row]:.0%}" for row in np.flatnonzero(~agrees)}
        },
        validation={str(run.result["suite_name"]): run.result},
        notes=(),
        now=now,
    )


def _judge(
    table: Table,
    raw: pd.DataFrame,
    coerced: Coerced,
    *,
    found: Mapping[str, pd.Series],
    suite: "ExpectationSuite",
    details: Mapping[str, Mapping[int, str]],
    now: datetime,
    notes: tuple[str, ...] = (),
    photos: Mapping[str, Photo] | None = None,
) -> GateResult:
    """Run the suite, then compare ids among what passed, and sort the rows."""
    read = {readable(name): flags for name, flags in coerced.readable.items()}
    judged = coerced.frame.assign(**{READ: facts.lines_read(raw)}, **found, **read)
    run = engine.run(suite, judged[suites.columns_of(suite)])
    passing = coerced.frame.drop(run.rows(Severity.BLOCK))
    identities = suites.identities(table.key, table=table.name)
    twice = engine.run(identities, passing[[table.key]])
    repeated = twice.rows(Severity.BLOCK)
    accepted = table.to_pandas(table.to_arrow(passing.drop(repeated)))
    return _result(
        table.name,
        raw,
        accepted=accepted,
        key=coerced.frame[table.key],
        findings=[*reasons.telling(run.findings), *twice.findings],
        details={
            **details,
            "duplicate_id": facts.twins(raw, passing[table.key], repeated),
            "line_readable": facts.unread_lines(raw),
        },
        validation={str(part.result["suite_name"]): part.result for part in (run, twice)},
        notes=(*facts.absences(raw, table.name), *notes),
        now=now,
        fingerprints=comparisons.fingerprints(accepted, photos) if photos is not None else None,
    )


def _result(
    table: str,
    raw: pd.DataFrame,
    *,
    accepted: pd.DataFrame,
    key: pd.Series,
    findings: Iterable[Finding],
    details: reasons.Details,
    validation: dict[str, dict[str, Any]],
    notes: tuple[str, ...],
    now: datetime,
    fingerprints: pd.DataFrame | None = None,
) -> GateResult:
    findings = tuple(findings)
    source = raw.get(tables.SOURCE, pd.Series(None, index=raw.index, dtype=object))
    rows = {
        severity: engine.union(f.rows for f in findings if f.check.severity is severity)
        for severity in Severity
    }
    rows[Severity.WARN] = np.setdiff1d(rows[Severity.WARN], rows[Severity.BLOCK])
    described = {
        severity: reasons.describe(
            chosen,
            raw=raw,
            key=key,
            source=source,
            findings=findings,
            details=details,
            severity=severity,
            now=now,
        )
        for severity, chosen in rows.items()
    }
    reason_counts, severities = counts(findings)
    return GateResult(
        table=table,
        accepted=accepted,
        quarantined=described[Severity.BLOCK],
        warnings=described[Severity.WARN],
        received=len(raw),
        reason_counts=reason_counts,
        severities=severities,
        notes=notes,
        validation=validation,
        checked_at=now,
        fingerprints=fingerprints,
    )


def _raw(
    frame: pd.DataFrame, table: Table, required: Iterable[str], source: str | None, now: datetime
) -> pd.DataFrame:
    _require(frame, table.name, required, now)
    raw = frame.rename(columns=str).reset_index(drop=True)
    return raw if tables.SOURCE in raw else raw.assign(**{tables.SOURCE: source})


def _require(frame: pd.DataFrame, table: str, required: Iterable[str], now: datetime) -> None:
    if now.tzinfo is None:
        raise ValidationError(f"now is {now}, without a zone; pass a time in UTC")
    missing = [name for name in required if name not in frame.columns]
    if missing:
        raise MissingColumnError(table, missing=missing, present=frame.columns)
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise TableError(
            f"the {table} table has the column(s) {', '.join(map(str, twice))} more than once; "
            "keep one of each"
        )
