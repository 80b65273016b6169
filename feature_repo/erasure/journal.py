"""An erasure that is under way, so that one that was killed is finished.

While an erasure runs its journal is the one file that names the person; it goes with the last step.
Every step may be done twice.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

from feature_repo.home import Home
from validation import whole_files
from validation.whole_files import flush, identity_of, remove_left_over, replacing

PENDING: Final = "pending.json"
RECEIPTS: Final = "receipts.jsonl"


@dataclass(frozen=True, slots=True)
class Erasure:
    """What is to be erased."""

    user_id: str
    hash: str
    erased_at: str
    """ISO 8601, UTC."""
    old_generation: str
    new_generation: str
    """Of the log before and after."""
    old_rows: int = -1
    """Of the log before."""
    numbers: tuple[int, ...] = ()
    """Places of the person's rows in the log before, ascending."""
    item_ids: tuple[str, ...] = ()
    """Items of the person's events, ascending."""
    session_ids: tuple[str, ...] = ()

    @property
    def moment(self) -> datetime:
        """When the erasure began."""
        return datetime.fromisoformat(self.erased_at)


@contextmanager
def alone(home: Home) -> Iterator[None]:
    """Wait until no other erasure of the folder runs."""
    home.erasures.mkdir(parents=True, exist_ok=True, mode=0o700)
    with whole_files.alone(home.erasures / ".lock"):
        yield


def begin(home: Home, erasure: Erasure) -> None:
    """Write down what is to be done; it is on disk when this returns."""
    with replacing(home.erasures / PENDING, durable=True) as partial:
        _write(partial, json.dumps(asdict(erasure)))


def pending(home: Home) -> Erasure | None:
    """The erasure that was begun and not finished."""
    try:
        told = json.loads((home.erasures / PENDING).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    lists = ("numbers", "item_ids", "session_ids")
    return Erasure(**{**told, **{name: tuple(told[name]) for name in lists}})


def finish(home: Home, receipt: dict[str, object]) -> None:
    """Keep the receipt and forget the person's id."""
    handle = os.open(home.erasures / RECEIPTS, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(handle, (json.dumps(receipt) + "\n").encode())
        os.fsync(handle)
    finally:
        os.close(handle)
    flush(home.erasures)
    (home.erasures / PENDING).unlink()
    remove_left_over(home.erasures / PENDING)


def receipts(home: Home) -> int:
    """How many erasures were finished."""
    path = home.erasures / RECEIPTS
    return _lines(path, identity_of(path))


@lru_cache(maxsize=8)
def _lines(path: Path, identity: str) -> int:
    """Of a file as it is; `identity` says of which."""
    if not identity:
        return 0
    with path.open("rb") as lines:
        return sum(1 for _ in lines)


def _write(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
