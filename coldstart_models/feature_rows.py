"""Feature rows of single items, by the SQL of the batch job."""

from datetime import datetime

import duckdb
import pandas as pd
import pyarrow as pa

from feature_repo.feature_tables import ITEM_PROFILE, ITEM_STATS, FeatureTable, stamped
from feature_repo.jobs.aggregate import PROFILE_SQL, STATS_SQL
from validation import tables


def item_profile_rows(items: pd.DataFrame, *, now: datetime) -> pd.DataFrame:
    """The `item_profile` rows of canonical items, as `Store.push` takes them."""
    return _rows(ITEM_PROFILE, PROFILE_SQL, "items", tables.ITEMS.to_arrow(items), now)


def item_stats_rows(events: pd.DataFrame, *, now: datetime) -> pd.DataFrame:
    """The newest `item_stats` row of each item, from all its events in the log's order.

    It is known from the midnight after the item's last event, as in the offline table.
    """
    number = pa.array(range(len(events)), type=pa.int64())
    numbered = tables.EVENTS.to_arrow(events).append_column("number", number)
    newest = f"""
        SELECT * FROM ({STATS_SQL})
        QUALIFY row_number() OVER (PARTITION BY item_id ORDER BY event_timestamp DESC) = 1
        ORDER BY item_id
    """
    return _rows(ITEM_STATS, newest, "events", numbered, now)


def _rows(
    table: FeatureTable, sql: str, name: str, content: pa.Table, now: datetime
) -> pd.DataFrame:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register(name, content)
        found = connection.sql(sql).to_arrow_table()
    rows: pd.DataFrame = stamped(found, schema=table.schema, now=now).to_pandas()
    return rows
