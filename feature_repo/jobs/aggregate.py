"""Compute the behaviour and profile tables from the accepted items and events, point-in-time."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.errors import JobError
from feature_repo.event_log import LogState, event_log
from feature_repo.feature_tables import (
    ITEM_PROFILE,
    ITEM_STATS,
    UNDATED,
    USER_HISTORY,
    FeatureTable,
    create_missing,
    replacing,
    stamped,
)
from feature_repo.home import Home
from feature_repo.jobs.history import TOP_CATEGORY, history_sql
from feature_repo.lineage import file_input, keep_lineage, log_input
from feature_repo.offline_tables import locked
from validation import tables

log = logging.getLogger(__name__)
Progress = Callable[[int, int], None]

EVENTS_A_CHUNK: Final = 50_000
"""Users are taken in groups of about this many events, which bounds the memory."""
MEMORY_LIMIT: Final = "3GB"

PRIOR_TRIALS: Final = 20.0
PRIOR_SUCCESSES: Final = 1.0
"""Rates start at 1 in 20 and move as trials arrive."""

_STATS_COUNTS = ",\n".join(
    f"count(*) FILTER (event_type = '{kind}') AS {kind}_count" for kind in tables.EVENT_TYPES
)
_RUNNING_STATS = ",\n".join(
    f"(sum({kind}_count) OVER so_far)::BIGINT AS {kind}_count" for kind in tables.EVENT_TYPES
)

# A day's row is known from the next midnight, never during the day.
STATS_SQL: Final = f"""
WITH seen AS (
    SELECT *, date_trunc('day', event_timestamp) AS day,
           event_type <> '{tables.IMPRESSION}' AND row_number() OVER (
               PARTITION BY item_id, user_id, event_type <> '{tables.IMPRESSION}'
               ORDER BY event_timestamp, number) = 1 AS first_of_user
    FROM events
),
days AS (
    SELECT item_id, day, count(*) FILTER (first_of_user) AS new_users,
           {_STATS_COUNTS}
    FROM seen GROUP BY item_id, day
),
running AS (
    SELECT item_id, day, {_RUNNING_STATS},
           (sum(new_users) OVER so_far)::BIGINT AS user_count
    FROM days WINDOW so_far AS (PARTITION BY item_id ORDER BY day ROWS UNBOUNDED PRECEDING)
)
SELECT * EXCLUDE (day),
       (click_count + {PRIOR_SUCCESSES})
           / (greatest(impression_count, click_count) + {PRIOR_TRIALS}) AS ctr,
       (purchase_count + {PRIOR_SUCCESSES})
           / (greatest(click_count, purchase_count) + {PRIOR_TRIALS}) AS cvr,
       day + INTERVAL 1 DAY AS event_timestamp
FROM running ORDER BY item_id, event_timestamp
"""

PROFILE_SQL: Final = f"""
SELECT item_id, title, category, {TOP_CATEGORY} AS top_category, brand, seller_id, price,
       currency, domain, coalesce(available, true) AS available,
       epoch_us(listed_at) AS listed_us, source,
       coalesce(listed_at, '{UNDATED.isoformat()}'::TIMESTAMPTZ) AS event_timestamp
FROM items ORDER BY item_id
"""


@dataclass(frozen=True, slots=True)
class AggregateResult:
    """What was computed."""

    rows: dict[str, int]
    """Feature table → rows written."""
    created: tuple[str, ...]
    """Tables that nothing has filled yet, created empty but typed."""
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "rows": self.rows,
            "created_empty": list(self.created),
            "seconds": round(self.seconds, 3),
        }


def aggregate(*, home: Home, now: datetime, progress: Progress | None = None) -> AggregateResult:
    """Rewrite item_profile, item_stats and user_history; create what else is missing, empty.

    Raises JobError where nothing was ingested.
    """
    if not home.items.exists():
        raise JobError(f"there is no catalogue {home.items}; run `coldstart ingest SOURCE` first")
    began = time.perf_counter()
    home.features.mkdir(parents=True, exist_ok=True)
    log_of_home = event_log(home)
    log_of_home.compact()
    logged = log_of_home.state()
    with duckdb.connect() as connection:
        _load(connection, home, logged)
        parts = {
            ITEM_PROFILE: iter([_ask(connection, PROFILE_SQL)]),
            ITEM_STATS: iter([_ask(connection, STATS_SQL)]),
            USER_HISTORY: _histories(connection, progress),
        }
        rows = {table.name: _write(home, table, part, now) for table, part in parts.items()}
    inputs = {tables.ITEMS.name: file_input(home.items), tables.EVENTS.name: log_input(logged)}
    for table in parts:
        read = [tables.ITEMS.name] if table is ITEM_PROFILE else list(inputs)
        keep_lineage(
            home, table.name, made_by="aggregate", inputs={n: inputs[n] for n in read}, now=now
        )
    created = tuple(create_missing(home))
    return AggregateResult(rows, created, time.perf_counter() - began)


def _load(connection: duckdb.DuckDBPyConnection, home: Home, logged: LogState) -> None:
    """Make `items` and `events`; events keep the log's order as `number`."""
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
    connection.execute("SET temp_directory = ?", [str(home.features / ".spill")])
    connection.read_parquet(str(home.items)).create_view("items")
    connection.register("log", logged.batches())
    connection.execute("CREATE TEMP TABLE events AS SELECT * FROM log")
    connection.unregister("log")


def _histories(
    connection: duckdb.DuckDBPyConnection, progress: Progress | None
) -> Iterator[pa.Table]:
    """The histories of one group of users after another."""
    ((events,),) = connection.sql("SELECT count(*) FROM events").fetchall()
    groups = max(1, -(-events // EVENTS_A_CHUNK))
    for group in range(groups):
        yield _ask(connection, history_sql(users=f"hash(user_id) % {groups} = {group}"))
        if progress:
            progress(group + 1, groups)


def _ask(connection: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
    return connection.sql(sql).to_arrow_table()


def _write(home: Home, table: FeatureTable, parts: Iterator[pa.Table], now: datetime) -> int:
    """Stream the parts into the table's file; returns the rows written."""
    rows, path = 0, home.feature_table(table.name)
    with (
        locked(path),
        replacing(path) as partial,
        pq.ParquetWriter(partial, table.schema, compression="zstd") as writer,
    ):
        for part in parts:
            writer.write_table(stamped(part, schema=table.schema, now=now))
            rows += part.num_rows
    log.info("wrote %d rows of %s", rows, table.name)
    return rows
