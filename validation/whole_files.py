"""Files that a reader finds whole, the old one or the new one, whenever the writer dies; locks.

A rename outlives the process at once, but the machine only when it was flushed: without that a
crash of the machine may leave an empty file. What is acknowledged to somebody is replaced
`durable`; what the next run of a command makes again need not be.
"""

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Numbers of the errors by which a disk says that it takes no more."""


@contextmanager
def replacing(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """A path to write to; the file takes the place of `path` if the block ends well.

    Where `path` is a link, of what it points to: the link stays.

    Args:
        durable: the file is on the disk when the block ends, whatever happens to the machine.
    """
    path = path.resolve() if path.is_symlink() else path
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        if durable:
            flush(partial)
        os.replace(partial, path)
        if durable:
            flush(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def remove_left_over(path: Path) -> int:
    """Remove what writers that were killed left beside the file; returns how many.

    Hold the lock of those who write it.
    """
    path = path.resolve() if path.is_symlink() else path
    left = list(path.parent.glob(f".{path.name}.*.partial"))
    for one in left:
        one.unlink(missing_ok=True)
    return len(left)


def identity_of(path: Path | int) -> str:
    """What a file is known by until it is written again; empty where there is none.

    Of an open one, by its handle: of itself, whatever its name means by now.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return ""
    return f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"


def file_hash(path: Path) -> str:
    """sha256 of a file's bytes."""
    with open(path, "rb", buffering=0) as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def flush(path: Path) -> None:
    """Have a file's content, or a folder's names, on the disk and not only in memory."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def alone(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Be the only one in here, of all threads and processes that name the same path.

    The lock goes with its process.

    Args:
        path: a folder that is there, or a file, which is made and stays.
        wait: until nobody else is in here.

    Raises:
        BlockingIOError: somebody is, and this one does not wait.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        fcntl.flock(lock, fcntl.LOCK_UN)  # a process forked meanwhile has it open too
        os.close(lock)
