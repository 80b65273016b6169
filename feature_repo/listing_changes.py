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
PART: Final = 500
"""Ids of a line, at most."""


def record(home: Home, item_ids: Collection[str]) -> None:
    """Say that these listings changed, after catalogue and online store hold the change."""
    if not item_ids:
        return
    path, ids = home.listing_changes, sorted(item_ids)
    with alone(path.with_name(".listing_changes.lock")):
        number = _last_number(path)
        if path.exists() and path.stat().st_size > FILE_BYTES:
            path.replace(_older(path))
        lines = []
        for first in range(0, len(ids), PART):
            number += 1
            lines.append(json.dumps({"number": number, "item_ids": ids[first : first + PART]}))
        torn = path.exists() and not path.read_bytes().endswith(b"\n")
        with path.open("a", encoding="utf-8") as file:  # a writer that died may have torn a line
            file.write("\n" * torn + "".join(line + "\n" for line in lines))


class ListingChanges:
    """Where one reader is in the changes of a state folder; it begins at their end."""

    def __init__(self, home: Home) -> None:
        self._path = home.listing_changes
        self._seen = identity_of(self._path)
        self._number = _last_number(self._path)

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


def _last_number(path: Path) -> int:
    return max((number for number, _ in [*_read(_older(path)), *_read(path)]), default=0)


def _read(path: Path) -> list[tuple[int, Sequence[str]]]:
    """Number and ids of each line that is whole."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    whole = text[: text.rfind("\n") + 1]
    found = []
    for line in whole.splitlines():
        try:
            told = json.loads(line)
        except ValueError:  # torn
            continue
        found.append((int(told["number"]), told["item_ids"]))
    return found


def _older(path: Path) -> Path:
    return path.with_name(f"{path.stem}.1{path.suffix}")
