"""Ids for the events of a log that has none."""

import hashlib
from collections.abc import Iterable
from typing import Final

import pandas as pd

from validation import tables
from validation.coercion import is_blank

KEY_COLUMNS: Final = (
    tables.SOURCE,
    tables.USER_ID,
    tables.ITEM_ID,
    tables.EVENT_TIMESTAMP,
    tables.EVENT_TYPE,
    tables.SESSION_ID,
)
REPEATS: Final = 64
"""Rows of one key, as far as they are looked for."""
KEPT: Final = 32
"""Hexadecimal digits kept of the SHA-256: 128 bits."""


def with_event_ids(events: pd.DataFrame) -> pd.DataFrame:
    """The events with `event_id` filled where it is absent, null or blank.

    The id is the start of the SHA-256 of the row's `KEY_COLUMNS` and its occurrence number
    among rows equal in them, so that real repeats stay apart and reading the same log again
    gives the same ids. It depends on nothing but these values: not on row order between
    different keys, the machine or the versions of libraries.
    """
    if tables.EVENT_ID in events:
        given = events[tables.EVENT_ID]
        missing = given.isna() | given.map(is_blank).astype(bool)
        if not missing.any():
            return events
        filled = given.astype(object)
        filled[missing] = derived_ids(events[missing])
        return events.assign(**{tables.EVENT_ID: filled})
    return events.assign(**{tables.EVENT_ID: derived_ids(events)})


def derived_ids(events: pd.DataFrame) -> list[str]:
    """One id a row, in the rows' order."""
    keys = pd.Series(keys_of(events), dtype=object)
    occurrences = keys.groupby(keys, sort=False).cumcount()
    return [
        _derived(key, number)
        for key, number in zip(keys.tolist(), occurrences.tolist(), strict=True)
    ]


def keys_of(events: pd.DataFrame) -> list[str]:
    """What a derived id says of each row, its occurrence number apart."""
    columns = [_key_texts(events, name) for name in KEY_COLUMNS]
    return ["\x1f".join(row) for row in zip(*columns, strict=True)]


def is_derived(event_id: object, key: str) -> bool:
    """Whether an id was derived from such a row: the first, or one of its first `REPEATS`."""
    if not isinstance(event_id, str) or len(event_id) != KEPT:
        return False
    return any(_derived(key, number) == event_id for number in range(REPEATS))


def _derived(key: str, number: int) -> str:
    told = f"{key}\x1f{number}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(told).hexdigest()[:KEPT]


def _key_texts(events: pd.DataFrame, name: str) -> Iterable[str]:
    """The column as text that tells null from every value."""
    if name not in events:
        return ["\x00"] * len(events)
    values = events[name]
    null = values.isna().tolist()
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        values = values.dt.as_unit("us").astype("int64")
    return [
        "\x00" if absent else _key_text(value)
        for absent, value in zip(null, values.tolist(), strict=True)
    ]


def _key_text(value: object) -> str:
    """A time as in a column of times alone: an unreadable one in another row changes no id."""
    if isinstance(value, pd.Timestamp):
        return str(value.as_unit("us").asm8.astype("int64"))
    return str(value)
