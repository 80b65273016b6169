"""When an event became known, and the relations that the SQL of the features reads.

An event counts from the moment it became known: when it happened, or when it reached the shop
where that was later. A row of features is the state after all events of one such moment and is
known from 1 µs after it, so a training row at that moment does not see them, and an event that
arrives late changes no row of a moment before its arrival.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import duckdb
import pandas as pd
import pyarrow as pa

from feature_repo.jobs.small_database import small_database
from validation import tables

MOMENT: Final = f"greatest({tables.EVENT_TIMESTAMP}, {tables.RECEIVED_AT})"
"""SQL: when an event became known."""
KNOWN: Final = f"epoch_us({MOMENT})"
"""The same in µs since 1970 UTC."""
HAPPENED: Final = f"epoch_us({tables.EVENT_TIMESTAMP})"
"""SQL: when an event happened, µs since 1970 UTC."""
POSITIVE: Final = f"event_type IN {tables.POSITIVE_EVENT_TYPES}"
"""SQL: whether an event says that a person chose the item."""
PAID: Final = f"""CASE WHEN coalesce(unit_price, price) > {tables.HIGHEST_PRICE!r}
                THEN {tables.HIGHEST_PRICE!r} ELSE coalesce(unit_price, price) END"""
"""SQL: the price of a piece. A log of before the gate had a bound may hold more than sums bear."""
PIECES: Final = f"""CASE WHEN quantity > {tables.MOST_PIECES!r}
                THEN {tables.MOST_PIECES!r} ELSE quantity END"""
"""SQL: the pieces of an event, bounded likewise."""
TOP_CATEGORY: Final = "coalesce(nullif(trim(split_part(category, '>', 1)), ''), domain)"

ARRIVING: Final = "arriving"
"""Name of the rows that are put into a relation."""
NUMBER: Final = "number"
"""Beside an event's columns: its place in the log."""
EVENT_COLUMNS: Final = (
    tables.USER_ID,
    tables.ITEM_ID,
    tables.EVENT_TYPE,
    tables.EVENT_TIMESTAMP,
    tables.RECEIVED_AT,
    tables.QUANTITY,
    tables.UNIT_PRICE,
    tables.SESSION_ID,
)
ITEM_COLUMNS: Final = (tables.ITEM_ID, tables.PRICE, tables.CATEGORY, tables.DOMAIN)
"""What the SQL reads."""


def known_from(known: str) -> str:
    """SQL: the time 1 µs after a moment in µs."""
    return f"make_timestamptz({known} + 1)"


@contextmanager
def relations(events: pd.DataFrame, items: pd.DataFrame) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with `events`, numbered in the rows' order, and `items`."""
    number = pa.array(range(len(events)), type=pa.int64())
    contents = {
        "events": _columns(events, tables.EVENTS, EVENT_COLUMNS).append_column(NUMBER, number),
        "items": _columns(items, tables.ITEMS, ITEM_COLUMNS),
    }
    with small_database() as connection:
        for name, rows in contents.items():
            connection.register(ARRIVING, rows)
            connection.execute(f"CREATE TEMP TABLE {name} AS FROM {ARRIVING}")
            connection.unregister(ARRIVING)
        yield connection


def _columns(frame: pd.DataFrame, table: tables.Table, names: Sequence[str]) -> pa.Table:
    """Some columns with the table's types; absent ones are null."""
    fields = [table.schema.field(name) for name in names]
    arrays = [
        pa.Array.from_pandas(frame[field.name], type=field.type)
        if field.name in frame.columns
        else pa.nulls(len(frame), field.type)
        for field in fields
    ]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))
