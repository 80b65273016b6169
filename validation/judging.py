"""A chunk of rows and what is known of them → which are accepted, which held back, and why.

A row that fails a blocking check of the suite goes to quarantine with the sentence of every
check that it failed, all others pass. Ids are compared only among the rows that pass the rest, so
a bad row never pushes out a good one of the same id.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from validation import engine, facts, reasons, suites, tables
from validation.checks import DUPLICATE_ID, READ, Severity, readable
from validation.chunks import Chunk
from validation.contents import FINGERPRINT
from validation.engine import Finding, Run
from validation.identities import FirstRows
from validation.result import GateResult, counts
from validation.tables import Table

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

Judge = Callable[["ExpectationSuite", pd.DataFrame], Run]
"""`engine.run`, or what finds the same."""


def judged(
    table: Table,
    chunk: Chunk,
    *,
    found: Mapping[str, pd.Series],
    suite: "ExpectationSuite",
    first_rows: FirstRows,
    details: reasons.Details,
    now: datetime,
    notes: tuple[str, ...] = (),
    judge: Judge = engine.run,
) -> GateResult:
    """Run the suite, then compare ids among what passed, and sort the rows.

    Args:
        found: columns that the suite reads beside the table's, by name.
        first_rows: what came before this chunk.
        details: what the sentences of some checks say of a row, by check and row.
        notes: of the batch as a whole.
        judge: runs a suite over a frame.
    """
    raw, coerced = chunk.raw, chunk.coerced
    read = {readable(name): flags for name, flags in coerced.readable.items()}
    checked = coerced.frame.assign(**{READ: facts.lines_read(raw)}, **found, **read)
    run = judge(suite, checked[suites.columns_of(suite)])
    passing = coerced.frame.drop(run.rows(Severity.BLOCK))
    first, told = first_rows.take(passing[table.key], raw, offset=chunk.offset)
    identities = suites.identities(table.key, table=table.name)
    twice = judge(identities, pd.DataFrame({suites.FIRST: first}, index=passing.index))
    kept = passing[first]
    return result_of(
        table.name,
        raw,
        accepted=table.to_pandas(table.to_arrow(kept)),
        key=coerced.frame[table.key],
        findings=[*reasons.telling(run.findings), *twice.findings],
        details={**details, DUPLICATE_ID: told, "line_readable": facts.unread_lines(raw)},
        validation={
            str(part.result["suite_name"]): part.result for part in (run, twice) if part.result
        },
        notes=notes,
        now=now,
        offset=chunk.offset,
        fingerprints=None if chunk.fingerprints is None else _of_accepted(kept, chunk.fingerprints),
    )


def result_of(
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
    offset: int = 0,
    fingerprints: pd.DataFrame | None = None,
) -> GateResult:
    """The rows with the sentences of what they failed. See `judged` for the other arguments.

    Args:
        raw: the rows as they came; the index is 0 … n - 1.
        offset: number of the first row in the batch.
    """
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
            offset=offset,
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


def _of_accepted(accepted: pd.DataFrame, fingerprints: pd.Series) -> pd.DataFrame:
    """`item_id` and `fingerprint` of the accepted listings whose photo has one."""
    prints = fingerprints.loc[accepted.index].astype(object)
    frame = pd.DataFrame({tables.ITEM_ID: accepted[tables.ITEM_ID], FINGERPRINT: prints})
    return frame.dropna().reset_index(drop=True).astype({FINGERPRINT: "uint64"})
