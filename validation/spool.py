"""What a long batch adds up to waits on disk, in files without a name."""

import pickle
from collections.abc import Iterator
from tempfile import TemporaryFile
from typing import IO, Any, Final, Generic, TypeVar
from weakref import finalize

import numpy as np
import numpy.typing as npt

SPILLED: Final = 1_000_000
"""Bytes of numbers that stay in memory."""

Chunk = TypeVar("Chunk")


class Spool(Generic[Chunk]):
    """Chunks in the order in which they were added, whatever their number, in the memory of two.

    The first stays in memory.
    """

    def __init__(self) -> None:
        self._first: Chunk | None = None
        self._count = 0
        self._file: IO[bytes] | None = None

    def __len__(self) -> int:
        return self._count

    def add(self, chunk: Chunk) -> None:
        """Add one at the end."""
        if self._count == 0:
            self._first = chunk
        else:
            if self._file is None:
                self._file = _file_of(self)
            self._file.seek(0, 2)
            pickle.dump(chunk, self._file, protocol=pickle.HIGHEST_PROTOCOL)
        self._count += 1

    def __iter__(self) -> Iterator[Chunk]:
        if self._first is not None:
            yield self._first
        place = 0
        for _ in range(1, self._count):
            assert self._file is not None
            self._file.seek(place)
            chunk: Chunk = pickle.load(self._file)
            place = self._file.tell()
            yield chunk


class Numbers:
    """Arrays of one type, one after the other, on disk where they are many."""

    def __init__(self) -> None:
        self._parts: list[npt.NDArray[Any]] = []
        self._bytes = 0
        self._file: IO[bytes] | None = None

    def add(self, numbers: npt.NDArray[Any]) -> None:
        """Add some (N,) at the end."""
        self._parts.append(numbers)
        self._bytes += numbers.nbytes
        if self._bytes > SPILLED:
            self._spill()

    def all(self) -> npt.NDArray[Any]:
        """All numbers, at least one part of which was added."""
        if self._file is None:
            return np.concatenate(self._parts)
        self._spill()
        return np.memmap(self._file, dtype=self._parts[0].dtype, mode="r")

    def _spill(self) -> None:
        if self._file is None:
            self._file = _file_of(self)
        self._file.seek(0, 2)
        for part in self._parts:
            self._file.write(part.tobytes())
        self._file.flush()
        self._parts, self._bytes = [self._parts[0][:0]], 0


def _file_of(owner: object) -> IO[bytes]:
    """A file that is closed, and so gone, with its owner."""
    file = TemporaryFile(prefix="coldstart-")  # noqa: SIM115
    finalize(owner, file.close)
    return file
