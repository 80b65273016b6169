"""What a large log file says of each item, so that nobody reads an item's events again.

An item's newest row counts events by window, people by window and decayed popularity. Of the
events of the file this takes, for each item, the times of each kind in ascending order (a window is
then a binary search), each user's last time, and the weights by era. All of it stands in files that
are mapped into memory, a part of the index of that file; what came since is added by
:mod:`feature_repo.jobs.item_newest`. Popular items cost as much as others.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.jobs.arrival import HAPPENED, KNOWN, POSITIVE
from feature_repo.jobs.decay import era, weight
from feature_repo.jobs.item_behaviour import POPULARITY_HALF_LIFE_US
from validation import tables

ITEMS: Final = "items.arrow"
WEIGHTS: Final = "items.weights.arrow"
KNOWN_AT: Final = "items.known.npy"
ENDS: Final = "items.ends.npy"
PEOPLE_ENDS: Final = "items.people_ends.npy"
TIMES: Final = "items.times.npy"
PEOPLE: Final = "items.people.npy"
PEOPLE_TIMES: Final = "items.people_times.npy"
PERSON: Final = np.dtype([("hash", np.uint64), ("last", np.int64), ("row", np.uint32)], align=True)
"""A user of an item: hash of the id, time of the last positive event in µs, a row that names it.

Aligned, since NumPy copies all hashes of an item to search them where they are not.
"""
MEMORY: Final = "1GB"
"""What building may hold before it goes to disk."""
BATCH: Final = 100_000
USER_HASH: Final = f"hash({tables.USER_ID})"
"""SQL: under which a user is found among an item's."""

Moments = npt.NDArray[np.int64]


def making() -> str:
    """What the sums must agree with to be read."""
    return f"3 {duckdb.__version__} {POPULARITY_HALF_LIFE_US}"


@dataclass(frozen=True, slots=True)
class ItemSum:
    """One item's events in the file, as far as its newest row needs them."""

    known: int
    """When the last of them became known, µs."""
    times: dict[str, Moments]
    """Kind of event → when they happened, µs, ascending."""
    people: npt.NDArray[Any]
    """`PERSON`s with a positive event, by hash."""
    people_times: Moments
    """Their last times, ascending."""
    weights: dict[int, int]
    """Era → sum of the weights of what became known in it; see `jobs.decay`."""


@dataclass(frozen=True, slots=True)
class ItemSums:
    """The sums of a log file's items."""

    items: Any
    """Arrow array of their ids, ascending."""
    known: Moments
    ends: Moments
    """(items × kinds,) end of each kind's run in `times`."""
    people_ends: Moments
    times: Moments
    people: npt.NDArray[Any]
    people_times: Moments
    weight_items: Moments
    """Place in `items` of each weight, ascending."""
    weight_eras: Moments
    weights: Any
    """Arrow array of decimals."""

    @classmethod
    def open(cls, folder: Path) -> "ItemSums":
        items, weights = _mapped(folder / ITEMS), _mapped(folder / WEIGHTS)
        return cls(
            items=items[tables.ITEM_ID].combine_chunks(),
            known=_numbers(folder / KNOWN_AT),
            ends=_numbers(folder / ENDS),
            people_ends=_numbers(folder / PEOPLE_ENDS),
            times=_numbers(folder / TIMES),
            people=_numbers(folder / PEOPLE),
            people_times=_numbers(folder / PEOPLE_TIMES),
            weight_items=weights["place"].to_numpy(),
            weight_eras=weights["era"].to_numpy(),
            weights=weights["weight"].combine_chunks(),
        )

    def of(self, item_id: str) -> ItemSum | None:
        """The sums of an item; None where the file has no event of it."""
        place = self._place(item_id)
        if place is None:
            return None
        kinds = len(tables.EVENT_TYPES)
        cuts = [self.ends[n - 1] if n else 0 for n in range(place * kinds, (place + 1) * kinds + 1)]
        first, last = (self.people_ends[n - 1] if n else 0 for n in (place, place + 1))
        low, high = np.searchsorted(self.weight_items, [place, place + 1])
        return ItemSum(
            known=int(self.known[place]),
            times={
                kind: self.times[start:end]
                for kind, start, end in zip(tables.EVENT_TYPES, cuts, cuts[1:], strict=False)
            },
            people=self.people[first:last],
            people_times=self.people_times[first:last],
            weights={
                int(self.weight_eras[n]): int(self.weights[n].as_py()) for n in range(low, high)
            },
        )

    def _place(self, item_id: str) -> int | None:
        """Binary search: Python compares text as DuckDB orders it, by code points."""
        low, high = 0, len(self.items)
        while low < high:
            middle = (low + high) // 2
            if self.items[middle].as_py() < item_id:
                low = middle + 1
            else:
                high = middle
        found = low < len(self.items) and self.items[low].as_py() == item_id
        return low if found else None


