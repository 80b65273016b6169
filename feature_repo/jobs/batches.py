"""Rows of an embedding table from batches of work: what every engine does, wherever it runs."""

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feature_repo.encoder_tables import EMBEDDING_TABLES
from feature_repo.encoders.encoder import Encoder, FloatMatrix
from feature_repo.encoders.registry import load_encoder
from feature_repo.feature_tables import (
    CONTENT_HASH,
    CREATED_TIMESTAMP,
    EMBEDDING,
    ENCODER,
    ENCODER_HASH,
    FeatureTable,
)
from feature_repo.jobs.contents import Refusal
from feature_repo.jobs.photo_workers import PhotoWorkers
from feature_repo.jobs.pipeline import encoded
from validation import tables


@dataclass(frozen=True, slots=True)
class Given:
    """An encoder as a process gets it that has yet to load it."""

    named: str | Encoder
    """As `load_encoder` takes it, or the encoder itself."""
    precision: str | None = None
    compiled: bool = False

    def load(self) -> Encoder:
        """The encoder on this machine's device. Raises EncoderError."""
        if not isinstance(self.named, str):
            return self.named
        return load_encoder(self.named, precision=self.precision, compiled=self.compiled)


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch that is done."""

    rows: pa.Table
    """Of the embedding table."""
    refused: list[Refusal]
    seconds: float
    """In the model."""
    done_at: float
    """When it was done, in seconds since 1970."""


def batches_of(
    work: Iterable[pa.Table],
    *,
    encoder: Encoder,
    pool: Executor,
    now: datetime,
    workers: PhotoWorkers | None = None,
) -> Iterator[Batch]:
    """Encode batches of work (columns `WORK`) in this process, in their order.

    Args:
        workers: read the photos, where they are there, instead of the pool.
    """
    table = EMBEDDING_TABLES[encoder.modality]
    for one in encoded(work, encoder=encoder, pool=pool, workers=workers):
        rows = embedding_rows(one.work, one.vectors, encoder=encoder, table=table, now=now)
        yield Batch(rows, one.refused, one.seconds, time.time())


def embedding_rows(
    work: pa.Table,
    vectors: FloatMatrix,
    *,
    encoder: Encoder,
    table: FeatureTable,
    now: datetime,
) -> pa.Table:
    """Rows of an embedding table: a vector of (N, D) for each item of the N rows of work."""
    lists = {
        name: work[name].combine_chunks()
        for name in (tables.ITEM_ID, tables.EVENT_TIMESTAMP, tables.SOURCE)
    }
    parents = pc.list_parent_indices(lists[tables.ITEM_ID])
    count, width = len(parents), vectors.shape[1]
    matrix = vectors if count == len(vectors) else vectors[parents.to_numpy()]
    columns = {
        table.key: lists[tables.ITEM_ID].flatten(),
        EMBEDDING: pa.ListArray.from_arrays(
            np.arange(count + 1, dtype=np.int32) * width, pa.array(matrix.reshape(-1))
        ),
        ENCODER: pa.array([encoder.id]).take(pa.array(np.zeros(count, np.int64))),
        ENCODER_HASH: pa.array([encoder.hash]).take(pa.array(np.zeros(count, np.int64))),
        CONTENT_HASH: work[CONTENT_HASH].combine_chunks().take(parents),
        tables.SOURCE: lists[tables.SOURCE].flatten(),
        tables.EVENT_TIMESTAMP: lists[tables.EVENT_TIMESTAMP].flatten(),
        CREATED_TIMESTAMP: pa.array([now]).take(pa.array(np.zeros(count, np.int64))),
    }
    return pa.table([columns[name] for name in table.schema.names], names=table.schema.names).cast(
        table.schema
    )
