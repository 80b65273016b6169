"""Reading and growing the offline feature tables: locks, latest rows, ranges, vectors."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from feature_repo.encoder_tables import EMBEDDING_VIEWS, encoder_table, require_one_encoder
from feature_repo.errors import StoreError, UnknownFeature
from feature_repo.feature_tables import (
    CREATED_TIMESTAMP,
    ENCODER_HASH,
    FEATURE_TABLES,
    FeatureTable,
    write_table,
)
from feature_repo.home import Home
from feature_repo.newest_rows import TableColumns
from feature_repo.snapshot_state import snapshot_state
from feature_repo.vector_snapshot import Vectors, patch_snapshot, read_snapshot
from validation import tables
from validation.whole_files import alone


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the writers' lock of one table; other processes wait. Readers need none."""
    with alone(path.with_name(f".{path.name}.lock")):
        yield


def feature_table(view: str) -> FeatureTable:
    """The table behind a view. Raises UnknownFeature naming the known ones."""
    if view not in FEATURE_TABLES:
        raise UnknownFeature(
            f"there is no feature view {view!r}; the views are {', '.join(FEATURE_TABLES)}"
        )
    return FEATURE_TABLES[view]


def to_rows(frame: pd.DataFrame, *, view: str, now: datetime) -> pa.Table:
    """The frame as rows of the view's table; `created_timestamp` becomes `now` where absent.

    Raises StoreError for a missing column, a null key or time, or a value of another type.
    """
    table = feature_table(view)
    if CREATED_TIMESTAMP not in frame.columns:
        frame = frame.assign(**{CREATED_TIMESTAMP: pd.Timestamp(now)})
    missing = [name for name in table.schema.names if name not in frame.columns]
    if missing:
        raise StoreError(
            f"rows for {view!r} lack the column(s) {', '.join(missing)}; "
            f"they have {', '.join(map(str, frame.columns))}"
        )
    if frame.empty:  # its columns have no types that would say what is in them
        return table.schema.empty_table()
    arrays = []
    for field in table.schema:
        try:
            arrays.append(pa.Array.from_pandas(frame[field.name], type=field.type, safe=False))
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise StoreError(
                f"column {field.name!r} of {view!r} does not hold {field.type}: {error}"
            ) from error
    rows = pa.Table.from_arrays(arrays, schema=table.schema)
    for name in (table.key, tables.EVENT_TIMESTAMP):
        if rows[name].null_count:
            raise StoreError(f"{rows[name].null_count} row(s) for {view!r} have no {name}")
    return rows


def append_rows(rows: pa.Table, *, home: Home, view: str) -> None:
    """Add rows under the table's lock; a row of the same key and event time is replaced.

    Rows of an encoder that does not serve go to that encoder's own table.
    """
    with locked(home.feature_table(view)):
        if view not in EMBEDDING_VIEWS:
            mirrored = snapshot_state(home, view)
            _append(rows, home.feature_table(view), feature_table(view))
            if mirrored is not None:
                patch_snapshot(home, view, rows, mirrored=mirrored)
            return
        for digest in pc.unique(rows[ENCODER_HASH]).to_pylist():
            made = rows.filter(pc.equal(rows[ENCODER_HASH], digest))
            _append(made, encoder_table(home, view, digest), feature_table(view))


def _append(rows: pa.Table, path: Path, table: FeatureTable) -> None:
    stored = read_file(path, table)
    identity = [table.key, tables.EVENT_TIMESTAMP]
    numbers = pa.array(range(stored.num_rows), type=pa.int64())
    numbered = stored.select(identity).append_column("number", numbers)
    kept = numbered.join(rows.select(identity), identity, join_type="left anti")["number"]
    kept = kept.take(pc.sort_indices(kept))
    write_table(pa.concat_tables([stored.take(kept), rows]), path)


def replace_rows(rows: pa.Table, *, home: Home, view: str) -> None:
    """Make these rows the whole table."""
    with locked(home.feature_table(view)):
        write_table(rows, home.feature_table(view))


def read_rows(home: Home, view: str) -> pa.Table:
    """The whole table with its declared types; empty where the file is absent."""
    return read_file(home.feature_table(view), feature_table(view))


def read_file(path: Path, table: FeatureTable) -> pa.Table:
    """A table's file with its declared types; empty where it is absent."""
    return pq.read_table(path, schema=table.schema) if path.exists() else table.schema.empty_table()


