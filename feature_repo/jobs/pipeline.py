"""Work in, vectors out, with reading, decoding, transfer and the forward pass at the same time.

Threads read and decode the photos of the next batches (Pillow releases the interpreter's lock), one
more puts a batch together and on the device, and the caller's thread runs the model. At most
`AHEAD` batches wait, so memory does not grow where decoding is faster than the model.
"""

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feature_repo.encoders.content import UnreadablePhoto, open_photo
from feature_repo.encoders.encoder import Encoder, FloatMatrix, Modality, stages_of
from feature_repo.jobs.contents import PHOTO_CHECK, VALUE, Refusal
from validation import tables

AHEAD: Final = 2
"""Batches prepared in advance."""
TURN: Final = 0.0002
"""Seconds that a thread computes while others wait for the interpreter."""
TOGETHER: Final = 8
"""Photos that a thread opens at a time: handing over a single small one takes as long as itself."""


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


def encoded(batches: Iterable[pa.Table], *, encoder: Encoder, pool: Executor) -> Iterator[Encoded]:
    """Encode batches of work (columns `WORK`), in their order.

    Args:
        pool: reads and decodes; several extractions may share it.
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
        began, free = max(one.began, free), time.perf_counter()
        return Encoded(one.ready.work, vectors, one.ready.refused, free - began)

    for ready in _readied(batches, encoder=encoder, pool=pool):
        began = time.perf_counter()
        output = stages.launch(ready.staged) if ready.work.num_rows else None
        running.append(_Launched(ready, output, began))
        if len(running) > stages.lag:
            yield fetched()
    while running:
        yield fetched()


def _readied(batches: Iterable[pa.Table], *, encoder: Encoder, pool: Executor) -> Iterator[_Ready]:
    """The batches as the encoder wants them; the next ones are made meanwhile."""
    waiting: deque[Future[_Ready]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="stage") as conductor:
        for batch in batches:
            firsts = pc.list_element(batch[VALUE], 0).to_pylist()
            if encoder.modality is Modality.IMAGE:
                opened = [
                    pool.submit(_opened, firsts[first : first + TOGETHER], encoder).result
                    for first in range(0, len(firsts), TOGETHER)
                ]
            else:
                opened = [partial(_opened, firsts, encoder)]
            waiting.append(conductor.submit(_ready, batch, opened, encoder))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _opened(values: Sequence[str], encoder: Encoder) -> list[Any]:
    """The photos at paths, or texts, as the encoder reads them; or why there is none."""
    if encoder.modality is Modality.TEXT:
        return [encoder.prepare(value) for value in values]
    return [_photo(value, encoder) for value in values]


def _photo(value: str, encoder: Encoder) -> Any:
    read = getattr(encoder, "read", None)
    try:
        return read(Path(value)) if read else encoder.prepare(open_photo(Path(value)))
    except UnreadablePhoto as error:
        return error


def _ready(batch: pa.Table, opened: Sequence[Callable[[], list[Any]]], encoder: Encoder) -> _Ready:
    found = [one for some in opened for one in some()]
    decoded = getattr(encoder, "decoded", None)
    if decoded is not None:
        found = decoded(found)
    readable = [one for one in found if not isinstance(one, UnreadablePhoto)]
    staged = stages_of(encoder).stage(readable) if readable else None
    if len(readable) == len(found):
        return _Ready(batch, staged, [])
    failed = np.array([isinstance(one, UnreadablePhoto) for one in found])
    reasons = [str(one) for one in found if isinstance(one, UnreadablePhoto)]
    return _Ready(
        batch.filter(pa.array(~failed)), staged, _refusals(batch.filter(pa.array(failed)), reasons)
    )


def _refusals(work: pa.Table, reasons: Sequence[str]) -> list[Refusal]:
    """All items of work that could not be read, each told of its own photo."""
    return [
        Refusal(item_id, PHOTO_CHECK, value, source, reason.replace(row[VALUE][0], value))
        for row, reason in zip(work.to_pylist(), reasons, strict=True)
        for item_id, value, source in zip(
            row[tables.ITEM_ID], row[VALUE], row[tables.SOURCE], strict=True
        )
    ]
