"""Extraction on Ray Data: actors hold the encoder and do with the work what one process does.

The work file is the border: a task is a stretch of its rows, which an actor reads, encodes and
gives back batch by batch as Arrow tables with ``list<float32>`` vectors. This process writes them
as parts, which are the checkpoint: an actor that dies is started again by Ray with its task, and a
job that dies goes on without what is in a part. All machines must see the state folder and the
photos at the same paths.
"""

import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from feature_repo.encoder_tables import EMBEDDING_TABLES
from feature_repo.encoders.encoder import Encoder
from feature_repo.errors import JobError
from feature_repo.feature_tables import ENCODER_HASH
from feature_repo.jobs.batches import Batch, Given, batches_of
from feature_repo.jobs.contents import PHOTO_CHECK, VALUE, Refusal
from feature_repo.jobs.pipeline import decoders
from feature_repo.jobs.worklist import Worklist, work_rows
from validation import tables

BATCHES: Final = 8
"""Batches of a task."""
SPARE: Final = 2
"""Logical processors beside those of the actors: Ray Data's own tasks need some."""
OBJECT_STORE: Final = 512 << 20
"""Bytes of a local Ray's object store; some batches lie in it at a time."""
ROW_BYTES: Final = 200
"""Of a row beside its vector, at least."""
REASON: Final = "refusal"
SECONDS: Final = "model_seconds"
"""Of the batch, in its first row; null in the others."""
DONE: Final = "done_at"
UNIT: Final = "id"
_TOLD: Final = {
    VALUE: pa.string(),
    REASON: pa.string(),
    SECONDS: pa.float64(),
    DONE: pa.float64(),
}
"""What a batch's table holds beside the columns of the embedding table."""


@dataclass(frozen=True, slots=True)
class RayCluster:
    """Where to run, and on how much of it."""

    address: str | None = None
    """As `ray.init` takes it; None starts Ray on this machine and ends it with the job."""
    workers: int | None = None
    """Actors that hold the encoder; by default one for each GPU, or each machine without any."""


def encoded_on_ray(
    work: Worklist,
    given: Given,
    *,
    width: int,
    cluster: RayCluster,
    now: datetime,
    batch_size: int,
) -> Iterator[Batch]:
    """Encode the work on Ray; batches come in the order in which they are done.

    Raises:
        JobError: Ray is not installed, or cannot be reached.
    """
    if not work.rows:
        return
    ray = _ray()
    with _Connected(ray, cluster):
        rows = batch_size * BATCHES
        tasks = -(-work.rows // rows)
        resources = ray.cluster_resources()
        gpus = int(resources.get("GPU", 0))
        machines = sum(name.startswith("node:") for name in resources) - (
            "node:__internal_head__" in resources
        )
        workers = min(cluster.workers or gpus or max(1, machines), tasks)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        # A batch is told as soon as it is done, and not with others.
        context.target_max_block_size = batch_size * (4 * width + ROW_BYTES)
        done = ray.data.range(tasks, override_num_blocks=tasks).map_batches(
            EncodingActor,
            fn_constructor_kwargs={
                "given": given,
                "path": str(work.path),
                "rows": rows,
                "batch_size": batch_size,
                "threads": max(1, (os.cpu_count() or 1) * max(1, machines) // workers),
                "now": now,
            },
            batch_size=1,
            batch_format="pyarrow",
            num_cpus=1,
            num_gpus=min(1.0, gpus / workers) if gpus else 0,
            compute=ray.data.ActorPoolStrategy(size=workers),
        )
        for table in done.iter_batches(batch_size=None, batch_format="pyarrow"):
            yield _told(table)


class EncodingActor:
    """Holds the encoder on one machine; its tasks are stretches of the work."""

    def __init__(
        self,
        *,
        given: Given,
        path: str,
        rows: int,
        batch_size: int,
        threads: int,
        now: datetime,
    ) -> None:
        import torch

        torch.set_num_threads(threads)
        self.encoder = given.load()
        self.path, self.rows, self.batch_size, self.now = Path(path), rows, batch_size, now
        self.pool = ThreadPoolExecutor(decoders())

    def __call__(self, tasks: pa.Table) -> Iterator[pa.Table]:
        """The rows of the tasks' work, a table a batch."""
        for task in tasks[UNIT].to_pylist():
            work = work_rows(self.path, first=task * self.rows, count=self.rows)
            size = self.batch_size
            batches = (work.slice(first, size) for first in range(0, work.num_rows, size))
            for batch in batches_of(batches, encoder=self.encoder, pool=self.pool, now=self.now):
                yield _as_table(batch, self.encoder)


class _Connected:
    """A connection to Ray for the length of a block."""

    def __init__(self, ray: Any, cluster: RayCluster) -> None:
        self._ray, self._cluster, self._ours = ray, cluster, False

    def __enter__(self) -> None:
        if self._ray.is_initialized():
            return
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if self._cluster.address is None:
            processors = max(os.cpu_count() or 1, self._cluster.workers or 1) + SPARE
            options |= {
                "num_cpus": processors,
                "include_dashboard": False,
                "object_store_memory": OBJECT_STORE,
            }
        else:
            options["address"] = self._cluster.address
        try:
            self._ray.init(**options)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise JobError(
                f"Ray cannot be reached at {self._cluster.address or 'this machine'}: {error}"
            ) from error
        self._ours = True

    def __exit__(self, *_: object) -> None:
        if self._ours:
            self._ray.shutdown()


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise JobError(
            "the engine ray needs the extra of that name: pip install 'coldstart-home[ray]'"
        ) from error
    # It tells of every plan and of its own bars; what goes wrong comes as an error.
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return ray


def _as_table(batch: Batch, encoder: Encoder) -> pa.Table:
    """The batch's rows, then a row without a vector for each refusal."""
    schema = _schema(encoder)
    told = [
        {
            tables.ITEM_ID: refusal.item_id,
            ENCODER_HASH: encoder.hash,
            tables.SOURCE: refusal.source,
            VALUE: refusal.value,
            REASON: refusal.reason,
        }
        for refusal in batch.refused
    ]
    rows = pa.concat_tables(
        [batch.rows, pa.Table.from_pylist(told, schema=schema)], promote_options="default"
    ).cast(schema)
    seconds = pa.array([batch.seconds] + [None] * (rows.num_rows - 1), pa.float64())
    done = pa.array([batch.done_at] * rows.num_rows, pa.float64())
    for name, column in ((SECONDS, seconds), (DONE, done)):
        rows = rows.set_column(schema.get_field_index(name), schema.field(name), column)
    return rows


def _told(table: pa.Table) -> Batch:
    """What `_as_table` made of a batch."""
    refused = pc.is_valid(table[REASON])
    names = [name for name in table.schema.names if name not in _TOLD]
    return Batch(
        table.filter(pc.invert(refused)).select(names),
        [
            Refusal(row[tables.ITEM_ID], PHOTO_CHECK, row[VALUE], row[tables.SOURCE], row[REASON])
            for row in table.filter(refused)
            .select([tables.ITEM_ID, VALUE, tables.SOURCE, REASON])
            .to_pylist()
        ],
        pc.sum(table[SECONDS]).as_py() or 0.0,
        pc.min(table[DONE]).as_py(),
    )


def _schema(encoder: Encoder) -> pa.Schema:
    schema = EMBEDDING_TABLES[encoder.modality].schema
    for name, kind in _TOLD.items():
        schema = schema.append(pa.field(name, kind))
    return schema
