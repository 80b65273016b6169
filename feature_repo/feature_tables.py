"""The offline feature tables: every column's name, type and meaning, once.

The jobs write these tables, `feature_definitions` registers them, `store` reads and
appends to them. Beside its own columns every table has `event_timestamp`, the moment from
which the row was known, and `created_timestamp`, when it was computed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.home import Home
from validation import tables
from validation.tables import TIMESTAMP, Column
from validation.whole_files import replacing

CREATED_TIMESTAMP: Final = "created_timestamp"
EMBEDDING: Final = "embedding"
ENCODER: Final = "encoder"
ENCODER_HASH: Final = "encoder_hash"
CONTENT_HASH: Final = "content_hash"

CHANGE_ID: Final = "change_id"
"""Key of what state folders tell each other; see `feature_repo.replicas`."""

PUSH_SUFFIX: Final = "_push"
"""A view's push source is named after it."""
USER_ITEM_VIEW: Final = "user_item"
"""The on-demand view: what depends on user and item together."""
AS_OF_US: Final = "as_of_us"
"""Its request field: the moment of the request, µs since 1970 UTC."""

CATEGORY_ID: Final = "category_id"
"""Key of what is known of a top-level category: `item_profile`'s `top_category`."""

VECTORS: Final = pa.list_(pa.float32())
UNDATED: Final = pd.Timestamp("2000-01-01", tz="UTC")
"""`event_timestamp` of an item whose `listed_at` is unknown."""


def stamped(rows: pa.Table, *, schema: pa.Schema, now: datetime) -> pa.Table:
    """The rows with `created_timestamp` = now, and the schema's columns, order and types."""
    created = pa.array([now] * rows.num_rows, type=TIMESTAMP)
    return rows.append_column(CREATED_TIMESTAMP, created).select(schema.names).cast(schema)


HISTORY_LENGTH: Final = 200
"""Positive events of a user that a history row holds, newest last. ADR 0003 says why 200."""


US: Final = timedelta(microseconds=1)
HOUR_US: Final = 3_600_000_000
DAY_US: Final = 24 * HOUR_US
WINDOWS: Final[Mapping[str, int]] = {
    "1h": HOUR_US,
    "1d": DAY_US,
    "7d": 7 * DAY_US,
    "30d": 30 * DAY_US,
}
"""Name → length in µs. What happened exactly that long ago is out."""
LIFE: Final = "life"
"""The window without a beginning."""
SESSION_GAP: Final = timedelta(minutes=30)
"""A visit without a `session_id` ends with a pause that is longer."""
POPULARITY_HALF_LIFE: Final = timedelta(days=7)
AFFINITY_HALF_LIFE: Final = timedelta(days=30)
"""After this time an event counts half: in an item's popularity, in a user's affinities."""
PRIOR_TRIALS: Final = 20.0
PRIOR_SUCCESSES: Final = 1.0
"""Rates start at 1 in 20 and move as trials arrive; an item's start at its category's."""

USER_MEASURES: Final = ("event_count", "purchase_count", "spend")
ITEM_MEASURES: Final = (
    "impression_count",
    "click_count",
    "cart_count",
    "purchase_count",
    "user_count",
)
"""What is counted by window."""
_MEASURED: Final = {
    "event_count": "positive events",
    "purchase_count": "purchase events",
    "spend": "price times pieces of purchases of known price",
    "impression_count": "impression events",
    "click_count": "click events",
    "cart_count": "cart events",
    "user_count": "distinct users with a positive event",
}
_LENGTHS: Final = {
    "1h": "the hour",
    "1d": "the 24 hours",
    "7d": "the 7 days",
    "30d": "the 30 days",
}


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """One offline feature table and the feature view it feeds."""

    name: str
    key: str
    meaning: str
    features: tuple[Column, ...]

    @property
    def schema(self) -> pa.Schema:
        """Key, features, event and created timestamps, in the file's column order."""
        return pa.schema(
            [
                pa.field(self.key, pa.string()),
                *(pa.field(column.name, column.dtype) for column in self.features),
                pa.field(tables.EVENT_TIMESTAMP, TIMESTAMP),
                pa.field(CREATED_TIMESTAMP, TIMESTAMP),
            ]
        )

    @property
    def vector(self) -> str | None:
        """The column that holds a vector, if the table has one."""
        return next((column.name for column in self.features if column.dtype == VECTORS), None)


def windowed(measure: str) -> tuple[str, ...]:
    """The measure's name in every window, shortest first."""
    return tuple(f"{measure}_{window}" for window in (*WINDOWS, LIFE))


def _windowed_columns(measures: tuple[str, ...]) -> tuple[Column, ...]:
    return tuple(
        Column(
            f"{measure}_{window}",
            pa.float64() if measure == "spend" else pa.int64(),
            f"{_MEASURED[measure]} "
            + ("so far" if window == LIFE else f"in {_LENGTHS[window]} up to the row's moment"),
        )
        for measure in measures
        for window in (*WINDOWS, LIFE)
    )


