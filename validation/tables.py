"""The canonical tables: every column's name, type and unit, once.

Adapters write these tables, the gate checks them, jobs and models read them. A
column is named here and nowhere else: code says ``tables.ITEM_ID``, never a literal.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd
import pyarrow as pa

from validation.errors import TableError as TableError

TIMESTAMP: Final = pa.timestamp("us", tz="UTC")

ITEM_ID: Final = "item_id"
TITLE: Final = "title"
DESCRIPTION: Final = "description"
CATEGORY: Final = "category"
BRAND: Final = "brand"
SELLER_ID: Final = "seller_id"
PRICE: Final = "price"
CURRENCY: Final = "currency"
ATTRIBUTES: Final = "attributes"
IMAGE_PATH: Final = "image_path"
LISTED_AT: Final = "listed_at"
AVAILABLE: Final = "available"
DOMAIN: Final = "domain"
SOURCE: Final = "source"

EVENT_ID: Final = "event_id"
USER_ID: Final = "user_id"
EVENT_TYPE: Final = "event_type"
EVENT_TIMESTAMP: Final = "event_timestamp"
RECEIVED_AT: Final = "received_at"
QUANTITY: Final = "quantity"
UNIT_PRICE: Final = "unit_price"
VALUE: Final = "value"
SESSION_ID: Final = "session_id"
PROPENSITY: Final = "propensity"
VARIANT: Final = "variant"

IMPRESSION: Final = "impression"
CLICK: Final = "click"
CART: Final = "cart"
PURCHASE: Final = "purchase"
RATING: Final = "rating"
EVENT_TYPES: Final = (IMPRESSION, CLICK, CART, PURCHASE, RATING)
POSITIVE_EVENT_TYPES: Final = (CLICK, CART, PURCHASE, RATING)
"""Events that say a person chose the item; an impression only says it was shown."""

EARLIEST: Final = "1990-01-01T00:00:00+00:00"
"""No shop has a record of before."""
HIGHEST_PRICE: Final = 1e11
"""Of one piece, in whatever currency: a sofa may cost 10^9 rials. What costs more is a mistake, and
sums of squares of prices are to stay exact."""
MOST_PIECES: Final = 1e6
"""Of one event."""

UNREADABLE: Final = "_unreadable"
"""Beside the canonical columns of raw rows: the text of a line that could not be read."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a canonical table."""

    name: str
    dtype: pa.DataType
    meaning: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A canonical table: its name, its key and its columns in order."""

    name: str
    key: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def required(self) -> list[str]:
        return [column.name for column in self.columns if column.required]

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([pa.field(column.name, column.dtype) for column in self.columns])

    def empty(self) -> pd.DataFrame:
        """A frame without rows whose columns have the table's types."""
        return self.to_pandas(self.schema.empty_table())

    def complete(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame with the table's columns alone, in order; absent ones become null."""
        missing = [name for name in self.required if name not in frame.columns]
        if missing:
            raise TableError(
                f"table {self.name!r} lacks the column(s) {', '.join(missing)}; "
                f"it has {', '.join(map(str, frame.columns))}"
            )
        return frame.reindex(columns=self.names)

    def to_arrow(self, frame: pd.DataFrame) -> pa.Table:
        """The frame as Arrow with the table's schema. Raises TableError naming the column."""
        completed = self.complete(frame)
        arrays = []
        for column in self.columns:
            if column.name not in frame.columns:
                arrays.append(pa.nulls(len(frame), column.dtype))
                continue
            try:
                arrays.append(
                    pa.Array.from_pandas(completed[column.name], type=column.dtype, safe=False)
                )
            except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
                raise TableError(
                    f"column {column.name!r} of table {self.name!r} does not hold "
                    f"{column.dtype}: {error}"
                ) from error
        return pa.Table.from_arrays(arrays, schema=self.schema)

    @staticmethod
    def to_pandas(table: pa.Table) -> pd.DataFrame:
        """Arrow as pandas: missing text is None, missing numbers NaN, times UTC microseconds."""
        frame: pd.DataFrame = table.to_pandas(timestamp_as_object=False)
        return frame


ITEMS: Final = Table(
    "items",
    ITEM_ID,
    (
        Column(ITEM_ID, pa.string(), "unique id of the listing", required=True),
        Column(TITLE, pa.string(), "what the listing is called"),
        Column(DESCRIPTION, pa.string(), "free text of the listing"),
        Column(CATEGORY, pa.string(), "path from the root, levels joined by ' > '"),
        Column(BRAND, pa.string(), "maker's name"),
        Column(SELLER_ID, pa.string(), "who offers it"),
        Column(PRICE, pa.float64(), "price of one piece, in `currency`"),
        Column(CURRENCY, pa.string(), "ISO 4217 code"),
        Column(ATTRIBUTES, pa.string(), "JSON object of attribute name to value, keys sorted"),
        Column(IMAGE_PATH, pa.string(), "absolute path of the photo"),
        Column(LISTED_AT, TIMESTAMP, "when it was first offered (UTC)"),
        Column(AVAILABLE, pa.bool_(), "false once it cannot be bought; null counts as true"),
        Column(DOMAIN, pa.string(), "the shop's department: home, clothing, grocery, …"),
        Column(SOURCE, pa.string(), "name of the ingested source", required=True),
    ),
)

EVENTS: Final = Table(
    "events",
    EVENT_ID,
    (
        Column(EVENT_ID, pa.string(), "unique id of the event", required=True),
        Column(USER_ID, pa.string(), "who acted", required=True),
        Column(ITEM_ID, pa.string(), "on which listing", required=True),
        Column(EVENT_TYPE, pa.string(), f"one of {', '.join(EVENT_TYPES)}", required=True),
        Column(EVENT_TIMESTAMP, TIMESTAMP, "when (UTC), or an order on 2000-01-01", required=True),
        Column(QUANTITY, pa.float64(), "pieces"),
        Column(UNIT_PRICE, pa.float64(), "price of one piece in the item's currency"),
        Column(VALUE, pa.float64(), "a rating's stars"),
        Column(SESSION_ID, pa.string(), "visit or basket"),
        Column(PROPENSITY, pa.float64(), "probability with which the item was shown, in (0, 1]"),
        Column(VARIANT, pa.string(), "arm of an experiment"),
        Column(RECEIVED_AT, TIMESTAMP, "when it reached the shop (UTC); null counts as at once"),
        Column(SOURCE, pa.string(), "name of the ingested source", required=True),
    ),
)

TABLES: Final[dict[str, Table]] = {table.name: table for table in (ITEMS, EVENTS)}


def category_levels(path: str | None) -> Sequence[str]:
    """The levels of a category path, root first: ``"a > b"`` → ``("a", "b")``."""
    if not path:
        return ()
    return tuple(level.strip() for level in path.split(">") if level.strip())
