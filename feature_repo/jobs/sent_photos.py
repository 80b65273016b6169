"""Photos that were sent with listings: on the disk for as long as the catalogue names them.

A file is named by its content, so listings that were sent with the same photo share one. Whoever
takes a listing in holds its file (a shared lock) until the catalogue names it or never will.
Whoever removes one reads the catalogue under its lock, and takes the file's lock alone: what is
held is left to the holder, who looks when the request ends. Locks go with their process; what a
killed one left goes with the next start (`sweep`).
"""

import fcntl
import logging
import os
import re
import threading
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from feature_repo.errors import FeatureError
from feature_repo.home import Home
from feature_repo.jobs.transaction import locked
from validation import tables
from validation.whole_files import replacing

log = logging.getLogger(__name__)

ORPHANED_SECONDS: Final = 3600.0
"""After which a file that no listing names goes with the next start."""
NAME: Final = re.compile(r"[0-9a-f]{64}\.[a-z]+|\.[0-9a-f]{64}\.[a-z]+\.\d+\.partial")
_writing = threading.Lock()


class SentPhotos:
    """The files of one request, held until it ends; then those go that no listing names."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._held: dict[Path, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def keep(self, content: bytes, name: str) -> Path:
        """The file of this content, held; written where it is not there yet.

        Args:
            name: of the file: the content's SHA-256 in hexadecimal digits, and a suffix.
        """
        path = self._home.sent_photos / name
        while not self.hold(path):
            with _writing, replacing(path, durable=True) as partial:
                partial.write_bytes(content)
        return path

    def hold(self, path: Path) -> bool:
        """Hold a file; False where it is none of those that were sent, or is not there."""
        if path in self._held:
            return True
        ours = path.parent.resolve() == self._home.sent_photos.resolve()
        if not ours or not NAME.fullmatch(path.name):
            return False
        handle = _locked(path, fcntl.LOCK_SH)
        if handle is None:
            return False
        self._held[path] = handle
        return True

    def close(self) -> None:
        """Hold the files no more. What cannot be removed now goes with the next start."""
        held, self._held = self._held, {}
        for handle in held.values():
            _let_go(handle)
        if not held:
            return
        try:
            with locked(self._home.items.parent, wait=True):
                remove_unnamed(held, home=self._home)
        except (OSError, FeatureError, pa.ArrowException) as error:
            log.warning("photos that no listing names stay until the next start: %s", error)


def remove_unnamed(paths: Iterable[Path | str | None], *, home: Home) -> int:
    """Remove those of the files that were sent, are held by nobody, and that no listing names.

    Hold the catalogue's lock. Returns how many went.
    """
    sent = {
        home.sent_photos / Path(path).name
        for path in paths
        if isinstance(path, Path | str)
        and Path(path).parent.name == home.sent_photos.name
        and NAME.fullmatch(Path(path).name)
    }
    left = [path for path in sent if path.exists()]
    if not left:
        return 0
    named, removed = _named(home), 0
    for path in left:
        if path.name in named:
            continue
        handle = _locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if handle is not None:
            path.unlink(missing_ok=True)
            _let_go(handle)
            removed += 1
    return removed


def sweep(home: Home, *, now: float) -> int:
    """Remove the files of `remove_unnamed` that are older than an hour; returns how many.

    Args:
        now: seconds since the epoch.
    """
    if not home.sent_photos.is_dir():
        return 0
    old = []
    with os.scandir(home.sent_photos) as found:
        for one in found:
            try:
                if now - one.stat().st_mtime > ORPHANED_SECONDS:
                    old.append(Path(one.path))
            except FileNotFoundError:  # another process was faster
                continue
    if not old:
        return 0
    with locked(home.items.parent, wait=True):
        return remove_unnamed(old, home=home)


def _named(home: Home) -> frozenset[str]:
    """Names of the files of the folder that listings name, wherever the folder lay then."""
    if not home.items.exists():
        return frozenset()
    paths = pq.read_table(home.items, columns=[tables.IMAGE_PATH])[tables.IMAGE_PATH]
    ours = paths.filter(pc.match_substring(paths, f"/{home.sent_photos.name}/"))
    return frozenset(Path(path).name for path in ours.to_pylist())


def _locked(path: Path, how: int) -> int | None:
    """The file with a lock; None where it is not there, or somebody else's lock forbids."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, how)
        if path.stat().st_ino == os.fstat(handle).st_ino:
            return handle
    except (BlockingIOError, FileNotFoundError):  # held, or removed before it was locked
        pass
    except BaseException:
        os.close(handle)
        raise
    _let_go(handle)
    return None


def _let_go(handle: int) -> None:
    fcntl.flock(handle, fcntl.LOCK_UN)  # a process forked meanwhile has it open too
    os.close(handle)
