"""Files that a reader finds whole, the old one or the new one, whenever the writer dies.

A rename outlives the process at once, but the machine only when it was flushed: before anything
else that holds the same rows is removed, flush the file, rename it and flush its folder.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to; the file takes the place of `path` if the block ends well.

    Where `path` is a link, of what it points to: the link stays.
    """
    path = path.resolve() if path.is_symlink() else path
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Have a file's content, or a folder's names, on the disk and not only in memory."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