def build(log: Path, folder: Path) -> None:
    """Write the sums of a log file's items into the folder."""
    with duckdb.connect(config={"memory_limit": MEMORY}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_progress_bar = false")
        connection.execute("SET temp_directory = ?", [str(folder / "spill")])
        connection.execute(
            f"""CREATE TEMP TABLE seen AS
            SELECT item_id, user_id, event_type, {KNOWN} AS known, {HAPPENED} AS us,
                   {POSITIVE} AS positive, file_row_number AS row
            FROM (SELECT * REPLACE (event_timestamp::TIMESTAMPTZ AS event_timestamp,
                                    received_at::TIMESTAMPTZ AS received_at)
                  FROM (SELECT *{_absent(log)} FROM read_parquet(?, file_row_number = true)))""",
            [str(log)],
        )
        connection.execute(
            f"""CREATE TEMP TABLE pairs AS
            SELECT item_id, {USER_HASH} AS hash, max(us) AS last, min(row) AS row
            FROM seen WHERE positive GROUP BY item_id, user_id"""
        )
        _write_items(connection, folder)
        kinds = ", ".join(f"'{kind}'" for kind in tables.EVENT_TYPES)
        _write_numbers(
            connection,
            f"""SELECT us FROM seen WHERE event_type IN ({kinds})
            ORDER BY item_id, list_position([{kinds}], event_type), us""",
            folder / TIMES,
            np.dtype(np.int64),
        )
        people = "SELECT hash, last, row FROM pairs ORDER BY item_id, hash, row"
        _write_numbers(connection, people, folder / PEOPLE, PERSON)
        lasts = "SELECT last FROM pairs ORDER BY item_id, last"
        _write_numbers(connection, lasts, folder / PEOPLE_TIMES, np.dtype(np.int64))


def _absent(log: Path) -> str:
    """SQL: the columns that an older log lacks."""
    present = pq.read_schema(log).names
    return "".join(f", NULL AS {name}" for name in (tables.RECEIVED_AT,) if name not in present)


def _write_items(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    counts = ", ".join(
        f"count(*) FILTER (event_type = '{kind}') AS {kind}" for kind in tables.EVENT_TYPES
    )
    connection.execute(
        f"""CREATE TEMP TABLE items AS
        SELECT *, row_number() OVER (ORDER BY item_id) - 1 AS place
        FROM (SELECT item_id, max(known) AS known, {counts} FROM seen GROUP BY item_id)
        LEFT JOIN (SELECT item_id, count(*) AS people FROM pairs GROUP BY item_id)
        USING (item_id)"""
    )
    _write_rows(connection, "SELECT item_id FROM items ORDER BY place", folder / ITEMS)
    whole = np.dtype(np.int64)
    columns = {
        KNOWN_AT: "SELECT known FROM items ORDER BY place",
        ENDS: f"""SELECT sum(events) OVER (ORDER BY place, kind)::BIGINT FROM (
            SELECT place, unnest(range({len(tables.EVENT_TYPES)})) AS kind,
                   unnest([{", ".join(tables.EVENT_TYPES)}]) AS events FROM items)
            ORDER BY place, kind""",
        PEOPLE_ENDS: """SELECT sum(coalesce(people, 0)) OVER (ORDER BY place)::BIGINT FROM items
            ORDER BY place""",
    }
    for name, sql in columns.items():
        _write_numbers(connection, sql, folder / name, whole)
    half_life = POPULARITY_HALF_LIFE_US
    _write_rows(
        connection,
        f"""SELECT place, era, sum(weight)::DECIMAL(38, 0) AS weight
        FROM (SELECT item_id, {era("known", half_life_us=half_life)} AS era,
                     {weight("us", "known", half_life_us=half_life)} AS weight
              FROM seen WHERE positive)
        JOIN items USING (item_id) GROUP BY place, era ORDER BY place, era""",
        folder / WEIGHTS,
    )


def _write_rows(connection: duckdb.DuckDBPyConnection, sql: str, path: Path) -> None:
    with (
        connection.sql(sql).to_arrow_reader(BATCH) as reader,
        pa.OSFile(str(path), "wb") as sink,
        pa.ipc.new_file(sink, reader.schema) as writer,
    ):
        for batch in reader:
            writer.write_batch(batch)


def _write_numbers(
    connection: duckdb.DuckDBPyConnection, sql: str, path: Path, dtype: np.dtype[Any]
) -> None:
    """Write the query's rows as one NumPy array of the type."""
    ((count,),) = connection.sql(f"SELECT count(*) FROM ({sql})").fetchall()
    if not count:
        np.save(path, np.empty(0, dtype))
        return
    numbers = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(count,))
    first = 0
    for batch in _batches(connection, sql):
        part = numbers[first : first + batch.num_rows]
        for name, column in zip(dtype.names or (None,), batch.columns, strict=True):
            (part if name is None else part[name])[:] = column.to_numpy(zero_copy_only=False)
        first += batch.num_rows
    numbers.flush()


def _batches(connection: duckdb.DuckDBPyConnection, sql: str) -> Iterator[pa.RecordBatch]:
    with connection.sql(sql).to_arrow_reader(BATCH) as reader:
        yield from reader


def _numbers(path: Path) -> npt.NDArray[Any]:
    try:
        numbers: npt.NDArray[Any] = np.load(path, mmap_mode="r")
    except ValueError:  # nothing can be mapped of an empty array
        numbers = np.load(path)
    return numbers


def _mapped(path: Path) -> pa.Table:
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
