"""Several files replaced as one: a reader finds all of the old state or all of the new.

The new files are written beside the old ones first. Then a journal is put in place in one
step, which is the moment the change counts; then the files are renamed. A process killed
before the journal leaves the old state; one killed after it leaves a journal that
:func:`recover` finishes. A machine that loses its power leaves no other state: each step is on
the disk before the next one.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from feature_repo.errors import JobError
from validation.whole_files import alone, flush

JOURNAL: Final = ".pending.json"
LOCK: Final = ".lock"


@contextmanager
def locked(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold the folder for one change at a time, and finish what a killed one left.

    Args:
        wait: until the other change is done, as a service does; a command says no at once.

    Raises:
        JobError: another process is changing it and this one does not wait. The lock goes
            with its process.
    """
    with ExitStack() as held:
        try:
            held.enter_context(alone(folder / LOCK, wait=wait))
        except BlockingIOError as error:
            raise JobError(
                f"another process is changing {folder}; wait until it is done and try again"
            ) from error
        recover(folder)
        yield


@dataclass(frozen=True, slots=True)
class Change:
    """Files that are to be replaced or removed as one."""

    files: dict[Path, bool] = field(default_factory=dict)
    """Path → whether it is written; else it is removed."""

    def content_of(self, path: Path) -> Path:
        """Where to write what becomes the content of a file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.files[path] = True
        return partial_path(path)

    def remove(self, path: Path) -> None:
        """Have a file gone, if it is there."""
        self.files[path] = False


@contextmanager
def together(folder: Path) -> Iterator[Change]:
    """Files that take their places together when the block ends well, and else leave nothing.

    Where the disk takes no more of one, or the block raises, the state is as it was; a change that
    counts already is left to :func:`recover`. Hold the folder's lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    change = Change()
    try:
        yield change
        commit(folder, change.files)
    except BaseException:
        if not (folder / JOURNAL).exists():
            for path in (*change.files, folder / JOURNAL):
                partial_path(path).unlink(missing_ok=True)
        raise


def partial_path(path: Path) -> Path:
    """Where the next content of `path` is written before it counts."""
    return path.with_name(f".{path.name}.partial")


def commit(folder: Path, changes: Mapping[Path, bool]) -> None:
    """Put every changed file in place.

    Args:
        folder: holds the journal; the files are in it or in others beside it.
        changes: path → True to take its :func:`partial_path` as its content, False to
            remove it.
    """
    journal = folder / JOURNAL
    names = {os.path.relpath(path, folder): written for path, written in changes.items()}
    partial = partial_path(journal)
    partial.write_text(json.dumps(names), encoding="utf-8")
    contents = [partial_path(path) for path, written in changes.items() if written]
    others = sorted({path.parent for path in contents} - {folder})
    for path in (*contents, *others, partial):
        flush(path)
    os.replace(partial, journal)
    flush(folder)
    recover(folder)


def recover(folder: Path) -> bool:
    """Finish a change whose journal is in place. True if there was one."""
    journal = folder / JOURNAL
    if not journal.exists():
        return False
    folders = {folder}
    for name, written in json.loads(journal.read_text(encoding="utf-8")).items():
        path = Path(os.path.normpath(folder / name))
        if not written:
            path.unlink(missing_ok=True)
        elif partial_path(path).exists():
            os.replace(partial_path(path), path)
            folders.add(path.parent)
    for one in sorted(folders):
        flush(one)
    journal.unlink()
    return True
