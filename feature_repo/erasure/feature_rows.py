"""Taking a person out of the offline feature tables, and out of the vectors mirrored of them.

Rows of the person go. Rows of items and categories that counted the person's events are computed
again by the SQL of `aggregate`, of the log without these events.
"""

import shutil
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from feature_repo.event_log import event_log
from feature_repo.feature_tables import (
    CATEGORY_STATS,
    FEATURE_TABLES,
    ITEM_ADAPTATION,
    ITEM_STATS,
    FeatureTable,
    parquet_format,
    stamped,
)
from feature_repo.home import Home
from feature_repo.jobs.aggregate import load
from feature_repo.jobs.behaviour import BEHAVIOUR_SQL, ITEM_BEHAVIOUR
from feature_repo.jobs.item_behaviour import STATS_SQL, category_stats_sql
from feature_repo.offline_tables import locked
from feature_repo.snapshot_state import snapshot_state
from feature_repo.vector_snapshot import VIEWS, write_snapshot
from validation import tables
from validation.whole_files import remove_left_over, replacing

BATCH: Final = 50_000
USER_TABLES: Final = tuple(
    table for table in FEATURE_TABLES.values() if table.key == tables.USER_ID
)


def drop_rows(home: Home, table: FeatureTable, keys: Collection[str]) -> int:
    """Rewrite a table without the rows of some keys; returns how many went.

    A mirror of the table's vectors is written anew if rows went, or if it is not that of the table,
    as after a run that was killed; and the older ones go.
    """
    gone = _rewritten(home, table, keys, ())
    folder = home.vector_snapshots(table.name)
    if table.name in VIEWS and folder.exists():
        with locked(home.feature_table(table.name)):
            state = None if gone else snapshot_state(home, table.name)
            state = state or write_snapshot(home, table.name)
        for version in folder.glob("v[0-9]*"):
            if state is None or version.name != state.folder:
                shutil.rmtree(version)
    return gone


def drop_user(home: Home, user_id: str) -> dict[str, int]:
    """Feature table of users → rows that went."""
    return {table.name: drop_rows(home, table, [user_id]) for table in USER_TABLES}


def compute_again(home: Home, item_ids: Collection[str], *, now: datetime) -> dict[str, int]:
    """Compute the rows of some items, and of all categories; table → rows written.

    Tables that `aggregate` never filled stay empty.
    """
    if not item_ids:
        return {}
    with duckdb.connect() as connection:
        load(connection, home, event_log(home).state())
        listed = pa.table({tables.ITEM_ID: pa.array(sorted(item_ids), pa.string())})
        connection.register("touched", listed)
        connection.execute(
            "CREATE TEMP TABLE theirs AS SELECT * FROM log SEMI JOIN touched USING (item_id)"
        )
        connection.execute("CREATE OR REPLACE TEMP VIEW events AS FROM theirs ORDER BY number")
        written = {
            table.name: _replaced(home, table, item_ids, connection.sql(sql), now)
            for table, sql in (
                (ITEM_STATS, STATS_SQL),
                *((table, BEHAVIOUR_SQL[table.name]()) for table in ITEM_BEHAVIOUR),
            )
        }
        connection.execute("CREATE OR REPLACE TEMP VIEW events AS FROM log")
        computed = connection.sql(category_stats_sql(known_by=now))
        written[CATEGORY_STATS.name] = _replaced(home, CATEGORY_STATS, None, computed, now)
    return written


def drop_adaptations(home: Home, item_ids: Collection[str]) -> int:
    """Drop what the items learned from their first users; returns rows."""
    return drop_rows(home, ITEM_ADAPTATION, item_ids)


def _replaced(
    home: Home,
    table: FeatureTable,
    keys: Collection[str] | None,
    computed: duckdb.DuckDBPyRelation,
    now: datetime,
) -> int:
    """Put computed rows in the place of those of some keys; None: of all."""
    path = home.feature_table(table.name)
    if not path.exists() or not pq.read_metadata(path).num_rows:
        return 0
    rows = stamped(computed.to_arrow_table(), schema=table.schema, now=now)
    _rewritten(home, table, keys, (rows,))
    return int(rows.num_rows)


def _rewritten(
    home: Home, table: FeatureTable, keys: Collection[str] | None, new: Collection[pa.Table]
) -> int:
    """Write a table anew without some keys' rows and with new ones; returns how many went."""
    path = home.feature_table(table.name)
    if not path.exists():
        return 0
    gone = 0
    with locked(path):
        remove_left_over(path)
        if not new and keys is not None and not _holds(home, table, keys):
            return 0
        listed = pa.array(list(keys or ()), pa.string())
        packing = parquet_format(table.schema)
        with replacing(path) as partial, pq.ParquetWriter(partial, table.schema, **packing) as to:
            for batch in _batches(home, table) if keys is not None else ():
                theirs = pc.is_in(batch[table.key], value_set=listed)
                kept = batch.filter(pc.invert(theirs))
                gone += batch.num_rows - kept.num_rows
                to.write_table(kept)
            for rows in new:
                to.write_table(rows)
    return gone


def _holds(home: Home, table: FeatureTable, keys: Collection[str]) -> bool:
    wanted = pa.array(list(keys), pa.string())
    stored = pq.read_table(home.feature_table(table.name), columns=[table.key])[table.key]
    return bool(pc.any(pc.is_in(stored, value_set=wanted)).as_py())


def _batches(home: Home, table: FeatureTable) -> Iterator[pa.Table]:
    with pq.ParquetFile(home.feature_table(table.name)) as file:
        for batch in file.iter_batches(BATCH):
            yield pa.Table.from_batches([batch]).select(table.schema.names).cast(table.schema)
