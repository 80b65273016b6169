"""What new listings are compared with, kept between calls: learning it again takes seconds.

It holds as long as the catalogue's files are those it was learned from; whoever writes them with
`grown` says so.
"""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from feature_repo.home import Home
from feature_repo.jobs.fingerprints import known_fingerprints
from validation.reference import Reference

Stamp = tuple[tuple[int, int, int] | None, ...]


@dataclass(slots=True)
class CatalogueReference:
    """The reference of one state's catalogue."""

    home: Home
    _stamp: Stamp | None = None
    _reference: Reference = field(default_factory=Reference.of)

    def of(self, items: pd.DataFrame) -> Reference:
        """What the catalogue is like.

        Args:
            items: all accepted listings, as their file has them now.
        """
        stamp = self._now()
        if stamp != self._stamp:
            self._reference = Reference.of(items, photos=known_fingerprints(self.home))
            self._stamp = stamp
        return self._reference

    def held(self) -> Reference | None:
        """What was learned of the catalogue; None where its files are other ones since."""
        return self._reference if self._stamp == self._now() else None

    def grown(self, items: pd.DataFrame, *, photos: pd.DataFrame | None) -> None:
        """Take note of listings that were just written, and of their photos.

        Args:
            items: canonical; only these changed since `of`.
            photos: `item_id` and `fingerprint` of these, where photos were opened.
        """
        self._reference = self._reference.with_listings(items, photos=photos)
        self._stamp = self._now()

    def _now(self) -> Stamp:
        return tuple(map(_stamped, (self.home.items, self.home.photo_fingerprints)))


def _stamped(path: Path) -> tuple[int, int, int] | None:
    """What changes with a file; None where there is none."""
    if not path.exists():
        return None
    about = path.stat()
    return about.st_ino, about.st_size, about.st_mtime_ns
