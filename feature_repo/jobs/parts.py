"""Rows of an embedding table that are not merged yet: a file a batch, so that a kill loses one.

Once there are many, they become one file: a million listings leave some hundred files.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.feature_tables import CONTENT_HASH, ENCODER, ENCODER_HASH, FeatureTable
from feature_repo.home import Home
from validation import tables
from validation.whole_files import replacing

TOGETHER: Final = 64
"""Batches that become one file."""
ROWS: Final = 4_096
"""Rows of such a file that are held in memory at once, at least a batch's."""
STRINGS: Final = [ENCODER, ENCODER_HASH, CONTENT_HASH, tables.SOURCE]
"""Columns that a dictionary makes small; numbers of a vector hardly ever come twice."""
BATCH, GROUP = "batch", "group"


class Parts:
    """The rows of one encoder that are not merged into its embedding table yet."""

    def __init__(self, home: Home, table: FeatureTable, *, encoder_hash: str) -> None:
        self.table = table
        self.folder = home.encoder_parts(table.name, encoder_hash)
        self.work = self.folder / "work"
        """For what the job has to keep meanwhile."""
        self._last = max((int(path.stem.rpartition("-")[2]) for path in self.files()), default=0)
        self._batches = sorted(self.folder.glob(f"{BATCH}-*.parquet"))

    def files(self) -> list[Path]:
        """Whole parts. A row may be in two: a job was killed while it put batches together."""
        return sorted(self.folder.glob("[!.]*.parquet"))

    def add(self, rows: pa.Table) -> None:
        """Write one batch."""
        path = self._next(BATCH)
        with _writing(path, self.table) as writer:
            writer.write_table(rows)
        self._batches.append(path)
        if len(self._batches) >= TOGETHER:
            self._put_together()

    def clear(self) -> None:
        """Remove what was merged, and what a killed job left half-written."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _next(self, kind: str) -> Path:
        self._last += 1
        return self.folder / f"{kind}-{self._last:08d}.parquet"

    def _put_together(self) -> None:
        with _writing(self._next(GROUP), self.table) as writer:
            held: list[pa.Table] = []
            for path in self._batches:
                held.append(pq.read_table(path, schema=self.table.schema))
                if sum(one.num_rows for one in held) >= ROWS:
                    writer.write_table(pa.concat_tables(held))
                    held = []
            if held:
                writer.write_table(pa.concat_tables(held))
        for path in self._batches:
            path.unlink()
        self._batches = []


@contextmanager
def _writing(path: Path, table: FeatureTable) -> Iterator[pq.ParquetWriter]:
    """A Parquet file that is there, whole, when the block ends well."""
    with (
        replacing(path) as partial,
        pq.ParquetWriter(
            partial, table.schema, compression="lz4", use_dictionary=STRINGS
        ) as writer,
    ):
        yield writer
