"""Parts of an embedding table: one small Parquet file a batch, so that a kill loses one batch."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.encoders.encoder import Encoder, FloatMatrix
from feature_repo.feature_tables import (
    CONTENT_HASH,
    CREATED_TIMESTAMP,
    EMBEDDING,
    ENCODER,
    ENCODER_HASH,
    FeatureTable,
    write_table,
)
from feature_repo.home import Home
from feature_repo.jobs.contents import Content
from validation import tables


class Parts:
    """The rows of one encoder that are not merged into its embedding table yet."""

    def __init__(self, home: Home, table: FeatureTable, *, encoder_hash: str) -> None:
        self.table = table
        self.folder = home.encoder_parts(table.name, encoder_hash)

    def files(self) -> list[Path]:
        """Whole parts, oldest first."""
        return sorted(self.folder.glob("[!.]*.parquet"))

    def read(self) -> pa.Table:
        """All rows of all parts."""
        schema = self.table.schema
        return pa.concat_tables(
            [schema.empty_table(), *(pq.read_table(path, schema=schema) for path in self.files())]
        )

    def add(self, rows: pa.Table) -> None:
        """Write one part."""
        last = max((int(path.stem) for path in self.files()), default=0)
        write_table(rows, self.folder / f"{last + 1:08d}.parquet")

    def clear(self) -> None:
        """Remove what was merged, and what a killed job left half-written."""
        for path in self.folder.glob("*") if self.folder.exists() else ():
            path.unlink()
        if self.folder.exists():
            self.folder.rmdir()


def embedding_rows(
    contents: Sequence[Content],
    vectors: FloatMatrix,
    *,
    encoder: Encoder,
    table: FeatureTable,
    now: datetime,
) -> pa.Table:
    """Rows of an embedding table for N contents and their (N, D) vectors."""
    count, width = vectors.shape
    columns = {
        table.key: [content.item_id for content in contents],
        EMBEDDING: pa.ListArray.from_arrays(
            np.arange(count + 1, dtype=np.int32) * width, pa.array(vectors.reshape(-1))
        ),
        ENCODER: [encoder.id] * count,
        ENCODER_HASH: [encoder.hash] * count,
        CONTENT_HASH: [content.hash for content in contents],
        tables.SOURCE: [content.source for content in contents],
        tables.EVENT_TIMESTAMP: [content.event_timestamp for content in contents],
        CREATED_TIMESTAMP: [now] * count,
    }
    return pa.table([columns[name] for name in table.schema.names], names=table.schema.names).cast(
        table.schema
    )
