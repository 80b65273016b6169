"""What is shown of an item beside its score: title, price, photo."""

import threading
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import pandas as pd
import pyarrow.parquet as pq

from feature_repo.erasure.tombstones import Tombstones
from feature_repo.event_log import event_log
from feature_repo.home import Home
from validation import tables

SHOWN: Final = (tables.TITLE, tables.CATEGORY, tables.PRICE, tables.CURRENCY)
MOST_CATEGORIES: Final = 200


class Tag(NamedTuple):
    """The label on the shelf. Absent values are None."""

    title: str | None
    category: str | None
    price: float | None
    currency: str | None
    photo: str | None
    """Path of the file."""


@dataclass
class Shelf:
    """The catalogue's labels by item id; new listings are added while requests read."""

    tags: dict[str, Tag]
    user_ids: list[str]
    """Known users, those with most events first."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _varied: tuple[dict[str, Tag], list[str]] = field(default_factory=lambda: ({}, []), repr=False)
    """The tags of a moment, and their ids in the order in which they are shown."""

    @classmethod
    def load(cls, home: Home) -> "Shelf":
        """Read the labels of the accepted items, and who has events."""
        columns = [tables.ITEM_ID, tables.IMAGE_PATH, *SHOWN]
        items = pq.read_table(home.items, columns=columns).to_pandas()
        return cls(tags=_tags(items), user_ids=_busiest_users(home))

    def __len__(self) -> int:
        return len(self.tags)

    def replace(self, other: "Shelf") -> None:
        """Show what another one does."""
        with self._lock:
            self.tags, self.user_ids = other.tags, other.user_ids

    def add(self, items: pd.DataFrame) -> None:
        """Add or replace the labels of accepted listings (canonical columns)."""
        with self._lock:
            self.tags = {**self.tags, **_tags(items)}

    def remove(self, item_ids: Collection[str]) -> None:
        """Show these no more."""
        gone = set(item_ids)
        with self._lock:
            self.tags = {item: tag for item, tag in self.tags.items() if item not in gone}

    def forget_users(self, gone: Tombstones) -> None:
        """Name nobody who was erased."""
        with self._lock:
            self.user_ids = [user for user in self.user_ids if not gone.holds(user)]

    def photo_path(self, item_id: str) -> Path | None:
        """The photo of the item, if the catalogue names one that exists."""
        tag = self.tags.get(item_id)
        photo = Path(tag.photo) if tag and tag.photo else None
        return photo if photo and photo.is_file() else None

    def varied(self, count: int, *, start: int = 0) -> list[str]:
        """Items with a photo, in turn of each category; `start` are passed over."""
        return self._ordered()[start : start + count]

    @property
    def categories(self) -> list[str]:
        """The category paths, those with most items first."""
        return [path for path, _ in Counter(self._of("category")).most_common(MOST_CATEGORIES)]

    @property
    def currency(self) -> str | None:
        """In which most items are priced; None where none is."""
        return next((one for one, _ in Counter(self._of("currency")).most_common(1)), None)

    def _of(self, name: str) -> list[str]:
        values = (getattr(tag, name) for tag in self.tags.values())
        return [value for value in values if value]

    def _ordered(self) -> list[str]:
        """All items with a photo, made once for each state of the shelf."""
        tags, ordered = self._varied
        if tags is not self.tags:
            tags = self.tags
            turns: Counter[str | None] = Counter()
            places = []
            for item_id in sorted(tags):
                if tags[item_id].photo:
                    category = tags[item_id].category
                    places.append((turns[category], category or "", item_id))
                    turns[category] += 1
            ordered = [item_id for _, _, item_id in sorted(places)]
            self._varied = (tags, ordered)
        return ordered

    def label(self, item_id: str) -> dict[str, Any]:
        """What a response shows of the item; `photo` is its path on this server."""
        tag = self.tags.get(item_id)
        if tag is None:
            return {}
        photo = f"photos/{quote(item_id, safe='')}" if tag.photo else None
        return {
            tables.TITLE: tag.title,
            tables.CATEGORY: tag.category,
            tables.PRICE: tag.price,
            tables.CURRENCY: tag.currency,
            "photo": photo,
        }


def _tags(items: pd.DataFrame) -> dict[str, Tag]:
    shown = items.reindex(columns=[*SHOWN, tables.IMAGE_PATH]).astype(object)
    shown = shown.where(shown.notna(), None)
    shown[tables.IMAGE_PATH] = shown[tables.IMAGE_PATH].where(shown[tables.IMAGE_PATH] != "", None)
    labels = zip(*(shown[name].tolist() for name in shown), strict=True)
    return dict(zip(items[tables.ITEM_ID].tolist(), map(Tag._make, labels), strict=True))


def _busiest_users(home: Home) -> list[str]:
    users = event_log(home).read([tables.USER_ID])[tables.USER_ID].to_pandas()
    counts = users.value_counts()
    return [str(user_id) for user_id in sorted(counts.index, key=lambda u: (-counts[u], u))]
