"""A disk that takes so many writes under a folder, and half of the next one."""

import errno
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest


class FillingDisk:
    """Takes so many writes under a folder, and no more while it is full."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._left: int | None = None
        self.refused: list[str] = []
        opened, close = io.open, pq.ParquetWriter.close

        def close_half(writer: Any) -> None:
            ends = writer.is_open and isinstance(writer.where, str | os.PathLike)
            close(writer)
            if ends:
                self._halved(writer.where)

        def open_to_write(file: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
            if set(mode) & {"w", "a", "x", "+"}:
                self.written(file)
            return opened(file, mode, *rest, **named)

        monkeypatch.setattr(pq.ParquetWriter, "close", close_half)
        monkeypatch.setattr(io, "open", open_to_write)

    @contextmanager
    def room_for(self, writes: int) -> Iterator[None]:
        self._left, self.refused = writes, []
        try:
            yield
        finally:
            self._left = None

    def written(self, path: Any) -> None:
        """Raise as a full disk does, if it is one by now."""
        if self._left is None or not Path(path).is_relative_to(self._folder):
            return
        if self._left == 0:
            self.refused.append(str(Path(path).relative_to(self._folder)))
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        self._left -= 1

    def _halved(self, path: Any) -> None:
        try:
            self.written(path)
        except OSError:
            os.truncate(path, Path(path).stat().st_size // 2)
            raise
