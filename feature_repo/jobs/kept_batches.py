"""Batches that workers have encoded, kept as files until the job that asked has them as parts.

A worker writes a batch and tells its number, so neither its own death nor the job's loses more than
what it was at. The files lie among the job's parts and hold rows as these do: where a job died, the
next one takes them for parts. Their names differ from job to job, because the same number is other
work in the next. A lock, which the system takes from a process that dies, tells workers whether the
job still wants what they do.
"""

import fcntl
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

from feature_repo.errors import JobError
from feature_repo.jobs.batches import Batch
from feature_repo.jobs.contents import Refusal
from feature_repo.jobs.parts import STRINGS
from validation.whole_files import alone, replacing

_TOLD: Final = b"coldstart_batch"
"""Key of a file's metadata: what is known of the batch beside its rows."""


@dataclass(frozen=True, slots=True)
class KeptBatches:
    """The batches of one job, by their number in its work."""

    folder: Path
    """That of the job's parts."""
    job: str
    """Differs from every other job's."""

    def path(self, number: int) -> Path:
        """Where the batch is or would be; ends with a number, as a part's name does."""
        return self.folder / f"kept-{self.job}-{number:08d}.parquet"

    @property
    def _lock(self) -> Path:
        return self.folder / f".kept-{self.job}.lock"

    @contextmanager
    def wanted(self) -> Iterator[None]:
        """What the job does, in its own process, while its workers may work."""
        with alone(self._lock):
            yield

    def require_wanted(self) -> None:
        """Raise JobError where the job is no more, so that a worker does not go on in vain."""
        try:
            with self._lock.open("r") as handle:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        except FileNotFoundError:
            pass
        raise JobError(f"the job that asked for batches in {self.folder} has ended")

    def keep(self, number: int, batch: Batch) -> None:
        """Write the batch, whole or not at all."""
        told = {
            "refused": [asdict(one) for one in batch.refused],
            "seconds": batch.seconds,
            "done_at": batch.done_at,
        }
        rows = batch.rows.replace_schema_metadata({_TOLD: json.dumps(told).encode()})
        with replacing(self.path(number)) as partial:
            pq.write_table(rows, partial, compression="lz4", use_dictionary=STRINGS)

    def find(self, number: int) -> Batch | None:
        """The batch as it was encoded; None where it was not, or was forgotten."""
        path = self.path(number)
        if not path.exists():
            return None
        with pq.ParquetFile(path) as file:
            rows = file.read()
        told = json.loads(rows.schema.metadata[_TOLD])
        refused = [Refusal(**one) for one in told["refused"]]
        return Batch(rows.replace_schema_metadata(None), refused, told["seconds"], told["done_at"])

    def forget(self, numbers: Iterable[int]) -> None:
        """Remove batches of which the job has parts."""
        for number in numbers:
            self.path(number).unlink(missing_ok=True)