def query(sql: str, *parameters: Any) -> pa.Table:
    """Run DuckDB in a connection of its own, times in UTC."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.sql(sql, params=list(parameters)).to_arrow_table()


def latest_rows(
    home: Home,
    view: str,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    keys: Sequence[str] | None = None,
) -> pa.Table:
    """The newest row of each key within the range, ordered by key."""
    table = feature_table(view)
    columns = TableColumns(table.key, tables.EVENT_TIMESTAMP, CREATED_TIMESTAMP)
    rows = query(
        f"""
        SELECT * EXCLUDE (file_row_number) FROM read_parquet(?, file_row_number = true)
        WHERE {tables.EVENT_TIMESTAMP} BETWEEN coalesce(?, '-infinity'::TIMESTAMPTZ)
              AND coalesce(?, 'infinity'::TIMESTAMPTZ)
          AND (? IS NULL OR {table.key} IN (SELECT unnest(?::VARCHAR[])))
        QUALIFY row_number() OVER (
            PARTITION BY {table.key} ORDER BY {columns.newest_first}) = 1
        ORDER BY {table.key}
        """,
        str(home.feature_table(view)),
        start,
        end,
        None if keys is None else len(keys),
        None if keys is None else list(keys),
    )
    return rows.cast(table.schema)


def newest_keys(
    home: Home, view: str, *, start: datetime | None = None, end: datetime | None = None
) -> list[str]:
    """Keys that have a row within the range, ascending; empty where there is no table."""
    key = feature_table(view).key
    if not home.feature_table(view).exists():
        return []
    found = query(
        f"""
        SELECT DISTINCT {key} FROM read_parquet(?)
        WHERE {tables.EVENT_TIMESTAMP} BETWEEN coalesce(?, '-infinity'::TIMESTAMPTZ)
              AND coalesce(?, 'infinity'::TIMESTAMPTZ)
        ORDER BY {key}
        """,
        str(home.feature_table(view)),
        start,
        end,
    )
    return list(found[key].to_pylist())


@dataclass(frozen=True, slots=True)
class Extent:
    """How much a table holds: rows, keys and the first and last event time."""

    rows: int
    keys: int
    start: datetime | None
    end: datetime | None


def extent(
    home: Home, view: str, *, start: datetime | None = None, end: datetime | None = None
) -> Extent:
    """Measure a table, or its part in a time range (bounds included)."""
    table, path = feature_table(view), home.feature_table(view)
    if not path.exists() or not pq.read_metadata(path).num_rows:
        return Extent(0, 0, None, None)  # by the footer: to open a database takes far longer
    (row,) = query(
        f"""
        SELECT count(*) AS rows, count(DISTINCT {table.key}) AS keys,
               min({tables.EVENT_TIMESTAMP}) AS start, max({tables.EVENT_TIMESTAMP}) AS end
        FROM read_parquet(?)
        WHERE {tables.EVENT_TIMESTAMP} BETWEEN coalesce(?, '-infinity'::TIMESTAMPTZ)
              AND coalesce(?, 'infinity'::TIMESTAMPTZ)
        """,
        str(path),
        start,
        end,
    ).to_pylist()
    return Extent(row["rows"], row["keys"], row["start"], row["end"])


def read_vectors(home: Home, view: str) -> Vectors:
    """The newest vector of every item. Raises StoreError if they cannot be compared.

    From the view's snapshot where one mirrors the table, otherwise from the table itself.
    """
    table = feature_table(view)
    if table.vector is None:
        raise UnknownFeature(f"feature view {view!r} holds no vectors")
    if (mapped := read_snapshot(home, view)) is not None:
        return mapped
    if view in EMBEDDING_VIEWS:
        require_one_encoder(home.feature_table(view))
    try:
        rows = latest_rows(home, view)
    except duckdb.Error as error:
        raise StoreError(
            f"{home.feature_table(view)} cannot be read, it may be torn: {error}; run "
            "`coldstart extract` (or `coldstart train`) again"
        ) from error
    vectors = rows[table.vector].combine_chunks()
    widths = set(pc.list_value_length(vectors).to_pylist())
    if len(widths) > 1:
        raise StoreError(
            f"the vectors of {view!r} have widths {sorted(widths)}: two encoders or models wrote "
            "them; run `coldstart extract` (or `coldstart train`) again for all items"
        )
    flat = np.asarray(vectors.flatten(), dtype=np.float32)
    tag = "encoder" if "encoder" in table.schema.names else "model"
    return Vectors(
        item_ids=rows[table.key].to_pandas().to_numpy(dtype=object),
        matrix=flat.reshape(rows.num_rows, -1) if rows.num_rows else np.zeros((0, 0), np.float32),
        tags=rows[tag].to_pandas().to_numpy(dtype=object),
    )