def _embedding_columns() -> tuple[Column, ...]:
    return (
        Column(EMBEDDING, VECTORS, "the encoder's raw output, finite"),
        Column(ENCODER, pa.string(), "the encoder's id"),
        Column(ENCODER_HASH, pa.string(), "sha256 over the encoder's weights and preprocessing"),
        Column(CONTENT_HASH, pa.string(), "sha256 of what was encoded"),
        Column(tables.SOURCE, pa.string(), "name of the ingested source"),
    )


ITEM_PROFILE: Final = FeatureTable(
    "item_profile",
    tables.ITEM_ID,
    "what a listing says about itself",
    (
        Column(tables.TITLE, pa.string(), "what the listing is called"),
        Column(tables.CATEGORY, pa.string(), "path from the root, levels joined by ' > '"),
        Column("top_category", pa.string(), "the path's first level, or the domain"),
        Column(tables.BRAND, pa.string(), "maker's name"),
        Column(tables.SELLER_ID, pa.string(), "who offers it"),
        Column(tables.PRICE, pa.float64(), "price of one piece"),
        Column(tables.CURRENCY, pa.string(), "ISO 4217 code"),
        Column(tables.DOMAIN, pa.string(), "the shop's department"),
        Column(tables.AVAILABLE, pa.bool_(), "whether it can be bought"),
        Column("listed_us", pa.int64(), "when it was first offered, µs since 1970 UTC"),
        Column(tables.SOURCE, pa.string(), "name of the ingested source"),
    ),
)

ITEM_IMAGE_EMBEDDING: Final = FeatureTable(
    "item_image_embedding",
    tables.ITEM_ID,
    "the image encoder's raw output; an item without a photo has no row",
    _embedding_columns(),
)

ITEM_TEXT_EMBEDDING: Final = FeatureTable(
    "item_text_embedding",
    tables.ITEM_ID,
    "the text encoder's raw output; an item without text has no row",
    _embedding_columns(),
)

ITEM_VECTOR: Final = FeatureTable(
    "item_vector",
    tables.ITEM_ID,
    "the Siamese tower's output, tagged with the model",
    (
        Column("vector", VECTORS, "every modality's block, then the expected log popularity"),
        Column("model", pa.string(), "tag of the model that made it"),
    ),
)

ITEM_STATS: Final = FeatureTable(
    "item_stats",
    tables.ITEM_ID,
    "cumulative counts and smoothed rates, known from the midnight after",
    (
        *(
            Column(f"{kind}_count", pa.int64(), f"{kind} events so far")
            for kind in tables.EVENT_TYPES
        ),
        Column("user_count", pa.int64(), "distinct users with a positive event so far"),
        Column("ctr", pa.float64(), "clicks per impression, smoothed by the prior"),
        Column("cvr", pa.float64(), "purchases per click, smoothed by the prior"),
    ),
)

ITEM_ADAPTATION: Final = FeatureTable(
    "item_adaptation",
    tables.ITEM_ID,
    "what few-shot learning adds to one item",
    (
        Column("delta", VECTORS, "added to the item's vector"),
        Column("bias", pa.float32(), "added to the item's score"),
        Column("support", pa.int64(), "distinct users it was learned from"),
        Column("model", pa.string(), "tag of the model that made it"),
    ),
)

USER_HISTORY: Final = FeatureTable(
    "user_history",
    tables.USER_ID,
    f"the last {HISTORY_LENGTH} positive events and aggregates over all, known from 1 µs after",
    (
        Column("history_item_ids", pa.list_(pa.string()), "oldest first, newest last"),
        Column("history_event_types", pa.list_(pa.string()), "beside history_item_ids"),
        Column("history_time_us", pa.list_(pa.int64()), "µs since 1970 UTC"),
        Column("history_quantities", VECTORS, "pieces; NaN where unknown"),
        Column("history_prices", VECTORS, "price of one piece; NaN where unknown"),
        Column("event_count", pa.int64(), "positive events so far"),
        *(
            Column(f"{kind}_count", pa.int64(), f"{kind} events so far")
            for kind in tables.EVENT_TYPES
        ),
        *(
            Column(f"last_{kind}_us", pa.int64(), f"time of the last {kind}; null if none")
            for kind in tables.POSITIVE_EVENT_TYPES
        ),
        Column("category_counts", pa.string(), "JSON: top-level category → positive events"),
        Column("category_last_us", pa.string(), "JSON: top-level category → time of the last"),
        Column("price_mean", pa.float64(), "mean price of the chosen items"),
        Column("price_std", pa.float64(), "their standard deviation (population)"),
        Column("log_price_mean", pa.float64(), "mean natural logarithm of their prices"),
    ),
)

