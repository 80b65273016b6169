"""The catalogue's first listings are encoded while the others are still looked at.

Only where an encoder has no rows yet, and only listings of the first part: how many they are does
not depend on how long anything takes, so neither does what is written. Their batches lie where
those of a killed job lie, and what is left to do is found as after a kill.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event

import pyarrow as pa
import pyarrow.compute as pc

from feature_repo.encoders.encoder import Modality
from feature_repo.feature_tables import CONTENT_HASH, FeatureTable
from feature_repo.jobs.batches import Batch
from feature_repo.jobs.contents import CONTENTS, VALUE
from feature_repo.jobs.worklist import Contents, grouped

LENGTH = "length"


@dataclass(frozen=True, slots=True)
class HeadStart:
    """Batches that were encoded and written before the worklist was there."""

    batches: Sequence[Batch] = ()
    items: frozenset[str] = frozenset()
    """Those that have a row now. A photo that could not be read is left to the worklist."""


def with_head_start(
    look: Callable[[Callable[[pa.Table], None]], Contents],
    encode: Callable[[Iterator[pa.Table]], Iterable[Batch]],
    *,
    table: FeatureTable,
    modality: Modality,
    batch_size: int,
) -> tuple[Contents, HeadStart]:
    """Look at the catalogue in a thread, and encode the first part of it as soon as it is there.

    Args:
        look: tells each part's contents to what it is given.
        encode: encodes and writes batches of work.
    """
    first: Future[pa.Table] = Future()
    ended = Event()

    def found(part: pa.Table) -> None:
        if ended.is_set():
            raise RuntimeError("the first listings could not be encoded")
        if not first.done():
            first.set_result(part)

    def looked_at() -> Contents:
        try:
            return look(found)
        finally:
            if not first.done():
                first.set_result(CONTENTS.empty_table())

    with ThreadPoolExecutor(1, thread_name_prefix="worklist") as thread:
        looking = thread.submit(looked_at)
        try:
            work = in_work_order(first.result(), modality=modality)
            batches = list(encode(_slices(work, size=batch_size)))
        except BaseException:
            ended.set()
            raise
        contents = looking.result()
    ids = (one.rows[table.key].to_pylist() for one in batches)
    return contents, HeadStart(batches, frozenset(key for some in ids for key in some))


def in_work_order(contents: pa.Table, *, modality: Modality) -> pa.Table:
    """Contents as work: photos by hash, texts by length and hash, equal ones in a row."""
    lengths = pc.utf8_length(contents[VALUE])
    keys = [(LENGTH, "ascending")] if modality is Modality.TEXT else []
    ordered = contents.append_column(LENGTH, lengths).sort_by([*keys, (CONTENT_HASH, "ascending")])
    return grouped(ordered.drop_columns([LENGTH]))


def _slices(work: pa.Table, *, size: int) -> Iterator[pa.Table]:
    for first in range(0, work.num_rows, size):
        yield work.slice(first, size)
