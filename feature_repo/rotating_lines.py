"""JSON Lines that grow in a bounded space: a full file is numbered, the oldest one goes.

``NAME.jsonl`` is written; ``NAME.1.jsonl`` is older, and so on. Only the owner of the process may
read the files.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO, Final

from feature_repo.errors import JobError
from validation.whole_files import alone, remove_left_over, replacing

END_BYTES: Final = 4096
"""Of a file's end, where its last line is looked for first."""
BEGINS: Final = 64
"""Bytes by which a file is known, beside its number."""
Known = tuple[int, bytes]
"""What an open file is known by."""


def append(
    path: Path,
    told: Mapping[str, Any],
    *,
    file_bytes: int,
    files: int,
    losing: Callable[[Path], None] | None = None,
) -> None:
    """Add one object; the caller lets one thread at a time come here.

    Other processes that add or drop lines wait.

    Args:
        file_bytes: a file is full where the line would make it larger.
        files: so many are kept, at least two; the one that is written is one of them.
        losing: told the oldest file before it goes.

    Raises OSError where the disk takes no more, or not all of it; the file is as it was then.
    """
    line = (json.dumps(told, ensure_ascii=False) + "\n").encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with changing(path):
        if path.exists() and path.stat().st_size + len(line) > file_bytes:
            _rotate(path, files=files, losing=losing)
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
    for number in range(files):
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

    All files are as they were at the first line, however many are added meanwhile.

    Args:
        kind: what a line is, for the error.

    Raises JobError for a line that is no JSON object.
    """
    with opened(path, files=files) as found:
        for file in found:
            one = Path(file.name)
            for count, line in enumerate(whole_lines(file), start=1):
                yield one, count, _parsed(line, one, count, kind)


def kept(path: Path, *, files: int) -> list[Path]:
    """The files that there are, oldest first."""
    named = (numbered(path, number) for number in range(files - 1, -1, -1))
    return [one for one in named if one.exists()]


@contextmanager
def opened(path: Path, *, files: int) -> Iterator[list[BinaryIO]]:
    """The files that there are, oldest first: open, they stay what they are, whatever becomes of
    the names. Who adds lines waits until they are open, not until they are read.
    """
    with ExitStack() as stack:
        with changing(path) if path.parent.is_dir() else nullcontext():
            found = list[BinaryIO]()
            found += [stack.enter_context(one.open("rb")) for one in kept(path, files=files)]
        yield found


def known_by(file: BinaryIO) -> Known:
    """Of an open file: its number, which a file that takes its place may get, and how it begins."""
    return os.fstat(file.fileno()).st_ino, os.pread(file.fileno(), BEGINS, 0)


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


def _rotate(path: Path, *, files: int, losing: Callable[[Path], None] | None) -> None:
    """Number the files anew; the oldest goes where there are as many as are kept."""
    oldest = numbered(path, files - 1)
    if oldest.exists():
        if losing is not None:
            losing(oldest)
        oldest.unlink()
    for number in range(files - 2, -1, -1):
        newer = numbered(path, number)
        if newer.exists():
            os.replace(newer, numbered(path, number + 1))


def numbered(path: Path, number: int) -> Path:
    """The file itself, or the one that was full so many files ago."""
    return path if number == 0 else path.with_name(f"{path.stem}.{number}{path.suffix}")
