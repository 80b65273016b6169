"""How often each listing was explored, by the log of pages: what its budget is counted by.

Every process that serves a state folder writes that log, so that whoever reads on in it knows what
the others showed.
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final

from feature_repo import rotating_lines
from feature_repo.errors import JobError
from feature_repo.home import Home
from feature_repo.page_log import CURRENT, FILES, KIND
from validation.whole_files import alone, identity_of, replacing

EXPOSURES: Final = "exposures.json"
NOTHING: Final = b'"explored": []'
"""In a line of a page on which nothing was explored; it need not be read."""
NO_FILE: Final = (0, b"")


class ExploredExposures:
    """Where one reader is in the log of pages."""

    def __init__(self, home: Home) -> None:
        self._home, self._path = home, home.served / CURRENT
        self._file, self._read = NO_FILE, 0
        """What it is known by, and how many of its bytes were read."""
        self._counts: Counter[str] = Counter()

    def look(self) -> dict[str, int]:
        """item_id → how often it was given a place by exploration, as far as the log reaches, of
        the listings that got more since the last look; the first one tells of all.

        Costs what was written since. After an erasure, and where files were missed, it starts over.
        Whoever logs pages waits until the files are open, not until they are read.
        """
        try:
            with self._path.open("rb") as current:
                if rotating_lines.known_by(current) == self._file:
                    return self._total(self._further(current))
            with rotating_lines.opened(self._path, files=FILES) as files:
                if not files:
                    return {}
                *full, newest = files
                told, self._file = self._rest(full), rotating_lines.known_by(newest)
                self._read = 0
                return self._total(told + self._further(newest))
        except FileNotFoundError:
            return {}
        except JobError:  # another file by the same number, perhaps: the next look starts over
            self._file = NO_FILE
            raise

    def _total(self, more: Counter[str]) -> dict[str, int]:
        self._counts += more
        return {item_id: self._counts[item_id] for item_id in more}

    def _rest(self, full: Sequence[BinaryIO]) -> Counter[str]:
        """What was added to the file that was read last before it was full; all of the full files
        where it is not the last of them.
        """
        if full and rotating_lines.known_by(full[-1]) == self._file:
            return self._further(full[-1])
        self._counts = Counter()
        return _of_full_files(self._home, full)

    def _further(self, file: BinaryIO) -> Counter[str]:
        """What the whole lines say that follow what was read."""
        counts: Counter[str] = Counter()
        for line in rotating_lines.whole_lines(file, start=self._read):
            if NOTHING not in line:
                counts.update(_explored(line, self._path))
            self._read += len(line)
        return counts


def _of_full_files(home: Home, files: Sequence[BinaryIO]) -> Counter[str]:
    """A full file changes no more: it is read once, and its counts are kept beside it under what
    the file is known by, which is another one after an erasure.

    One process at a time reads them; who waited for it finds the counts kept.
    """
    kept_in = home.served / EXPOSURES
    with alone(kept_in.with_name(f".{EXPOSURES}.lock")):
        known = _kept(kept_in)
        full = dict[str, dict[str, int]]()
        for file in files:
            identity = identity_of(file.fileno())
            full[identity] = known[identity] if identity in known else _of_file(file)
        if full != known:
            with replacing(kept_in) as partial:
                partial.write_text(json.dumps(full), encoding="utf-8")
    counts = Counter[str]()
    for found in full.values():
        counts.update(found)
    return counts


def _of_file(file: BinaryIO) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for line in rotating_lines.whole_lines(file):
        if NOTHING not in line:
            counts.update(_explored(line, Path(file.name)))
    return dict(counts)


def _explored(line: bytes, file: Path) -> list[str]:
    """Listings of a line's page that exploration gave a place. Raises JobError."""
    try:
        told = json.loads(line)
        return [told["item_ids"][position - 1] for position in told["explored"]]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise JobError(
            f"{file} holds a line that is no {KIND} ({error}); remove the file"
        ) from error


def _kept(file: Path) -> dict[str, dict[str, int]]:
    """File → its counts, of full files; none where they are not there or not whole."""
    try:
        kept: dict[str, dict[str, int]] = json.loads(file.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return kept
