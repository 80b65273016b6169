"""What a long batch adds up to waits on disk, in files without a name."""

import os
import pickle
from collections.abc import Iterator
from tempfile import TemporaryFile
from typing import IO, Any, Final, Generic, TypeVar
from weakref import finalize

import numpy as np
import numpy.typing as npt

SPILLED: Final = 1_000_000
"""Bytes of numbers that stay in memory."""
FEW: Final = 20_000
"""Stretches up to which each is read by itself."""

Chunk = TypeVar("Chunk")


class Spool(Generic[Chunk]):
    """Chunks in the order in which they were added, in the memory of one, whatever their number.

    One alone stays in memory; of more each is on disk until it is asked for.
    """

    def __init__(self) -> None:
        self._only: Chunk | None = None
        self._starts: list[int] = []
        self._file: IO[bytes] | None = None

    def __len__(self) -> int:
        return len(self._starts) + (self._only is not None)

    def add(self, chunk: Chunk) -> None:
        """Add one at the end."""
        if not len(self):
            self._only = chunk
            return
        if self._only is not None:
            self._write(self._only)
            self._only = None
        self._write(chunk)

    def __iter__(self) -> Iterator[Chunk]:
        if self._only is not None:
            yield self._only
        for start in self._starts:
            yield self._read(start)

    def _write(self, chunk: Chunk) -> None:
        if self._file is None:
            self._file = _file_of(self)
        self._starts.append(self._file.seek(0, os.SEEK_END))
        pickle.dump(chunk, self._file, protocol=pickle.HIGHEST_PROTOCOL)

    def _read(self, start: int) -> Chunk:
        assert self._file is not None
        self._file.seek(start)
        chunk: Chunk = pickle.load(self._file)
        return chunk


class Numbers:
    """Arrays of one type, one after the other, on disk where they are many.

    They are read and not mapped: a page of a mapped file that was looked at stays in memory.
    """

    def __init__(self, *parts: npt.NDArray[Any]) -> None:
        self._parts: list[npt.NDArray[Any]] = []
        self._bytes = 0
        self._file: IO[bytes] | None = None
        for part in parts:
            self.add(part)

    def add(self, numbers: npt.NDArray[Any]) -> None:
        """Add some (N,) at the end."""
        self._parts.append(numbers)
        self._bytes += numbers.nbytes
        if self._bytes > SPILLED:
            self._spill()

    def all(self) -> npt.NDArray[Any]:
        """All numbers, at least one part of which was added."""
        if self._file is None:
            return self._parts[0] if len(self._parts) == 1 else np.concatenate(self._parts)
        self._spill()
        self._file.seek(0)
        return np.fromfile(self._file, dtype=self._parts[0].dtype)

    def at(self, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """The numbers of N stretches that start and are as long as given, one after the other."""
        if self._file is None or len(starts) > FEW:
            return self.all()[_places(starts, lengths)]
        self._spill()
        kind, number = self._parts[0].dtype, self._file.fileno()
        read = [
            os.pread(number, length * kind.itemsize, start * kind.itemsize)
            for start, length in zip(starts.tolist(), lengths.tolist(), strict=True)
        ]
        return np.frombuffer(b"".join(read), dtype=kind)

    def _spill(self) -> None:
        if self._file is None:
            self._file = _file_of(self)
        self._file.seek(0, os.SEEK_END)
        for part in self._parts:
            self._file.write(part.tobytes())
        self._file.flush()
        self._parts, self._bytes = [self._parts[0][:0]], 0


def _file_of(owner: object) -> IO[bytes]:
    """A file that is closed, and so gone, with its owner."""
    file = TemporaryFile(prefix="coldstart-")  # noqa: SIM115
    finalize(owner, file.close)
    return file


def _places(starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Every place of the stretches."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + lengths, lengths)
