"""The newest row of each key of a Parquet table, a batch at a time in bounded memory.

Which rows are newest is found from the keys and times alone; the wide columns are then read once,
in the file's order.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq


@dataclass(frozen=True, slots=True)
class TableColumns:
    """What the columns of a table of rows in time are called."""

    key: str
    event_time: str
    created_time: str

    @property
    def newest_first(self) -> str:
        """The SQL order in which the first row of a key counts; later in the file breaks a tie."""
        return f'"{self.event_time}" DESC, "{self.created_time}" DESC, file_row_number DESC'


def newest_row_numbers(
    path: Path,
    *,
    columns: TableColumns,
    start: datetime | None = None,
    end: datetime | None = None,
) -> npt.NDArray[np.int64]:
    """Ascending numbers of the file's rows that are the newest of their key within the range."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.sql(
            f"""
            SELECT file_row_number FROM read_parquet(?, file_row_number = true)
            WHERE "{columns.event_time}" BETWEEN coalesce(?, '-infinity'::TIMESTAMPTZ)
                  AND coalesce(?, 'infinity'::TIMESTAMPTZ)
            QUALIFY row_number() OVER (
                PARTITION BY "{columns.key}" ORDER BY {columns.newest_first}) = 1
            ORDER BY file_row_number
            """,
            params=[str(path), start, end],
        ).fetchnumpy()["file_row_number"]
    return np.asarray(found, dtype=np.int64)


def newest_batches(
    path: Path,
    *,
    columns: TableColumns,
    names: Sequence[str],
    size: int,
    start: datetime | None = None,
    end: datetime | None = None,
) -> Iterator[pa.RecordBatch]:
    """The newest rows in the file's order, at most `size` at a time, of the columns named."""
    wanted = newest_row_numbers(path, columns=columns, start=start, end=end)
    with pq.ParquetFile(path, memory_map=True) as file:
        first = 0
        for batch in file.iter_batches(batch_size=size, columns=list(names)):
            low, high = np.searchsorted(wanted, (first, first + batch.num_rows))
            if high - low == batch.num_rows:
                yield batch
            elif high > low:
                yield batch.take(pa.array(wanted[low:high] - first))
            first += batch.num_rows
