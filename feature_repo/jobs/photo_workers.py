"""Processes that read and decode photos into memory that they share with this one.

Threads of one interpreter take turns at whatever is not decoding itself; processes do not. Each has
a thread here that hands it some photos at a time and waits. The memory is a ring of batches, so it
does not grow, and what lies in it is staged without a copy. A process that dies is started again,
and what it was at is read again; a photo at which it dies by itself, twice, is one that cannot be
read.
"""

import mmap
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from feature_repo.encoders.photo_reading import PhotoReading
from feature_repo.errors import JobError
from feature_repo.jobs.photo_process import READY, Order, over

TOGETHER: Final = 32
"""Photos that a process is handed at a time, at most."""
WARM: Final = ("torch", "torchvision.io", "feature_repo.encoders.images")
"""Modules of which photos are read, and which take seconds to import."""
TWICE: Final = 2
"""Times that photos are read again of which a process died."""
DEATHS: Final = 3
"""Times that whoever kills a process is asked to stop, by the job's end."""
BY_PHOTO: Final = frozenset(
    {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL}
)
"""Signals of which a process dies by what it reads, and nobody else's doing."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Room for a batch in the memory."""

    first: int
    """Place of its first photo."""
    photos: npt.NDArray[Any]
    """(batch, …)"""


class PhotoWorkers:
    """So many processes, while a block lasts; they start at once, and wait to be told."""

    def __init__(self, *, count: int, warm: Sequence[str] = WARM) -> None:
        """`warm` are the modules that they import while they wait."""
        self.count, self._warm = count, warm
        self._descriptor = _memory()
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="photos")
        self._idle = SimpleQueue[_Process]()
        self._started = [_Process(self._descriptor, warm) for _ in range(count)]
        self._free = deque[Slot]()
        self._order: Order | None = None
        self._together = TOGETHER

    def tell(self, reading: PhotoReading, *, batch: int, slots: int) -> None:
        """Say how photos are to be read. Once.

        Args:
            batch: photos that a slot holds.
            slots: batches that are in memory at once.
        """
        probe = reading.prepare(Image.new("RGB", (64, 64), "white"))
        self._order = Order(reading, probe.shape, probe.dtype.str, batch * slots)
        self._together = max(1, min(TOGETHER, -(-batch // (2 * self.count))))
        os.truncate(self._descriptor, batch * slots * probe.nbytes)
        photos = over(mmap.mmap(self._descriptor, 0), self._order)
        self._free.extend(
            Slot(first, photos[first : first + batch]) for first in range(0, batch * slots, batch)
        )
        for process in self._started:
            process.tell(self._order)
            self._idle.put(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._threads.shutdown(cancel_futures=True)
        for process in self._started:
            process.end()
        os.close(self._descriptor)

    @property
    def processes(self) -> list[int]:
        """Ids of those that run."""
        return [one.id for one in self._started if one.runs]

    def take(self) -> Slot:
        """Room for a batch, until it is given back. Raises IndexError where all are taken."""
        return self._free.popleft()

    def give_back(self, slot: Slot) -> None:
        """What lies there is not needed any more."""
        self._free.append(slot)

    def begin(self, paths: Sequence[str], slot: Slot) -> "list[Future[list[str | None]]]":
        """Read photos into a slot, in their order; why there is none, where one cannot be read."""
        size = self._together
        return [
            self._threads.submit(self._read, slot.first + at, list(paths[at : at + size]))
            for at in range(0, len(paths), size)
        ]

    def _read(self, first: int, paths: list[str]) -> list[str | None]:
        killed, crashed = 0, 0
        while True:
            found = self._asked(first, paths)
            if not isinstance(found, int):
                return found
            if -found not in BY_PHOTO:
                killed += 1
                if killed == DEATHS:
                    raise JobError(
                        f"a process that reads photos ended {DEATHS} times at {paths[0]} and the "
                        f"{len(paths) - 1} after it, the last time {_how(found)}; if memory is "
                        "short, give fewer --decoders or a smaller --batch-size. What was encoded "
                        "is kept: run it again"
                    )
                continue
            crashed += 1
            if crashed == TWICE:
                break
        if len(paths) == 1:
            return [f"{paths[0]} cannot be decoded: the process that read it ended {_how(found)}"]
        return [self._read(first + at, [path])[0] for at, path in enumerate(paths)]

    def _asked(self, first: int, paths: list[str]) -> list[str | None] | int:
        """What a process says; or, where it died, its exit status, as `Popen` gives it."""
        process = self._idle.get()
        try:
            found = process.ask(first, paths)
            if isinstance(found, int):
                process.end()
                process = _Process(self._descriptor, self._warm)
                if self._order is not None:
                    process.tell(self._order)
                self._started.append(process)
            return found
        finally:
            self._idle.put(process)


class _Process:
    """One of them, and the line to it."""

    def __init__(self, memory: int, warm: Sequence[str]) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._popen = subprocess.Popen(
                [
                    *(sys.executable, "-m", "feature_repo.jobs.photo_process"),
                    *(str(theirs.fileno()), str(memory), *warm),
                ],
                pass_fds=(theirs.fileno(), memory),
                env={**os.environ, "PYTHONPATH": os.pathsep.join(_import_path())}
                | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
                start_new_session=True,  # an interrupt is for this process alone
            )
        self._connection = Connection(ours.detach())
        self._ready = False

    def tell(self, order: Order) -> None:
        """How photos are to be read; one that has died says so when it is asked."""
        with suppress(OSError):
            self._connection.send(order)

    @property
    def id(self) -> int:
        return self._popen.pid

    @property
    def runs(self) -> bool:
        return self._popen.poll() is None

    def ask(self, first: int, paths: list[str]) -> list[str | None] | int:
        """What it says of the photos; its exit status where it died.

        Raises JobError where it cannot begin, or says that something else than a photo is wrong.
        """
        try:
            if not self._ready:
                self._ready = self._connection.recv() == READY
            self._connection.send((first, paths))
            answer: list[str | None] | str = self._connection.recv()
        except (EOFError, OSError):
            status = self._popen.wait()
            if not self._ready and (status >= 0 or -status in BY_PHOTO):
                raise JobError(
                    f"a process that is to read photos ended {_how(status)} before it could; what "
                    "it said stands above"
                ) from None
            return status
        if isinstance(answer, str):
            raise JobError(f"photos could not be read: {answer}")
        return answer

    def end(self) -> None:
        """Stop it, whatever it is at: nobody waits for it any more."""
        self._connection.close()
        self._popen.kill()
        self._popen.wait()


def _memory() -> int:
    """Descriptor of memory that is in no folder: it goes when nobody has it any more."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("coldstart-photos")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _import_path() -> list[str]:
    """Where this process finds its modules, for one that begins in the same folder."""
    return [path or os.getcwd() for path in sys.path]


def _how(status: int) -> str:
    return f"by {signal.Signals(-status).name}" if status < 0 else f"with exit code {status}"


def as_prepared(photos: npt.NDArray[Any], reasons: Sequence[str | None]) -> npt.NDArray[Any]:
    """(N, …) the photos that could be read: a view of all, where all could."""
    if not any(reasons):
        return photos
    there = np.array([reason is None for reason in reasons])
    found: npt.NDArray[Any] = photos[there]
    return found
