"""The chunks of a batch, read twice: the first stays in memory, later ones wait on disk."""

import pickle
from collections.abc import Iterator
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, Generic, Self, TypeVar

Chunk = TypeVar("Chunk")


class Spool(Generic[Chunk]):
    """Chunks in the order in which they were added, whatever their number, in the memory of two.

    What lies on disk is a file without a name: it goes when the spool is closed or the process
    ends.
    """

    def __init__(self) -> None:
        self._first: Chunk | None = None
        self._count = 0
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def __len__(self) -> int:
        return self._count

    def add(self, chunk: Chunk) -> None:
        """Add one at the end."""
        if self._count == 0:
            self._first = chunk
        else:
            if self._file is None:
                self._file = TemporaryFile(prefix="coldstart-")  # noqa: SIM115 - closed on exit
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
