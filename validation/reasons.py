"""Findings → for every failing row a quarantine or warning row with sentences for a person."""

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd

from validation import tables
from validation.checks import Severity, readable
from validation.coercion import says_none
from validation.engine import Finding

KEY: Final = "key"
ROW_NUMBER: Final = "row_number"
ROW: Final = "row"
REASONS: Final = "reasons"
CHECKS: Final = "checks"
SEVERITY: Final = "severity"
CHECKED_AT: Final = "checked_at"
COLUMNS: Final = (KEY, tables.SOURCE, ROW_NUMBER, ROW, REASONS, CHECKS, SEVERITY, CHECKED_AT)

LONGEST_VALUE: Final = 80

Details = Mapping[str, Mapping[int, str]]
"""Check name → row → what the sentence's ``{detail}`` says."""


def describe(
    rows: np.ndarray,
    *,
    raw: pd.DataFrame,
    key: pd.Series,
    source: pd.Series,
    findings: Iterable[Finding],
    details: Details,
    severity: Severity,
    now: datetime,
    offset: int = 0,
) -> pd.DataFrame:
    """One row for each of `rows`: what it held and every reason, in the suite's order.

    Args:
        rows: row numbers in `raw`, ascending.
        raw: the table as it came; its index is 0 … n - 1.
        key: each row's key in canonical form.
        offset: number of the first row in the whole table.
    """
    sentences: dict[int, list[str]] = {row: [] for row in rows.tolist()}
    checks: dict[int, list[str]] = {row: [] for row in rows.tolist()}
    for finding in findings:
        check, known = finding.check, details.get(finding.check.name, {})
        shown = raw[check.column] if check.column in raw else pd.Series(None, index=raw.index)
        failing = finding.rows[np.isin(finding.rows, rows)]
        for row, value in zip(failing.tolist(), shown.iloc[failing].tolist(), strict=True):
            text = check.sentence.format(value=shown_value(value), detail=known.get(row, ""))
            sentences[row].append(f"Row {offset + row}: {text}.")
            checks[row].append(check.name)
    taken = raw.iloc[rows]
    return pd.DataFrame(
        {
            KEY: key.iloc[rows].to_numpy(dtype=object),
            tables.SOURCE: source.iloc[rows].to_numpy(dtype=object),
            ROW_NUMBER: rows.astype(np.int64) + offset,
            ROW: pd.Series(
                raw_rows(taken, absent=nan_is_absent(raw) if len(rows) else ()), dtype=object
            ),
            REASONS: pd.Series(list(sentences.values()), dtype=object),
            CHECKS: pd.Series(list(checks.values()), dtype=object),
            SEVERITY: pd.Series([str(severity)] * len(rows), dtype=object),
            CHECKED_AT: pd.Series([pd.Timestamp(now)] * len(rows)).astype("datetime64[us, UTC]"),
        },
        columns=list(COLUMNS),
    )


def telling(findings: Iterable[Finding]) -> list[Finding]:
    """Findings without those that only follow from a value or line that cannot be read."""
    findings = tuple(findings)
    rows_of = {found.check.name: found.rows for found in findings}
    nothing = np.array([], dtype=np.int64)
    telling = []
    for found in findings:
        check, rows = found.check, found.rows
        if check.name != "line_readable":
            rows = np.setdiff1d(rows, rows_of.get("line_readable", nothing))
            if check.name != readable(check.column):
                rows = np.setdiff1d(rows, rows_of.get(readable(check.column), nothing))
        if len(rows):
            telling.append(Finding(check, rows))
    return telling


def raw_rows(frame: pd.DataFrame, *, absent: Collection[str] = ()) -> list[str]:
    """Each row as JSON, keys sorted; NaN is kept apart from None as ``"NaN"``.

    Args:
        absent: columns whose NaN says that nothing is there, as None does: null.
    """
    names = sorted(map(str, frame.columns))
    columns = [
        [None if isinstance(value, float) and np.isnan(value) else value for value in frame[name]]
        if name in absent
        else frame[name].tolist()
        for name in names
    ]
    return [
        json.dumps(
            {name: _plain(value) for name, value in zip(names, values, strict=True)},
            ensure_ascii=True,
            default=str,
        )
        for values in zip(*columns, strict=True)
    ]


def nan_is_absent(frame: pd.DataFrame) -> set[str]:
    """Columns in which NaN is the only way to say that nothing is there (`coercion.numbers`)."""
    return {str(name) for name in frame if not says_none(frame[name][frame[name].isna()])}


def shown_value(value: object) -> str:
    """The value as a sentence shows it: text in quotes, of long ones both ends."""
    if value is None or value is pd.NA or value is pd.NaT:
        return "missing"
    text = repr(value) if isinstance(value, str) else str(value)
    if len(text) <= LONGEST_VALUE:
        return text
    half = LONGEST_VALUE // 2
    return f"{text[: half - 1]}…{text[-half:]}"


def _plain(value: object) -> object:
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, float) and not np.isfinite(value):
        return str(value).replace("nan", "NaN")
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="backslashreplace")
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, dict):
        return {str(name): _plain(entry) for name, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value
