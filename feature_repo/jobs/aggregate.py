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
from feature_repo.event_log import event_log
from feature_repo.feature_tables import (
    CATEGORY_STATS,
    ITEM_PROFILE,
    ITEM_STATS,
    UNDATED,
    FeatureTable,
    create_missing,
    stamped,
)
from feature_repo.home import Home
from feature_repo.jobs.arrival import EVENT_COLUMNS, NUMBER, TOP_CATEGORY
from feature_repo.jobs.behaviour import BEHAVIOUR_SQL, ITEM_BEHAVIOUR, USER_BEHAVIOUR
from feature_repo.jobs.item_behaviour import STATS_SQL, category_stats_sql
from feature_repo.lineage import file_input, keep_lineage, log_input
from feature_repo.log_state import LogState
from feature_repo.offline_tables import locked
from validation import tables
from validation.whole_files import replacing

log = logging.getLogger(__name__)
Progress = Callable[[int, int], None]

EVENTS_A_CHUNK: Final = 50_000
"""Users and items are taken in groups of about this many events, which bounds the memory."""
MEMORY_LIMIT: Final = "3GB"

_LOGGED = ", ".join((*EVENT_COLUMNS, NUMBER))

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
    table_seconds: dict[str, float]
    """Feature table → what computing and writing it took."""

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "rows": self.rows,
            "created_empty": list(self.created),
            "seconds": round(self.seconds, 3),
            "table_seconds": {name: round(took, 3) for name, took in self.table_seconds.items()},
        }


def aggregate(*, home: Home, now: datetime, progress: Progress | None = None) -> AggregateResult:
    """Rewrite the tables of profiles and behaviour; create what else is missing, empty.

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
        load(connection, home, logged)
        groups = _Groups(connection, progress)
        parts = {
            ITEM_PROFILE: _at_once(connection, PROFILE_SQL),
            ITEM_STATS: _at_once(connection, STATS_SQL),
            CATEGORY_STATS: _at_once(connection, category_stats_sql(known_by=now)),
            **{table: groups.rows(table) for table in (*USER_BEHAVIOUR, *ITEM_BEHAVIOUR)},
        }
        rows, took = {}, {}
        for table, part in parts.items():
            started = time.perf_counter()
            rows[table.name] = _write(home, table, part, now)
            took[table.name] = time.perf_counter() - started
    inputs = {tables.ITEMS.name: file_input(home.items), tables.EVENTS.name: log_input(logged)}
    for table in parts:
        read = [tables.ITEMS.name] if table is ITEM_PROFILE else list(inputs)
        keep_lineage(
            home, table.name, made_by="aggregate", inputs={n: inputs[n] for n in read}, now=now
        )
    created = tuple(create_missing(home))
    return AggregateResult(rows, created, time.perf_counter() - began, took)


def load(connection: duckdb.DuckDBPyConnection, home: Home, logged: LogState) -> None:
    """Make `items` and `events`; events keep the log's order as `number`."""
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")  # the command has its own
    connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
    connection.execute("SET temp_directory = ?", [str(home.features / ".spill")])
    connection.read_parquet(str(home.items)).create_view("items")
    connection.register("logged", logged.batches())
    connection.execute(f"CREATE TEMP TABLE log AS SELECT {_LOGGED} FROM logged")
    connection.unregister("logged")
    connection.execute("CREATE TEMP VIEW events AS FROM log")


class _Groups:
    """The behaviour tables' rows, computed of one group of keys after another.

    The log is laid out by groups of users, then by groups of items, so that each query reads its
    own part of it alone: a log of ten times the length costs ten times as much.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, progress: Progress | None) -> None:
        self._connection, self._progress = connection, progress
        ((events,),) = connection.sql("SELECT count(*) FROM log").fetchall()
        self._count = max(1, -(-events // EVENTS_A_CHUNK))
        self._laid_out = ""
        self._done = 0

    def rows(self, table: FeatureTable) -> Iterator[pa.Table]:
        """The rows of one table, a group at a time."""
        self._lay_out(table.key)
        all_groups = self._count * (len(USER_BEHAVIOUR) + len(ITEM_BEHAVIOUR))
        for group in range(self._count):
            yield _ask(self._connection, BEHAVIOUR_SQL[table.name](keys=f"part = {group}"))
            self._done += 1
            if self._progress:
                self._progress(self._done, all_groups)

    def _lay_out(self, key: str) -> None:
        if self._laid_out == key:
            return
        self._connection.execute(
            f"""
            CREATE OR REPLACE TEMP VIEW events AS FROM log;
            CREATE OR REPLACE TEMP TABLE parts AS
            SELECT {_LOGGED}, hash({key}) % {self._count} AS part
            FROM log ORDER BY part;
            CREATE OR REPLACE TEMP VIEW events AS FROM parts
            """
        )
        self._laid_out = key


def _at_once(connection: duckdb.DuckDBPyConnection, sql: str) -> Iterator[pa.Table]:
    yield _ask(connection, sql)


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
