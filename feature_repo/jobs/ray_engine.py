"""Extraction on Ray Data: actors hold the encoder and do with the work what one process does.

The work file is the border: a task is a stretch of its rows, which an actor reads and encodes. Each
batch it writes beside the job's parts and tells its number; this process makes parts of them. What
is written is not encoded again: an actor that dies is started again by Ray and goes on with its
task behind the last batch, and a job that dies goes on behind the last of every actor. An actor
whose job has died ends before its next batch. All machines must see the state folder and the photos
at the same paths.
"""

import logging
import os
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from feature_repo.errors import JobError
from feature_repo.feature_tables import EMBEDDING
from feature_repo.jobs.batches import Batch, Given, batches_of
from feature_repo.jobs.kept_batches import KeptBatches
from feature_repo.jobs.pipeline import decoders
from feature_repo.jobs.worklist import Worklist, work_rows

BATCHES: Final = 8
"""Batches of a task."""
FINISHED: Final = 2
"""Tasks of a worker whose batches stay for a while: until Ray has heard that a task is over, it
would give the task to another actor if this one died."""
SPARE: Final = 2
"""Logical processors beside those of the actors: Ray Data's own tasks need some."""
OBJECT_STORE: Final = 128 << 20
"""Bytes of a local Ray's object store, through which only numbers of batches go."""
UNIT: Final = "id"
NUMBER: Final = "batch"


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
        tasks = -(-work.rows // (batch_size * BATCHES))
        resources = ray.cluster_resources()
        gpus = int(resources.get("GPU", 0))
        machines = sum(name.startswith("node:") for name in resources) - (
            "node:__internal_head__" in resources
        )
        workers = min(cluster.workers or gpus or max(1, machines), tasks)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.target_max_block_size = 1  # a batch is told as soon as it is done
        kept = KeptBatches(work.folder.parent, uuid4().hex)
        done = ray.data.range(tasks, override_num_blocks=tasks).map_batches(
            EncodingActor,
            fn_constructor_kwargs={
                "given": given,
                "path": str(work.path),
                "kept": kept,
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
        told = done.iter_batches(batch_size=None, batch_format="pyarrow")
        numbers = (number for table in told for number in table[NUMBER].to_pylist())
        count = -(-work.rows // batch_size)
        with kept.wanted():
            yield from _taken(numbers, kept, count=count, width=width, workers=workers)


def _taken(
    numbers: Iterator[int], kept: KeptBatches, *, count: int, width: int, workers: int
) -> Iterator[Batch]:
    """The batches of these numbers; their files go once the caller has had a task's whole."""
    had, finished = Counter[int](), deque[int]()
    for number in numbers:
        batch = kept.find(number)
        if batch is None:
            raise JobError(
                f"a worker says that it wrote {kept.path(number)}, which is not there: all "
                "machines must see the state folder at the same path"
            )
        _require_width(batch, width)
        yield batch  # the caller asks for the next one when it has written this one
        task = number // BATCHES
        had[task] += 1
        if had[task] == len(_of_task(task, count)):
            del had[task]
            finished.append(task)
        if len(finished) > FINISHED * workers:
            kept.forget(_of_task(finished.popleft(), count))
    for task in finished:
        kept.forget(_of_task(task, count))


def _of_task(task: int, count: int) -> range:
    """Numbers of the task's batches, of so many in all."""
    return range(task * BATCHES, min(count, (task + 1) * BATCHES))


def _require_width(batch: Batch, width: int) -> None:
    """Raise JobError where a worker's encoder is not this process's."""
    widths = pc.unique(pc.list_value_length(batch.rows[EMBEDDING])).to_pylist()
    if widths not in ([], [width]):
        raise JobError(
            f"a worker gave vectors of {widths} floats, and the encoder has {width} here: all "
            "machines must have the same version of it"
        )


class EncodingActor:
    """Holds the encoder on one machine; its tasks are stretches of the work."""

    def __init__(
        self,
        *,
        given: Given,
        path: str,
        kept: KeptBatches,
        batch_size: int,
        threads: int,
        now: datetime,
    ) -> None:
        import torch

        torch.set_num_threads(threads)
        self.encoder = given.load()
        self.path, self.kept, self.batch_size, self.now = Path(path), kept, batch_size, now
        self.pool = ThreadPoolExecutor(decoders())

    def __call__(self, tasks: pa.Table) -> Iterator[pa.Table]:
        """Write the batches of the tasks that are not there yet; the number of each as it is."""
        for task in tasks[UNIT].to_pylist():
            size = self.batch_size
            work = work_rows(self.path, first=task * size * BATCHES, count=size * BATCHES)
            stretches = {
                task * BATCHES + place: work.slice(place * size, size)
                for place in range(-(-work.num_rows // size))
            }
            # Of an actor that died at this task.
            there = {number for number in stretches if self.kept.path(number).exists()}
            fresh = batches_of(
                (stretch for number, stretch in stretches.items() if number not in there),
                encoder=self.encoder,
                pool=self.pool,
                now=self.now,
            )
            for number in stretches:
                if number not in there:
                    self.kept.require_wanted()
                    self.kept.keep(number, next(fresh))
                yield pa.table({NUMBER: [number]})


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
