"""What the rows of a batch are to each other, learned chunk after chunk before any is judged."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa

from validation import log, tables
from validation.contents import (
    Alike,
    Contents,
    ContentsSurvey,
    look_same,
    photo_contents,
    read_same,
    text_contents,
)
from validation.duplicates import twins
from validation.facts import present_columns
from validation.identities import Hashes, Ids, hashed, repeated
from validation.prices import PriceLimits, PriceSurvey
from validation.reference import Reference, wording_of

PLACEHOLDER_LISTINGS: Final = 5
"""Listings with one picture from which it is a placeholder and no photo of a piece."""

Told = pd.Series
"""Row number in the batch → what a sentence says in its ``{detail}``; ascending."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What holds of the rows of a batch together."""

    present: frozenset[str]
    """Columns in which some row has a value."""
    received: int
    repeated: Ids
    """Keys that more than one row has."""


@dataclass(frozen=True, slots=True)
class ItemBatch(Batch):
    """What holds of the listings of a batch together."""

    limits: PriceLimits
    text_twins: Told
    photo_twins: Told
    placeholders: Told


@dataclass(frozen=True, slots=True)
class EventBatch(Batch):
    """What holds of the events of a batch together."""

    rates: log.Rates
    gaps: tuple[str, ...]


@dataclass(slots=True)
class _Keys:
    """Presence, rows and keys, which every table has."""

    present: set[str] = field(default_factory=set)
    received: int = 0
    hashes: list[Hashes] = field(default_factory=list)

    def add(self, raw: pd.DataFrame, keys: pd.Series) -> None:
        self.present |= present_columns(raw)
        self.received += len(raw)
        self.hashes.append(hashed(keys[keys.notna()]))

    def twice(self) -> Ids:
        return Ids(repeated(np.concatenate(self.hashes)))


@dataclass(slots=True)
class ItemSurvey:
    """Collects what there is to know of listings, some 200 bytes each."""

    reference: Reference
    _keys: _Keys = field(default_factory=_Keys)
    _prices: PriceSurvey = field(default_factory=PriceSurvey)
    _ids: list[pa.Array] = field(default_factory=list)
    _texts: ContentsSurvey = field(default_factory=ContentsSurvey)
    _photos: ContentsSurvey | None = None

    def __post_init__(self) -> None:
        self._prices.add(self.reference.listings)

    def add(self, raw: pd.DataFrame, items: pd.DataFrame, fingerprints: pd.Series | None) -> None:
        """Take a chunk: as it came, in canonical form, and its photos' fingerprints."""
        ids = items[tables.ITEM_ID]
        self._keys.add(raw, ids)
        self._prices.add(items)
        self._ids.append(pa.array(ids, type=pa.string()))
        self._texts.add(text_contents(wording_of(items), ids))
        if fingerprints is not None:
            self._photos = self._photos or ContentsSurvey()
            self._photos.add(photo_contents(fingerprints, ids))

    def facts(self) -> ItemBatch:
        """What was found in all chunks together."""
        known = self.reference
        nothing = pd.Series([], dtype=object)
        photos, shared = nothing, nothing
        texts = self._twins(self._texts, known.texts, known.listings[tables.ITEM_ID], read_same)
        if self._photos is not None:
            pictures = self._twins(self._photos, known.photos, known.photo_ids, look_same)
            many = pictures.sharing >= PLACEHOLDER_LISTINGS
            photos = pictures.names[~many & pictures.names.notna()]
            shared = pictures.sharing[many].map(str)
        return ItemBatch(
            frozenset(self._keys.present),
            self._keys.received,
            self._keys.twice(),
            limits=self._prices.limits(),
            text_twins=texts.names.dropna(),
            photo_twins=photos,
            placeholders=shared,
        )

    def _twins(
        self, batch: ContentsSurvey, known: Contents, known_ids: pd.Series, alike: Alike
    ) -> "_Named":
        near = np.flatnonzero(known.may_share(batch.contents()))
        batch.add(known.take(near))
        found = twins(batch.contents(), self._keys.received, alike=alike)
        rows = np.flatnonzero(found.twin >= 0)
        ids = pa.chunked_array([*self._ids, pa.array(known_ids.iloc[near], type=pa.string())])
        names = ids.take(pa.array(found.twin[rows])).to_pylist()
        return _Named(pd.Series(names, index=rows, dtype=object), pd.Series(found.sharing))


@dataclass(frozen=True, slots=True)
class _Named:
    names: Told
    sharing: pd.Series


@dataclass(slots=True)
class EventSurvey:
    """Collects what there is to know of events, 16 bytes each."""

    now: datetime
    _keys: _Keys = field(default_factory=_Keys)
    _rates: log.RateSurvey = field(default_factory=log.RateSurvey)
    _days: log.DaySurvey = field(init=False)

    def __post_init__(self) -> None:
        self._days = log.DaySurvey(self.now)

    def add(self, raw: pd.DataFrame, events: pd.DataFrame) -> None:
        """Take a chunk: as it came, and in canonical form."""
        self._keys.add(raw, events[tables.EVENT_ID])
        self._rates.add(events)
        self._days.add(events)

    def facts(self) -> EventBatch:
        """What was found in all chunks together."""
        return EventBatch(
            frozenset(self._keys.present),
            self._keys.received,
            self._keys.twice(),
            rates=self._rates.rates(),
            gaps=self._days.gaps(),
        )
