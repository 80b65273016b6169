"""What an adapter yields: one source's tables as they came, before the gate.

The frames hold canonical column names but **raw values**: an adapter renames and
derives, it never drops a row and never repairs one. Types, ranges and references are
the gate's business, so a price of ``"n/a"`` travels as it is and lands in quarantine
with its reason.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import pandas as pd


class SourceError(ValueError):
    """A source cannot be opened or read at all. The message says what to do."""


class SourceColumnError(SourceError):
    """A table lacks a column that no row can do without: its every row would be blocked."""


class Ordering(StrEnum):
    """What the events' order means in this source."""

    TIME = "time"
    """Real timestamps."""
    SEQUENCE = "sequence"
    """Only an order: `event_timestamp` is 2000-01-01 UTC plus `seq` microseconds."""
    NONE = "none"
    """No order at all: every `event_timestamp` is 2000-01-01 UTC."""


@dataclass(frozen=True, slots=True)
class SourceData:
    """One source, read."""

    name: str
    """Value of the `source` column, e.g. ``marketplace`` or the folder's name."""
    items: pd.DataFrame
    """Columns of `validation.tables.ITEMS` (those the source has), raw values."""
    events: pd.DataFrame
    """Columns of `validation.tables.EVENTS` (those the source has), raw values.
    `event_id` may be absent; ingest derives it."""
    ordering: Ordering
    generated: bool = False
    """True for data we made up; shown wherever results are shown."""
    truth: pd.DataFrame | None = None
    """Where the choice model is known: `user_id`, `item_id`, `utility` of every user
    and home listing; higher is preferred. Never an input of a model."""


@dataclass(frozen=True, slots=True)
class SourceParts:
    """One source, read part by part; each can be gone through once."""

    name: str
    items: Iterator[pd.DataFrame]
    """Frames as `SourceData.items`."""
    events: Iterator[pd.DataFrame] | None
    """Frames as `SourceData.events`; None where the source has no log."""
    generated: bool = False
