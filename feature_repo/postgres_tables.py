"""The feature tables' Parquet files as tables of PostgreSQL, for its offline store.

Jobs write Parquet whatever the environment is. Before PostgreSQL answers, `Store` has every table
whose file has changed loaded anew, in one transaction each, by binary COPY. Of rows that share
key and event time only the newest created is loaded.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import duckdb
import numpy as np
import psycopg
import pyarrow as pa
from psycopg import sql

from feature_repo.feature_tables import CREATED_TIMESTAMP, FEATURE_TABLES, FeatureTable
from feature_repo.home import Home
from feature_repo.snapshot_state import table_state
from validation import tables
from validation.tables import TIMESTAMP

PREFIX: Final = "offline_"
"""Before a view's name; online tables begin with the project's."""
STATES: Final = "offline_table_states"
BATCH: Final = 2_000

TYPES: Final = {
    pa.string(): "text",
    pa.bool_(): "boolean",
    pa.int64(): "bigint",
    pa.float32(): "real",
    pa.float64(): "double precision",
    pa.list_(pa.string()): "text[]",
    pa.list_(pa.int64()): "bigint[]",
    pa.list_(pa.float32()): "real[]",
    TIMESTAMP: "timestamptz",
}
ELEMENTS: Final[dict[pa.DataType, tuple[int, "np.dtype[Any]"]]] = {
    pa.int64(): (20, np.dtype(">i8")),
    pa.float32(): (700, np.dtype(">f4")),
}
"""Number of the element's type in pg_type.dat, and an element on the wire."""
TEXT_OID: Final = 25
NULL: Final = struct.pack(">i", -1)
COPY_HEAD: Final = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
COPY_END: Final = struct.pack(">h", -1)
EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""PostgreSQL counts its microseconds from here."""
EPOCH_US: Final = int(EPOCH.timestamp()) * 1_000_000


def table_name(view: str) -> str:
    """What the view's offline table is called in PostgreSQL."""
    return f"{PREFIX}{view}"


def load_changed(home: Home, *, settings: dict[str, Any]) -> list[str]:
    """Load the tables whose files have changed since they were loaded; returns their views.

    Args:
        settings: the offline store's part of the environment's YAML.
    """
    loaded = []
    with _connected(settings) as connection:
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {STATES} (view text PRIMARY KEY, state text NOT NULL)"
        )
        connection.commit()
        for view in FEATURE_TABLES:
            path = home.feature_table(view)
            if not path.exists():
                continue
            state = f"{home.root} {table_state(path)}"
            with connection.transaction():
                # One process loads a table at a time; others wait here and find it done.
                connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (view,))
                known = connection.execute(
                    f"SELECT state FROM {STATES} WHERE view = %s", (view,)
                ).fetchone()
                if known == (state,):
                    continue
                _load(connection, home, view)
                connection.execute(
                    f"INSERT INTO {STATES} VALUES (%s, %s) "
                    "ON CONFLICT (view) DO UPDATE SET state = excluded.state",
                    (view, state),
                )
            loaded.append(view)
    return loaded


def _connected(settings: dict[str, Any]) -> "psycopg.Connection[Any]":
    return psycopg.connect(
        host=settings["host"],
        port=settings["port"],
        dbname=settings["database"],
        user=settings["user"],
        password=settings["password"],
        sslmode=settings.get("sslmode", "require"),
        options=f"-c search_path={settings.get('db_schema', 'public')}",
    )


def _load(connection: "psycopg.Connection[Any]", home: Home, view: str) -> None:
    table, name = FEATURE_TABLES[view], sql.Identifier(table_name(view))
    columns = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(field.name), sql.SQL(TYPES[field.type]))
        for field in table.schema
    )
    identity = sql.SQL(", ").join(map(sql.Identifier, (table.key, tables.EVENT_TIMESTAMP)))
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(name))
    connection.execute(
        sql.SQL("CREATE TABLE {} ({}, PRIMARY KEY ({}))").format(name, columns, identity)
    )
    into = sql.SQL("COPY {} FROM STDIN (FORMAT BINARY)").format(name)
    with connection.cursor() as cursor, cursor.copy(into) as copy:
        copy.write(COPY_HEAD)
        for batch in _without_ties(home, table):
            copy.write(b"".join(_tuples(batch)))
        copy.write(COPY_END)
    connection.execute(sql.SQL("ANALYZE {}").format(name))


