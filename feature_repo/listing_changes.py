"""Which listings changed, in order, so that every process that serves them can take it up.

One JSON object a line, with a number that grows by one: ``{"number": 7, "item_ids": ["lamp-9"]}``.
It says that something of these listings is another one now, not what: a reader looks at the
catalogue and the online store as they are, so that reading a line twice, or late, does no harm. A
full file becomes ``….1.jsonl``; a reader who was away for longer starts from everything.
"""

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from feature_repo.event_log import identity_of
from feature_repo.home import Home
from validation.whole_files import alone

FILE_BYTES: Final = 512 * 1024
"""A file is full above it; a worker reads it again whenever it grew."""
END_BYTES: Final = 4096
"""Of a file's end, where its last number is looked for first."""
PART: Final = 500
"""Ids of a line, at most."""


def record(home: Home, item_ids: Collection[str]) -> None:
    """Say that these listings changed, after catalogue and online store hold the change."""
    if not item_ids:
        return
    path, ids = home.listing_changes, sorted(item_ids)
    with alone(path.with_name(".listing_changes.lock")):
        number, whole = _end(path)
        if path.exists() and path.stat().st_size > FILE_BYTES:
            path.replace(_older(path))
            whole = True
        lines = []
        for first in range(0, len(ids), PART):
            number += 1
            lines.append(json.dumps({"number": number, "item_ids": ids[first : first + PART]}))
        with path.open("a", encoding="utf-8") as file:  # a writer that died may have torn a line
            file.write("\n" * (not whole) + "".join(line + "\n" for line in lines))


class ListingChanges:
    """Where one reader is in the changes of a state folder; it begins at their end."""

    def __init__(self, home: Home) -> None:
        self._path = home.listing_changes
        self._seen = identity_of(self._path)
        self._number = _end(self._path)[0]

    def ids(self) -> list[str] | None:
        """Listings that changed since the last call; None where too much did to say which."""
        identity = identity_of(self._path)
        if identity == self._seen:
            return []
        changes = [*_read(_older(self._path)), *_read(self._path)]
        later = [one for one in changes if one[0] > self._number]
        missed = bool(later) and later[0][0] > self._number + 1
        if later:
            self._number = later[-1][0]
        self._seen = identity
        return None if missed else sorted({item_id for _, ids in later for item_id in ids})


def _end(path: Path) -> tuple[int, bool]:
    """The last number, of the end of the file alone; and whether the last line is whole."""
    whole = True
    for one in (path, _older(path)):
        try:
            size = one.stat().st_size
        except FileNotFoundError:
            continue
        read = 0
        while read < size:
            read = min(size, 2 * read or END_BYTES)
            with one.open("rb") as file:
                file.seek(size - read)
                end = file.read(read)
            if one == path:
                whole = end.endswith(b"\n")
            numbers = [number for number, _ in _told(end)]
            if numbers:
                return numbers[-1], whole
    return 0, whole


def _read(path: Path) -> list[tuple[int, Sequence[str]]]:
    """Number and ids of each line that is whole."""
    try:
        return _told(path.read_bytes())
    except FileNotFoundError:
        return []


def _told(content: bytes) -> list[tuple[int, Sequence[str]]]:
    """The same of a file's end, which may begin within a line."""
    found = []
    for line in content[: content.rfind(b"\n") + 1].splitlines():
        try:
            told = json.loads(line)
        except ValueError:  # torn
            continue
        if isinstance(told, dict):
            found.append((int(told["number"]), told["item_ids"]))
    return found


def _older(path: Path) -> Path:
    return path.with_name(f"{path.stem}.1{path.suffix}")
