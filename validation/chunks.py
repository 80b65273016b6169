"""The parts of a batch, each small enough to hold some copies of, in canonical types."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import pandas as pd

from validation import tables
from validation.coercion import Coerced, coerce
from validation.errors import MissingColumnError, TableError, ValidationError
from validation.rules import NO_RULES, Rules
from validation.tables import Table

CHUNK: Final = 20_000
"""Rows that are judged at once."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows of a batch."""

    raw: pd.DataFrame
    """As they came; the index is 0 … n - 1."""
    coerced: Coerced
    offset: int
    """Number of the first row in the batch."""
    problems: pd.Series | None = None
    """(n,) what is wrong with each listing's photo, as bits; None where none was opened."""
    fingerprints: pd.Series | None = None
    """(n,) of the photos, where they were opened."""


def slices(frame: pd.DataFrame, *, rules: Rules = NO_RULES) -> Iterator[pd.DataFrame]:
    """The frame in parts of `CHUNK` rows; as one where a rule compares the rows."""
    rows = CHUNK if rules.row_by_row else max(1, len(frame))
    for start in range(0, max(1, len(frame)), rows):
        yield frame.iloc[start : start + rows]


def chunks(
    parts: Iterable[pd.DataFrame],
    table: Table,
    *,
    required: Iterable[str],
    source: str | None,
    now: datetime,
) -> Iterator[Chunk]:
    """The parts as chunks, one after the other. Raises as `require_columns`."""
    offset = 0
    for frame in parts:
        require_columns(frame, table.name, required, now)
        raw = frame.rename(columns=str).reset_index(drop=True)
        if tables.SOURCE not in raw:
            raw = raw.assign(**{tables.SOURCE: source})
        yield Chunk(raw, coerce(raw, table), offset)
        offset += len(raw)


def require_columns(
    frame: pd.DataFrame, table: str, required: Iterable[str], now: datetime
) -> None:
    """Raise TableError where a frame cannot be judged at all: see `errors`."""
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
