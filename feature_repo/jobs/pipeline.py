"""Work in, vectors out, with reading, decoding, transfer and the forward pass at the same time.

Threads or processes read and decode the photos of the next batches, one more thread puts a batch
together and on the device, and the caller's thread runs the model. At most `AHEAD` batches wait, so
memory does not grow where decoding is faster than the model.
"""

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feature_repo.encoders.encoder import Encoder, FloatMatrix, Modality, stages_of
from feature_repo.jobs.contents import PHOTO_CHECK, VALUE, Refusal
from feature_repo.jobs.opening import AHEAD, ByProcesses, ByThreads, Opened, Opening
from feature_repo.jobs.photo_workers import PhotoWorkers
from validation import tables

TURN: Final = 0.0002
"""Seconds that a thread computes while others wait for the interpreter."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """What became of a batch of work."""

    work: pa.Table
    """The rows that could be read."""
    vectors: FloatMatrix
    """(N, D) for these N rows."""
    refused: list[Refusal]
    """The items of the others."""
    seconds: float
    """In which the model had this batch, and no other before it."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """A batch as the encoder wants it."""

    work: pa.Table
    staged: Any
    refused: list[Refusal]
    done: Callable[[], None]


@dataclass(frozen=True, slots=True)
class _Launched:
    """A batch that the model has."""

    ready: _Ready
    output: Any
    began: float


@contextmanager
def short_turns() -> Iterator[None]:
    """Threads that ask for the interpreter get it within a fraction of a millisecond.

    Reading a small photo takes some hundredths of one, and gives the interpreter up for each call
    of the system: beside a thread that computes, each would wait for the usual five.
    """
    usual = sys.getswitchinterval()
    sys.setswitchinterval(TURN)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def decoders() -> int:
    """Threads that read and decode: one a processor, and some where there are few."""
    return max(4, os.cpu_count() or 1)


def encoded(
    batches: Iterable[pa.Table],
    *,
    encoder: Encoder,
    pool: Executor,
    workers: PhotoWorkers | None = None,
) -> Iterator[Encoded]:
    """Encode batches of work (columns `WORK`), in their order.

    Args:
        pool: reads and decodes; several extractions may share it.
        workers: read and decode photos instead, for this extraction alone.
    """
    stages = stages_of(encoder)
    running: deque[_Launched] = deque()
    free = 0.0
    """When the model was done with the batch before."""

    def fetched() -> Encoded:
        nonlocal free
        one = running.popleft()
        vectors = np.zeros((0, encoder.width), np.float32)
        if one.ready.work.num_rows:
            vectors = stages.fetch(one.output)
        one.ready.done()
        began, free = max(one.began, free), time.perf_counter()
        return Encoded(one.ready.work, vectors, one.ready.refused, free - began)

    photos = workers is not None and encoder.modality is Modality.IMAGE
    opening = ByProcesses(workers) if workers and photos else ByThreads(encoder, pool)
    for ready in _readied(batches, encoder=encoder, opening=opening):
        began = time.perf_counter()
        output = stages.launch(ready.staged) if ready.work.num_rows else None
        running.append(_Launched(ready, output, began))
        if len(running) > stages.lag:
            yield fetched()
    while running:
        yield fetched()


def _readied(
    batches: Iterable[pa.Table], *, encoder: Encoder, opening: Opening
) -> Iterator[_Ready]:
    """The batches as the encoder wants them; the next ones are made meanwhile."""
    waiting: deque[Future[_Ready]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="stage") as conductor:
        for batch in batches:
            begun = opening.begin(pc.list_element(batch[VALUE], 0).to_pylist())
            waiting.append(conductor.submit(_ready, batch, begun, encoder))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _ready(batch: pa.Table, begun: Callable[[], Opened], encoder: Encoder) -> _Ready:
    opened = begun()
    staged = stages_of(encoder).stage(opened.prepared) if len(opened.prepared) else None
    reasons = [reason for reason in opened.reasons if reason is not None]
    if not reasons:
        return _Ready(batch, staged, [], opened.done)
    failed = np.array([reason is not None for reason in opened.reasons])
    refused = _refusals(batch.filter(pa.array(failed)), reasons)
    return _Ready(batch.filter(pa.array(~failed)), staged, refused, opened.done)


def _refusals(work: pa.Table, reasons: Sequence[str]) -> list[Refusal]:
    """All items of work that could not be read, each told of its own photo."""
    return [
        Refusal(item_id, PHOTO_CHECK, value, source, reason.replace(row[VALUE][0], value))
        for row, reason in zip(work.to_pylist(), reasons, strict=True)
        for item_id, value, source in zip(
            row[tables.ITEM_ID], row[VALUE], row[tables.SOURCE], strict=True
        )
    ]
