"""The offline feature tables: every column's name, type and meaning, once.

The jobs write these tables, `feature_definitions` registers them, `store` reads and
appends to them. Beside its own columns every table has `event_timestamp`, the moment from
which the row was known, and `created_timestamp`, when it was computed.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.home import Home
from validation import tables
from validation.tables import TIMESTAMP, Column
from validation.whole_files import replacing as replacing

CREATED_TIMESTAMP: Final = "created_timestamp"
EMBEDDING: Final = "embedding"
ENCODER: Final = "encoder"
ENCODER_HASH: Final = "encoder_hash"
CONTENT_HASH: Final = "content_hash"

PUSH_SUFFIX: Final = "_push"
"""A view's push source is named after it."""
USER_ITEM_VIEW: Final = "user_item"
"""The on-demand view: what depends on user and item together."""
AS_OF_US: Final = "as_of_us"
"""Its request field: the moment of the request, µs since 1970 UTC."""

VECTORS: Final = pa.list_(pa.float32())
UNDATED: Final = pd.Timestamp("2000-01-01", tz="UTC")
"""`event_timestamp` of an item whose `listed_at` is unknown."""


def stamped(rows: pa.Table, *, schema: pa.Schema, now: datetime) -> pa.Table:
    """The rows with `created_timestamp` = now, and the schema's columns, order and types."""
    created = pa.array([now] * rows.num_rows, type=TIMESTAMP)
    return rows.append_column(CREATED_TIMESTAMP, created).select(schema.names).cast(schema)


HISTORY_LENGTH: Final = 200
"""Positive events of a user that a history row holds, newest last. ADR 0003 says why 200."""


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


def write_table(content: pa.Table, path: Path) -> None:
    """Write Parquet so that a reader sees the old file or the whole new one."""
    with replacing(path) as partial:
        pq.write_table(content, partial, **parquet_format(content.schema))


def create_missing(home: Home) -> list[str]:
    """Create every absent feature table empty but typed; returns the names created."""
    created = [name for name in FEATURE_TABLES if not home.feature_table(name).exists()]
    for name in created:
        write_table(FEATURE_TABLES[name].schema.empty_table(), home.feature_table(name))
    return created
