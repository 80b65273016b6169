"""Rows of the item feature views: by the SQL of the batch job, and what a model made."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa

from coldstart_models.data.catalogue import FloatMatrix
from feature_repo.feature_tables import ITEM_PROFILE, ITEM_STATS, FeatureTable, stamped
from feature_repo.jobs.aggregate import PROFILE_SQL
from feature_repo.jobs.item_behaviour import STATS_SQL
from feature_repo.jobs.small_database import small_database
from validation import tables


def item_profile_rows(items: pd.DataFrame, *, now: datetime) -> pd.DataFrame:
    """The `item_profile` rows of canonical items, as `Store.push` takes them."""
    return _rows(ITEM_PROFILE, PROFILE_SQL, "items", tables.ITEMS.to_arrow(items), now)


def item_stats_rows(events: pd.DataFrame | pa.Table, *, now: datetime) -> pd.DataFrame:
    """The newest `item_stats` row of each item, from all its events in the log's order.

    It is known from the midnight after the item's last event, as in the offline table.
    """
    number = pa.array(range(len(events)), type=pa.int64())
    log = tables.EVENTS.to_arrow(events) if isinstance(events, pd.DataFrame) else events
    numbered = log.append_column("number", number)
    newest = f"""
        SELECT * FROM ({STATS_SQL})
        QUALIFY row_number() OVER (PARTITION BY item_id ORDER BY event_timestamp DESC) = 1
        ORDER BY item_id
    """
    return _rows(ITEM_STATS, newest, "events", numbered, now)


def vector_rows(
    item_ids: "np.typing.NDArray[np.object_]", rows: FloatMatrix, *, tag: str
) -> pd.DataFrame:
    """Rows of the `item_vector` feature view."""
    return pd.DataFrame({tables.ITEM_ID: item_ids, "vector": list(rows), "model": tag})


def adaptation_rows(
    item_ids: Sequence[str],
    deltas: FloatMatrix,
    biases: "np.typing.NDArray[np.float32]",
    support: Sequence[int],
    *,
    tag: str,
) -> pd.DataFrame:
    """Rows of the `item_adaptation` feature view."""
    return pd.DataFrame(
        {
            tables.ITEM_ID: list(item_ids),
            "delta": list(deltas),
            "bias": np.asarray(biases, np.float32),
            "support": np.asarray(support, np.int64),
            "model": tag,
        }
    )


def _rows(
    table: FeatureTable, sql: str, name: str, content: pa.Table, now: datetime
) -> pd.DataFrame:
    with small_database() as connection:
        connection.register(name, content)
        found = connection.sql(sql).to_arrow_table()
        connection.unregister(name)
    rows: pd.DataFrame = stamped(found, schema=table.schema, now=now).to_pandas()
    return rows
