"""Which listings changed, in order, so that every process that serves them can take it up.

One JSON object a line, with a number that grows by one: ``{"number": 7, "item_ids": ["lamp-9"],
"at": 1767225600000000, "kind": "changed"}``. It says that something of these listings is another
one now, not what: a reader looks at the catalogue and the online store as they are, so that reading
a line twice, or late, does no harm. What a full disk does not take is said later. A full file
becomes ``….1.jsonl``; a reader who was away for longer starts from everything.
"""

import json
import logging
import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from feature_repo.home import Home
from validation.whole_files import FULL, alone, identity_of

log = logging.getLogger(__name__)

FILE_BYTES: Final = 512 * 1024
"""A file is full above it; a worker reads it again whenever it grew."""
END_BYTES: Final = 4096
"""Of a file's end, where its last number is looked for first."""
PART: Final = 500
"""Ids of a line, at most."""


class Kind(StrEnum):
    """What became another one; other state folders are told of it, but where they told of it."""

    CHANGED = "changed"
    """What the catalogue says: they came, were updated or went."""
    LEARNED = "learned"
    """What they learned from customers alone."""
    HEARD = "heard"
    """Something, in another state folder first."""


@dataclass(frozen=True, slots=True)
class Change:
    """One line."""

    number: int
    item_ids: Sequence[str]
    at: int = 0
    """µs since 1970 UTC; 0 in lines of an earlier release."""
    kind: Kind = Kind.CHANGED


def record(home: Home, item_ids: Collection[str], *, kind: Kind = Kind.CHANGED) -> None:
    """Say that these listings changed, after catalogue and online store hold the change.

    The change counts by then: where the disk is full it is said by this process's next call, or by
    the next look of one of its readers.
    """
    with _SAYING:
        unsaid = _UNSAID.setdefault(home.listing_changes, {})
        if item_ids:
            unsaid.setdefault(kind, set()).update(item_ids)
        for one, ids in list(unsaid.items()):
            try:
                _append(home.listing_changes, sorted(ids), kind=one)
            except OSError as error:
                if error.errno not in FULL:
                    raise
                if item_ids:  # who only tries again has said so
                    log.error("other processes hear later of %d listings: %s", len(ids), error)
                return
            del unsaid[one]


_SAYING: Final = threading.Lock()
_UNSAID: Final[dict[Path, dict[Kind, set[str]]]] = {}
"""What is still to be said, by file."""


def _append(path: Path, ids: Sequence[str], *, kind: Kind) -> None:
    with alone(path.with_name(".listing_changes.lock")):
        number, whole = _end(path)
        if path.exists() and path.stat().st_size > FILE_BYTES:
            path.replace(_older(path))
            whole = True
        lines, told = [], {"at": time.time_ns() // 1000, "kind": str(kind)}
        for first in range(0, len(ids), PART):
            number += 1
            some = ids[first : first + PART]
            lines.append(json.dumps({"number": number, "item_ids": some, **told}))
        with path.open("a", encoding="utf-8") as file:  # a writer that died may have torn a line
            file.write("\n" * (not whole) + "".join(line + "\n" for line in lines))


def later_than(home: Home, number: int) -> tuple[list[Change], bool]:
    """The changes after a number that are still told of, and whether earlier ones are not."""
    path = home.listing_changes
    later = [one for one in (*_read(_older(path)), *_read(path)) if one.number > number]
    return later, bool(later) and later[0].number > number + 1


class ListingChanges:
    """Where one reader is in the changes of a state folder; it begins at their end."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._seen = identity_of(home.listing_changes)
        self._number = _end(home.listing_changes)[0]

    def ids(self) -> list[str] | None:
        """Listings that changed since the last call; None where too much did to say which."""
        if _UNSAID.get(self._home.listing_changes):
            record(self._home, ())
        identity = identity_of(self._home.listing_changes)
        if identity == self._seen:
            return []
        later, missed = later_than(self._home, self._number)
        if later:
            self._number = later[-1].number
        self._seen = identity
        return None if missed else sorted({item_id for one in later for item_id in one.item_ids})


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
            told = _told(end)
            if told:
                return told[-1].number, whole
    return 0, whole


def _read(path: Path) -> list[Change]:
    """Each line that is whole."""
    try:
        return _told(path.read_bytes())
    except FileNotFoundError:
        return []


def _told(content: bytes) -> list[Change]:
    """The same of a file's end, which may begin within a line."""
    found = []
    for line in content[: content.rfind(b"\n") + 1].splitlines():
        try:
            told = json.loads(line)
        except ValueError:  # torn
            continue
        if isinstance(told, dict):
            kind = Kind(told.get("kind", Kind.CHANGED))
            found.append(Change(int(told["number"]), told["item_ids"], told.get("at", 0), kind))
    return found


def _older(path: Path) -> Path:
    return path.with_name(f"{path.stem}.1{path.suffix}")
