"""Rows of Parquet files in another order, in memory that does not grow with them.

Rows are dealt into files by ranges of where they go, and every range is sorted by itself.
"""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from feature_repo.jobs.contents import READ_BUFFER

RANGE_BYTES: Final = 16 << 20
"""Of a range, unless there would be more than `MOST_RANGES`."""
ROW_BYTES: Final = 256
"""What a row takes in memory beyond its bytes in a file, where names are written once."""
FEWEST: Final = 1_024
"""Rows of a range at least."""
MOST_RANGES: Final = 500
"""Files that are open at once."""
ROWS: Final = 2_048
"""Rows that are dealt at once."""
RANK: Final = "rank"


def in_order(
    files: Sequence[Path],
    ranks: Sequence[npt.NDArray[np.int64]],
    *,
    schema: pa.Schema,
    folder: Path,
) -> Iterator[pa.Table]:
    """The rows by rank, a range at a time.

    Args:
        ranks: for each file where each of its rows goes, −1 for nowhere; 0 … n − 1 are all taken.
        folder: for the ranges meanwhile; emptied before and after.
    """
    count = sum(int((one >= 0).sum()) for one in ranks)
    metadata = [pq.read_metadata(path) for path in files]
    size = sum(
        one.row_group(group).total_byte_size
        for one in metadata
        for group in range(one.num_row_groups)
    )
    row_bytes = ROW_BYTES + size // max(1, sum(one.num_rows for one in metadata))
    rows = max(FEWEST, RANGE_BYTES // row_bytes, -(-count // MOST_RANGES))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _deal(files, ranks, schema=schema, rows=rows, folder=folder)
    for number in range(-(-count // rows)):
        yield _sorted(folder / str(number))
        (folder / str(number)).unlink()
    shutil.rmtree(folder)


def _deal(
    files: Sequence[Path],
    ranks: Sequence[npt.NDArray[np.int64]],
    *,
    schema: pa.Schema,
    rows: int,
    folder: Path,
) -> None:
    """Append each row that goes somewhere to the file of its range."""
    ranked = schema.append(pa.field(RANK, pa.int64()))
    writers: dict[int, pa.ipc.RecordBatchStreamWriter] = {}
    try:
        for path, of_file in zip(files, ranks, strict=True):
            first = 0
            with pq.ParquetFile(path, buffer_size=READ_BUFFER, pre_buffer=False) as file:
                for batch in file.iter_batches(ROWS, columns=schema.names):
                    places = of_file[first : first + batch.num_rows]
                    first += batch.num_rows
                    for number, part in _pieces(batch, places, schema=ranked, rows=rows):
                        if number not in writers:
                            writers[number] = pa.ipc.new_stream(folder / str(number), ranked)
                        writers[number].write_table(part)
    finally:
        for writer in writers.values():
            writer.close()


def _pieces(
    batch: pa.RecordBatch, places: npt.NDArray[np.int64], *, schema: pa.Schema, rows: int
) -> Iterator[tuple[int, pa.Table]]:
    """The rows that go somewhere, with their rank, by range."""
    chosen = np.flatnonzero(places >= 0)
    if not len(chosen):
        return
    chosen = chosen[np.argsort(places[chosen], kind="stable")]
    part = pa.Table.from_batches([batch]).take(pa.array(chosen))
    part = part.append_column(RANK, pa.array(places[chosen])).cast(schema)
    numbers = places[chosen] // rows
    starts = np.flatnonzero(np.diff(numbers, prepend=-1))
    for start, end in zip(starts, [*starts[1:], len(numbers)], strict=True):
        yield int(numbers[start]), part.slice(start, end - start)


def _sorted(path: Path) -> pa.Table:
    """A range's rows by rank."""
    with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as reader:
        rows = reader.read_all()
    order = pc.sort_indices(rows[RANK])
    return rows.drop_columns([RANK]).take(order).combine_chunks()
