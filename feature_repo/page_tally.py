"""How many pages each variant of an experiment has served to how many people.

The page log is read once from its beginning, and after that only what it has grown by. A file
that was rewritten, because a person was erased, is counted anew; one that went, because the log is
full, counts no more.
"""

import json
import os
import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import BinaryIO

from feature_repo import rotating_lines
from feature_repo.errors import JobError
from feature_repo.home import Home
from feature_repo.page_log import CURRENT, FILES


@dataclass(frozen=True, slots=True)
class VariantTally:
    """Of one variant."""

    pages: int = 0
    people: int = 0
    """Distinct user ids and, of visitors without one, session ids."""


@dataclass(slots=True)
class _FileTally:
    """Of one file of the log."""

    read: int = 0
    """Bytes that are counted."""
    pages: Counter[str] = field(default_factory=Counter)
    people: defaultdict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    """Hashes, not ids: nobody is kept here."""


@dataclass
class PageTally:
    """Counts of one experiment. Safe to share between threads."""

    home: Home
    experiment: str
    _files: dict[rotating_lines.Known, _FileTally] = field(default_factory=dict)
    """A file that is numbered is known by the same."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def counted(self) -> dict[str, VariantTally]:
        """Variant → what was served up to now. Raises JobError for a line that is not one."""
        path = self.home.served / CURRENT
        with self._lock, rotating_lines.opened(path, files=FILES) as files:
            there = {rotating_lines.known_by(file): file for file in files}
            self._files = {known: self._tally_of(known, file) for known, file in there.items()}
            for known, file in there.items():
                self._count(file, self._files[known])
            pages = sum((one.pages for one in self._files.values()), Counter[str]())
            return {
                variant: VariantTally(count, self._people(variant))
                for variant, count in pages.items()
            }

    def _people(self, variant: str) -> int:
        return len(set[int]().union(*(one.people[variant] for one in self._files.values())))

    def _tally_of(self, known: rotating_lines.Known, file: BinaryIO) -> _FileTally:
        """What is counted of a file; nothing of one that is new, or shorter than it was."""
        tally = self._files.get(known)
        if tally is None or os.fstat(file.fileno()).st_size < tally.read:
            return _FileTally()
        return tally

    def _count(self, file: BinaryIO, tally: _FileTally) -> None:
        """Count the whole lines that follow what is counted."""
        for line in rotating_lines.whole_lines(file, start=tally.read):
            try:
                self._add(json.loads(line), tally)
            except (ValueError, KeyError, TypeError) as error:
                raise JobError(
                    f"{file.name} holds no served page at byte {tally.read} ({error}); "
                    "remove the file"
                ) from error
            tally.read += len(line)

    def _add(self, told: dict[str, str | None], tally: _FileTally) -> None:
        variant = told["variant"]
        if told["experiment"] != self.experiment or variant is None:
            return
        tally.pages[variant] += 1
        unit = (told["user_id"], told["session_id"])
        if unit != (None, None):
            tally.people[variant].add(hash(unit))