_COUNTED: Final = Column("counted_us", pa.int64(), "the row's moment, µs since 1970 UTC")

USER_ACTIVITY: Final = FeatureTable(
    "user_activity",
    tables.USER_ID,
    "a user's positive events by window, up to the row's moment; known from 1 µs after",
    (*_windowed_columns(USER_MEASURES), _COUNTED),
)

USER_SESSION: Final = FeatureTable(
    "user_session",
    tables.USER_ID,
    "the visit a user is in: by session_id, or up to a pause of 30 minutes; known from 1 µs after",
    (
        Column(tables.SESSION_ID, pa.string(), "the visit's id; null where the log has none"),
        Column("session_event_count", pa.int64(), "positive events in the visit so far"),
        Column("session_impression_count", pa.int64(), "impressions in the visit so far"),
        Column("session_start_us", pa.int64(), "its first event, µs since 1970 UTC"),
        Column("session_last_us", pa.int64(), "the row's moment, µs since 1970 UTC"),
        Column("session_categories", pa.list_(pa.string()), "top categories chosen in it, sorted"),
    ),
)

USER_AFFINITIES: Final = FeatureTable(
    "user_affinities",
    tables.USER_ID,
    "what share of a user's positive events each department has, where an event counts half "
    "after 30 days; known from 1 µs after",
    (
        Column("domain_affinities", pa.string(), "JSON: domain → decayed share, 0 to 1"),
        Column("category_affinities", pa.string(), "JSON: top category → decayed share, 0 to 1"),
    ),
)

ITEM_ACTIVITY: Final = FeatureTable(
    "item_activity",
    tables.ITEM_ID,
    "an item's events by window, up to the row's moment; known from 1 µs after",
    (
        *_windowed_columns(ITEM_MEASURES),
        Column("popularity", pa.float64(), "positive events; each counts half after 7 days"),
        _COUNTED,
    ),
)

CATEGORY_STATS: Final = FeatureTable(
    "category_stats",
    CATEGORY_ID,
    "cumulative counts and rates of a top category, known from the midnight after",
    (
        *(
            Column(f"{kind}_count", pa.int64(), f"{kind} events so far")
            for kind in (tables.IMPRESSION, tables.CLICK, tables.CART, tables.PURCHASE)
        ),
        Column("prior_ctr", pa.float64(), "clicks per impression, from 1 in 20 on"),
        Column("prior_cvr", pa.float64(), "purchases per click, from 1 in 20 on"),
    ),
)

LISTING_CHANGES: Final = FeatureTable(
    "listing_changes",
    CHANGE_ID,
    "which listings changed, for replicas with a state folder of their own; online alone",
    (
        Column("names", pa.list_(pa.string()), "ids, or what a listing is as JSON"),
        Column("numbers", pa.list_(pa.int64()), "of the last change of each"),
    ),
)

FEATURE_TABLES: Final[dict[str, FeatureTable]] = {
    table.name: table
    for table in (
        ITEM_PROFILE,
        ITEM_IMAGE_EMBEDDING,
        ITEM_TEXT_EMBEDDING,
        ITEM_VECTOR,
        ITEM_STATS,
        ITEM_ADAPTATION,
        USER_HISTORY,
        USER_ACTIVITY,
        USER_SESSION,
        USER_AFFINITIES,
        ITEM_ACTIVITY,
        CATEGORY_STATS,
        LISTING_CHANGES,
    )
}


def parquet_format(schema: pa.Schema) -> dict[str, Any]:
    """How a table is packed, as a writer of pyarrow takes it.

    Floats of vectors by snappy and without a dictionary: zstd finds a tenth less in them at best,
    and takes as long to unpack as the rest of reading them.
    """
    codecs = {
        f"{field.name}.list.element" if pa.types.is_list(field.type) else field.name: (
            "snappy" if field.type == VECTORS else "zstd"
        )
        for field in schema
    }
    repeating = [leaf for leaf, codec in codecs.items() if codec == "zstd"]
    return {"compression": codecs, "use_dictionary": repeating}


def write_parquet(content: pa.Table, path: Path) -> None:
    """Write Parquet as all of ours is packed, to where no reader looks yet."""
    pq.write_table(content, path, **parquet_format(content.schema))


def write_table(content: pa.Table, path: Path) -> None:
    """Write Parquet so that a reader sees the old file or the whole new one.

    It is on the disk then: who pushed rows, or changed the catalogue, is told that they are there.
    """
    with replacing(path, durable=True) as partial:
        write_parquet(content, partial)


def create_missing(home: Home) -> list[str]:
    """Create every absent feature table empty but typed; returns the names created."""
    created = [name for name in FEATURE_TABLES if not home.feature_table(name).exists()]
    for name in created:
        write_table(FEATURE_TABLES[name].schema.empty_table(), home.feature_table(name))
    return created
