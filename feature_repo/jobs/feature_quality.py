"""The feature tables against what was accepted: who is missing, null, left over or late."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import duckdb

from feature_repo.event_log import event_log
from feature_repo.feature_tables import (
    FEATURE_TABLES,
    ITEM_ACTIVITY,
    ITEM_ADAPTATION,
    ITEM_IMAGE_EMBEDDING,
    ITEM_PROFILE,
    ITEM_STATS,
    ITEM_TEXT_EMBEDDING,
    ITEM_VECTOR,
    USER_ACTIVITY,
    USER_AFFINITIES,
    USER_HISTORY,
    FeatureTable,
)
from feature_repo.home import Home
from feature_repo.jobs.arrival import POSITIVE
from feature_repo.lineage import FROM_EVENTS
from validation import tables

LATE: Final = timedelta(days=1)
"""How much newer than a behaviour table the log may be."""
_CHOOSERS: Final = f"SELECT DISTINCT user_id AS key FROM events WHERE {POSITIVE}"
EXPECTED: Final[dict[str, str]] = {
    ITEM_PROFILE.name: "SELECT item_id AS key FROM items",
    ITEM_IMAGE_EMBEDDING.name: "SELECT item_id AS key FROM items WHERE image_path <> ''",
    ITEM_TEXT_EMBEDDING.name: (
        "SELECT item_id AS key FROM items WHERE title <> '' OR description <> ''"
    ),
    ITEM_VECTOR.name: "SELECT item_id AS key FROM items",
    ITEM_STATS.name: "SELECT DISTINCT item_id AS key FROM events",
    ITEM_ACTIVITY.name: "SELECT DISTINCT item_id AS key FROM events",
    USER_HISTORY.name: _CHOOSERS,
    USER_ACTIVITY.name: _CHOOSERS,
    USER_AFFINITIES.name: _CHOOSERS,
}
"""View → whom it should have a row of; few-shot rows are of whoever has support."""
LOOKED_AT: Final = (tables.USER_ID, tables.ITEM_ID, tables.EVENT_TYPE, tables.EVENT_TIMESTAMP)
"""Columns of the log that the questions read."""
MENDS: Final = {
    ITEM_IMAGE_EMBEDDING.name: "look at its quarantine, or run `coldstart extract`",
    ITEM_TEXT_EMBEDDING.name: "run `coldstart extract`",
    ITEM_VECTOR.name: "run `coldstart train`",
}
FOLLOWING: Final = tuple(view for view in EXPECTED if view in FROM_EVENTS)
"""Views whose newest row should be about as new as the log."""
OPTIONAL: Final = (ITEM_VECTOR.name, ITEM_ADAPTATION.name)
"""Views that a store without a model has nothing of."""


@dataclass(frozen=True, slots=True)
class ViewQuality:
    """One feature view's offline table."""

    view: str
    keys: int
    expected: int
    missing: int
    """Accepted entities without a row."""
    left_over: int
    """Rows' entities that the catalogue or the log does not have (any more)."""
    nulls: dict[str, float]
    """Feature → share of the newest rows that are null, where any is."""
    newest: datetime | None
    problems: tuple[str, ...]
    """Sentences that say what to do."""


def feature_quality(home: Home, views: Sequence[str] | None = None) -> list[ViewQuality]:
    """Look at every feature table (or some) whose file exists."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        _catalogue(connection, home)
        return [
            _quality(connection, home, table)
            for name, table in FEATURE_TABLES.items()
            if (views is None or name in views) and home.feature_table(name).exists()
        ]


def as_dicts(found: Sequence[ViewQuality]) -> list[dict[str, Any]]:
    """JSON-ready."""
    return [
        {**asdict(one), "newest": one.newest.isoformat() if one.newest else None} for one in found
    ]


def _catalogue(connection: duckdb.DuckDBPyConnection, home: Home) -> None:
    connection.register(tables.EVENTS.name, event_log(home).read(LOOKED_AT))
    if home.items.exists():
        connection.read_parquet(str(home.items)).create_view(tables.ITEMS.name)
    else:
        connection.register(tables.ITEMS.name, tables.ITEMS.schema.empty_table())


def _quality(connection: duckdb.DuckDBPyConnection, home: Home, table: FeatureTable) -> ViewQuality:
    connection.read_parquet(str(home.feature_table(table.name))).create_view("rows", replace=True)
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE latest AS SELECT * FROM rows QUALIFY row_number() OVER (
            PARTITION BY {table.key} ORDER BY event_timestamp DESC, created_timestamp DESC) = 1"""
    )
    columns = [column.name for column in table.features]
    shares = ", ".join(f'avg(("{name}" IS NULL)::INT)' for name in columns)
    keys, newest, *nulls = _one(
        connection, f"SELECT count(*), max(event_timestamp), {shares} FROM latest"
    )
    expected = missing = left_over = 0
    if table.name in EXPECTED:
        wanted = EXPECTED[table.name]
        expected, missing, left_over = (
            _one(connection, sql)[0]
            for sql in (
                f"SELECT count(*) FROM ({wanted})",
                f"SELECT count(*) FROM ({wanted}) ANTI JOIN latest ON key = {table.key}",
                f"SELECT count(*) FROM latest ANTI JOIN ({wanted}) ON key = {table.key}",
            )
        )
    told = {name: share for name, share in zip(columns, nulls, strict=True) if share}
    problems = _problems(connection, table, keys, expected, missing, left_over, newest)
    return ViewQuality(table.name, keys, expected, missing, left_over, told, newest, problems)


def _problems(
    connection: duckdb.DuckDBPyConnection,
    table: FeatureTable,
    keys: int,
    expected: int,
    missing: int,
    left_over: int,
    newest: datetime | None,
) -> tuple[str, ...]:
    if table.name in OPTIONAL and not keys:
        return ()
    mend = MENDS.get(table.name, "run `coldstart aggregate`")
    found = []
    if missing:
        found.append(f"{missing} of {expected} have no {table.name}: {mend}")
    if left_over:
        found.append(f"{left_over} rows of {table.name} belong to nobody that was accepted: {mend}")
    if table.name in FOLLOWING and newest is not None:
        # A user's row is of what they chose: after it they may have been shown things for days.
        which = POSITIVE if EXPECTED[table.name] == _CHOOSERS else "true"
        (last,) = _one(connection, f"SELECT max(event_timestamp) FROM events WHERE {which}")
        if last is not None and last - newest > LATE:
            found.append(
                f"{table.name} ends {(last - newest).days} days before the log does: {mend}"
            )
    return tuple(found)


def _one(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    (row,) = connection.sql(sql).fetchall()
    return tuple(row)
