"""JSON Lines that grow in a bounded space: a full file is numbered, the oldest one goes.

``NAME.jsonl`` is written; ``NAME.1.jsonl`` is older, and so on. Only the owner of the process may
read the files.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

from feature_repo.errors import JobError
from validation.whole_files import alone, remove_left_over, replacing

END_BYTES: Final = 4096
"""Of a file's end, where its last line is looked for first."""


def append(path: Path, told: Mapping[str, Any], *, file_bytes: int, files: int) -> None:
    """Add one object; the caller lets one thread at a time come here.

    Other processes that add or drop lines wait.

    Args:
        file_bytes: a file is full where the line would make it larger.
        files: so many numbered ones are kept.

    Raises OSError where the disk takes no more, or not all of it; the file is as it was then.
    """
    line = (json.dumps(told, ensure_ascii=False) + "\n").encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with changing(path):
        if path.exists() and path.stat().st_size + len(line) > file_bytes:
            _rotate(path, files=files)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            _write_whole(handle, line)
        finally:
            os.close(handle)


def _write_whole(handle: int, line: bytes) -> None:
    """Add all of a line or nothing: a disk that is nearly full takes a part without an error."""
    whole = _whole_bytes(handle)
    if whole < os.fstat(handle).st_size:
        os.ftruncate(handle, whole)
    try:
        while line:
            line = line[os.write(handle, line) :]
    except OSError:
        os.ftruncate(handle, whole)
        raise


def _whole_bytes(handle: int) -> int:
    """Where the last whole line ends: a writer that died may have torn one after it."""
    end = os.fstat(handle).st_size
    while end:
        first = max(0, end - END_BYTES)
        newline = os.pread(handle, end - first, first).rfind(b"\n")
        if newline >= 0:
            return first + newline + 1
        end = first
    return 0


def drop(path: Path, *, files: int, going: Callable[[dict[str, Any]], bool]) -> int:
    """Rewrite the files without the objects that go; returns how many went.

    Each file is replaced whole, and who adds lines waits for one file at most. The newest comes
    first: what is rotated meanwhile moves on to a number that is still to come. A line that cannot
    be read, as of a writer that died, goes too: nobody can say what it holds.
    """
    if not path.parent.is_dir():
        return 0
    gone = 0
    for number in range(files + 1):
        one = numbered(path, number)
        with changing(path):
            remove_left_over(one)
            if one.exists():
                gone += _dropped(one, going)
    return gone


def _dropped(path: Path, going: Callable[[dict[str, Any]], bool]) -> int:
    with path.open("rb") as lines:
        gone = sum(_goes(line, going) for line in lines)
    if not gone:
        return 0
    with replacing(path, durable=True) as partial, path.open("rb") as lines:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as to:
            to.writelines(line for line in lines if not _goes(line, going))
    return gone


def _goes(line: bytes, going: Callable[[dict[str, Any]], bool]) -> bool:
    try:
        told = json.loads(line)
    except ValueError:
        return True
    return not isinstance(told, dict) or going(told)


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """Be the only one that adds lines, drops them or numbers files."""
    with alone(path.with_name(f".{path.name}.lock")):
        yield


def read(path: Path, *, files: int, kind: str) -> Iterator[tuple[Path, int, dict[str, Any]]]:
    """File, line and object, oldest first; what follows the last newline is not written yet.

    Args:
        kind: what a line is, for the error.

    Raises JobError for a line that is no JSON object.
    """
    for one in kept(path, files=files):
        for count, told in read_file(one, kind=kind):
            yield one, count, told


def kept(path: Path, *, files: int) -> list[Path]:
    """The files that there are, oldest first."""
    named = (numbered(path, number) for number in range(files, -1, -1))
    return [one for one in named if one.exists()]


def read_file(path: Path, *, kind: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """As `read`, of one file: line and object."""
    with path.open("rb") as lines:
        for count, line in enumerate(whole_lines(lines), start=1):
            yield count, _parsed(line, path, count, kind)


def whole_lines(file: BinaryIO, *, start: int = 0) -> Iterator[bytes]:
    """The lines from a byte on; what follows the last newline is not written yet."""
    file.seek(start)
    for line in file:
        if not line.endswith(b"\n"):
            return
        yield line


def not_one(path: Path, number: int, kind: str, error: object) -> JobError:
    """What to raise for a line that cannot be read."""
    return JobError(f"{path}, line {number} is no {kind} ({error}); remove the file")


def _parsed(line: bytes, path: Path, number: int, kind: str) -> dict[str, Any]:
    try:
        told = json.loads(line)
    except ValueError as error:
        raise not_one(path, number, kind, error) from error
    if not isinstance(told, dict):
        raise not_one(path, number, kind, "not an object")
    return told


def _rotate(path: Path, *, files: int) -> None:
    for number in range(files - 1, 0, -1):
        older = numbered(path, number)
        if older.exists():
            if number == files - 1:
                older.unlink()
            else:
                os.replace(older, numbered(path, number + 1))
    os.replace(path, numbered(path, 1))


def numbered(path: Path, number: int) -> Path:
    """The file itself, or the one that was full so many files ago."""
    return path if number == 0 else path.with_name(f"{path.stem}.{number}{path.suffix}")