def _without_ties(home: Home, table: FeatureTable) -> Iterator[pa.RecordBatch]:
    """The table's rows; of those of the same key and event time the newest created."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        rows = connection.sql(
            f"""
            SELECT * EXCLUDE (file_row_number) FROM read_parquet(?, file_row_number = true)
            QUALIFY row_number() OVER (
                PARTITION BY {table.key}, {tables.EVENT_TIMESTAMP}
                ORDER BY {CREATED_TIMESTAMP} DESC, file_row_number DESC) = 1
            """,
            params=[str(home.feature_table(table.name))],
        ).to_arrow_reader(BATCH)
        for batch in rows:
            yield pa.Table.from_batches([batch]).cast(table.schema).combine_chunks().to_batches()[0]


def _tuples(batch: pa.RecordBatch) -> Iterator[bytes]:
    """Rows of COPY's binary format (PostgreSQL's manual, COPY, "Binary Format")."""
    head = struct.pack(">h", batch.num_columns)
    columns = [
        _fields(column, field.type)
        for column, field in zip(batch.columns, batch.schema, strict=True)
    ]
    for row in zip(*columns, strict=True):
        yield head + b"".join(row)


def _fields(column: pa.Array, dtype: pa.DataType) -> list[bytes]:
    """Length and bytes of every value."""
    if pa.types.is_list(dtype) and dtype.value_type in ELEMENTS:
        return _numbers(column, *ELEMENTS[dtype.value_type])
    if pa.types.is_list(dtype):
        return [NULL if one is None else _sized(_texts(one)) for one in column.to_pylist()]
    if dtype == TIMESTAMP:
        moments = column.cast(pa.int64()).to_pylist()
        return _packed(moments, ">iq", 8, lambda moment: moment - EPOCH_US)
    if dtype == pa.string():
        return [NULL if one is None else _sized(one.encode()) for one in column.to_pylist()]
    form, size = {
        pa.bool_(): (">i?", 1),
        pa.int64(): (">iq", 8),
        pa.float32(): (">if", 4),
        pa.float64(): (">id", 8),
    }[dtype]
    return _packed(column.to_pylist(), form, size, lambda value: value)


def _packed(
    values: Sequence[Any], form: str, size: int, change: Callable[[Any], Any]
) -> list[bytes]:
    return [NULL if one is None else struct.pack(form, size, change(one)) for one in values]


def _sized(value: bytes) -> bytes:
    return struct.pack(">i", len(value)) + value


def _array_head(count: int, oid: int) -> bytes:
    """Dimensions, whether there are nulls, the element's type, length and first index."""
    return struct.pack(">iiIii", 1, 0, oid, count, 1) if count else struct.pack(">iiI", 0, 0, oid)


def _texts(values: Sequence[str]) -> bytes:
    return _array_head(len(values), TEXT_OID) + b"".join(_sized(one.encode()) for one in values)


def _numbers(column: pa.Array, oid: int, element: "np.dtype[Any]") -> list[bytes]:
    """Arrays of numbers, each element after its length, laid out by NumPy in one go."""
    numbers = np.asarray(column.values)
    laid = np.empty(len(numbers), np.dtype([("size", ">i4"), ("value", element)]))
    laid["size"], laid["value"] = element.itemsize, numbers
    run, step = memoryview(laid.tobytes()), laid.dtype.itemsize
    bounds, valid = np.asarray(column.offsets).tolist(), column.is_valid().to_pylist()
    return [
        _sized(_array_head(end - start, oid) + run[start * step : end * step]) if there else NULL
        for start, end, there in zip(bounds[:-1], bounds[1:], valid, strict=True)
    ]
