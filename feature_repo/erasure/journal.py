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
from pathlib import Path
from typing import Final

from feature_repo.home import Home
from validation import whole_files
from validation.left_overs import remove_left_over
from validation.whole_files import replacing

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
    with replacing(home.erasures / PENDING) as partial:
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
    (home.erasures / PENDING).unlink()
    remove_left_over(home.erasures / PENDING)


def _write(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
