"""How many pages each variant of an experiment has served to how many people.

The page log is read once from its beginning, and after that only what it has grown by. A file
that was rewritten, because a person was erased, is counted anew.
"""

import json
import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

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


@dataclass
class PageTally:
    """Counts of one experiment. Safe to share between threads."""

    home: Home
    experiment: str
    _read: dict[int, int] = field(default_factory=dict)
    """Inode → bytes that are counted; a file that is numbered keeps its inode."""
    _pages: Counter[str] = field(default_factory=Counter)
    _people: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    """Hashes, not ids: nobody is kept here."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def counted(self) -> dict[str, VariantTally]:
        """Variant → what was served up to now. Raises JobError for a line that is not one."""
        with self._lock:
            files = rotating_lines.kept(self.home.served / CURRENT, files=FILES)
            sizes = {path: (path.stat().st_ino, path.stat().st_size) for path in files}
            there = dict(sizes.values())
            if any(there.get(inode, -1) < done for inode, done in self._read.items()):
                self._read.clear()
                self._pages.clear()
                self._people.clear()
            for path, (inode, size) in sizes.items():
                if size > self._read.get(inode, 0):
                    self._read[inode] = self._count(path, self._read.get(inode, 0))
            return {
                variant: VariantTally(pages, len(self._people[variant]))
                for variant, pages in self._pages.items()
            }

    def _count(self, path: Path, start: int) -> int:
        """Count the whole lines after a place; returns where they end."""
        with path.open("rb") as lines:
            for line in rotating_lines.whole_lines(lines, start=start):
                try:
                    self._add(json.loads(line))
                except (ValueError, KeyError, TypeError) as error:
                    raise JobError(
                        f"{path} holds no served page at byte {start} ({error}); remove the file"
                    ) from error
                start += len(line)
        return start

    def _add(self, told: dict[str, str | None]) -> None:
        variant = told["variant"]
        if told["experiment"] != self.experiment or variant is None:
            return
        self._pages[variant] += 1
        unit = (told["user_id"], told["session_id"])
        if unit != (None, None):
            self._people[variant].add(hash(unit))
