"""A generated shop of a fixed number of listings, with a log of any length (generated data).

Listings come one after another, and people, each with a category of their own that they choose in
most often, choose among those that are there. The log is drawn as numbers, eight bytes for each
event and column, and written piece by piece, so that ten million events take less than a gigabyte.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from coldstart_models.data.catalogue import IntArray
from feature_repo.home import Home
from validation import tables

AS_OF: Final = datetime(2026, 6, 1, tzinfo=UTC)
"""When the log ends."""
LISTINGS: Final = 2_000
CATEGORIES: Final = 40
EVENTS_A_USER: Final = 50
DAYS: Final = 180
AT_HOME: Final = 0.6
"""Share of a person's choices in their own category."""
KINDS: Final = {
    tables.IMPRESSION: 0.4,
    tables.CLICK: 0.4,
    tables.CART: 0.1,
    tables.PURCHASE: 0.1,
}
SOURCE: Final = "generated"
ROWS: Final = 1_048_576
"""Events that are text at a time."""


def write_shop(home: Home, count: int, *, generator: np.random.Generator) -> None:
    """Write the catalogue and a log of `count` events."""
    category = np.arange(LISTINGS) % CATEGORIES
    end = int(AS_OF.timestamp() * 1e6)
    begin = end - DAYS * 86_400_000_000
    listed = np.sort(generator.integers(begin, end, LISTINGS))
    listed[: LISTINGS // 4] = begin
    users = max(1, count // EVENTS_A_USER)
    taste = generator.integers(0, CATEGORIES, users)
    moments = np.sort(generator.integers(begin, end, count))
    who = generator.integers(0, users, count)
    wanted = np.where(
        generator.random(count) < AT_HOME, taste[who], generator.integers(0, CATEGORIES, count)
    )
    chosen = np.zeros(count, np.int64)
    for number in range(CATEGORIES):
        items, rows = np.flatnonzero(category == number), np.flatnonzero(wanted == number)
        there = np.searchsorted(listed[items], moments[rows], side="right")
        chosen[rows] = items[(generator.random(len(rows)) ** 2 * there).astype(np.int64)]
    del wanted
    _write_items(home, listed, prices=generator.gamma(2.0, 40.0, LISTINGS) + 1.0)
    _write_events(home, moments, who, chosen, generator=generator)


def _write_items(home: Home, listed: IntArray, *, prices: npt.NDArray[np.float64]) -> None:
    words = [_word(number % CATEGORIES) for number in range(LISTINGS)]
    columns = {
        tables.ITEM_ID: _item_ids(),
        tables.TITLE: [f"{word} number {number}" for number, word in enumerate(words)],
        tables.CATEGORY: [f"Home > {word}" for word in words],
        tables.PRICE: np.round(prices, 2),
        tables.LISTED_AT: pa.array(listed).cast(tables.TIMESTAMP),
        tables.SOURCE: [SOURCE] * LISTINGS,
    }
    home.items.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(canonical(columns, tables.ITEMS, rows=LISTINGS), home.items)


def _write_events(
    home: Home,
    moments: IntArray,
    who: IntArray,
    chosen: IntArray,
    *,
    generator: np.random.Generator,
) -> None:
    """Piece by piece; what an event is of is drawn as it is written."""
    items, kinds, shares = pa.array(_item_ids()), pa.array(list(KINDS)), list(KINDS.values())
    home.events.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(home.events, tables.EVENTS.schema) as file:
        for start in range(0, len(moments), ROWS):
            rows = slice(start, min(start + ROWS, len(moments)))
            size = rows.stop - start
            kind = generator.choice(len(KINDS), size, p=shares)
            columns = {
                tables.EVENT_ID: _named("e", np.arange(start, rows.stop)),
                tables.USER_ID: _named("u", who[rows]),
                tables.ITEM_ID: items.take(pa.array(chosen[rows])),
                tables.EVENT_TYPE: kinds.take(pa.array(kind)),
                tables.EVENT_TIMESTAMP: pa.array(moments[rows]).cast(tables.TIMESTAMP),
                tables.SOURCE: pa.repeat(SOURCE, size),
            }
            file.write_table(canonical(columns, tables.EVENTS, rows=size))


def _item_ids() -> list[str]:
    return [f"i{number:05d}" for number in range(LISTINGS)]


def _named(letter: str, numbers: IntArray) -> pa.Array:
    """The letter and the number, as text that no Python object holds."""
    return pc.binary_join_element_wise(letter, pa.array(numbers).cast(pa.string()), "")


def _word(number: int) -> str:
    """A category's name, of letters that tell it from others."""
    return "".join(chr(ord("a") + (number * step + step) % 26) for step in (3, 5, 7, 11))


def canonical(columns: Mapping[str, Any], table: tables.Table, *, rows: int) -> pa.Table:
    """The columns in the table's order and types; those that are not given are empty."""
    arrays = [
        pa.array(columns[field.name], type=field.type)
        if field.name in columns
        else pa.nulls(rows, field.type)
        for field in table.schema
    ]
    return pa.Table.from_arrays(arrays, schema=table.schema)
