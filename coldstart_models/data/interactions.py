"""What people did, as arrays: positive events in time order, and histories seen from a moment."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from coldstart_models.data.catalogue import BoolArray, Catalogue, FloatMatrix, IntArray
from coldstart_models.data.shop_clock import ShopClock
from coldstart_models.data.traits import TRAITS, event_traits, history_traits
from feature_repo.feature_tables import HISTORY_LENGTH
from validation import tables

END_OF_TIME = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Histories:
    """The last items of B users, right-aligned: the newest stands in the last column."""

    item_index: IntArray
    """(B, H); -1 pads on the left. H is the longest history among them."""
    time_us: IntArray
    """(B, H); µs since 1970 UTC, 0 where padded."""
    traits: FloatMatrix
    """(B, H, len(TRAITS)); 0 where padded."""

    def __len__(self) -> int:
        return len(self.item_index)

    @property
    def mask(self) -> BoolArray:
        """(B, H): where there is an event."""
        return np.asarray(self.item_index >= 0)

    def take(self, rows: npt.NDArray[np.int64] | slice) -> "Histories":
        return Histories(self.item_index[rows], self.time_us[rows], self.traits[rows])

    def newest(self, count: int) -> "Histories":
        """Each user's newest items, so many at most; `count` is at least 1."""
        return Histories(
            self.item_index[:, -count:], self.time_us[:, -count:], self.traits[:, -count:]
        )


@dataclass(frozen=True)
class Interactions:
    """E positive events sorted by time, then by their order in the log.

    ``user_index`` numbers the users of ``user_ids`` (ascending), ``item_index`` the rows
    of the catalogue that the events were matched with.
    """

    user_ids: npt.NDArray[np.object_]
    num_items: int
    user_index: IntArray
    item_index: IntArray
    time_us: IntArray
    traits: FloatMatrix
    """(E, len(TRAITS)) as of `event_traits`."""
    clock: ShopClock
    """The shop's: of all positive events of the log, whichever are here, or of the people who were
    drawn where a long log is learned from."""

    def __len__(self) -> int:
        return len(self.user_index)

    @property
    def num_users(self) -> int:
        return len(self.user_ids)

    def where(self, keep: BoolArray) -> "Interactions":
        """The events that `keep` marks; users and items keep their numbers, the shop its clock."""
        return Interactions(
            self.user_ids,
            self.num_items,
            self.user_index[keep],
            self.item_index[keep],
            self.time_us[keep],
            self.traits[keep],
            self.clock,
        )

    def before(self, moment_us: int) -> "Interactions":
        """Events strictly earlier than the moment."""
        return self.where(self.time_us < moment_us)

    def matrix(self) -> sparse.csr_matrix:
        """(num_users, num_items) of ones where a user chose an item at least once."""
        values = np.ones(len(self), np.float32)
        shape = (self.num_users, self.num_items)
        counted = sparse.csr_matrix((values, (self.user_index, self.item_index)), shape=shape)
        counted.data[:] = 1.0
        return counted

    def item_users(self) -> npt.NDArray[np.int64]:
        """(num_items,) distinct users of each item."""
        return np.asarray(self.matrix().getnnz(axis=0), dtype=np.int64)

    def first_time_us(self) -> IntArray:
        """(num_items,) time of each item's first event; END_OF_TIME where it has none."""
        first = np.full(self.num_items, END_OF_TIME, np.int64)
        np.minimum.at(first, self.item_index, self.time_us)
        return first

    def histories(self, users: IntArray, *, length: int = HISTORY_LENGTH) -> Histories:
        """The distinct items of each user's last `length` events, each at its latest event."""
        order = np.argsort(self.user_index, kind="stable")
        bounds = np.searchsorted(self.user_index[order], np.arange(self.num_users + 1))
        rows = (order[bounds[user] : bounds[user + 1]][-length:] for user in users)
        return stack_histories([self._events(row) for row in rows])

    def histories_before(self, users: IntArray, times_us: IntArray) -> Histories:
        """Each user's history strictly before a moment of its own; row order is kept."""
        order = np.argsort(self.user_index, kind="stable")
        bounds = np.searchsorted(self.user_index[order], np.arange(self.num_users + 1))
        events = []
        for user, moment in zip(users, times_us, strict=True):
            row = order[bounds[user] : bounds[user + 1]]
            row = row[self.time_us[row] < moment][-HISTORY_LENGTH:]
            events.append(self._events(row))
        return stack_histories(events)

    def _events(self, rows: npt.NDArray[np.int64]) -> "UserEvents":
        return self.item_index[rows], self.time_us[rows], self.traits[rows]


UserEvents = tuple[IntArray, IntArray, FloatMatrix]
"""One user's item indexes (E,), times (E,) and traits (E, len(TRAITS)), oldest first."""


def stack_histories(events: Sequence[UserEvents]) -> Histories:
    """Each user's events → distinct items, right-aligned.

    An item that stands more than once counts at its latest event.
    """
    kept = []
    for items, times, traits in events:
        _, latest, counts = np.unique(items[::-1], return_index=True, return_counts=True)
        order = np.argsort(-latest, kind="stable")
        rows = (len(items) - 1 - latest)[order]
        kept.append((items[rows], times[rows], history_traits(traits, rows, counts[order])))
    longest = max([1, *(len(items) for items, _, _ in kept)])
    item_index = np.full((len(kept), longest), -1, np.int64)
    time_us = np.zeros((len(kept), longest), np.int64)
    stacked = np.zeros((len(kept), longest, len(TRAITS)), np.float32)
    for row, (items, times, traits) in enumerate(kept):
        if len(items):
            item_index[row, -len(items) :], time_us[row, -len(items) :] = items, times
            stacked[row, -len(items) :] = traits
    return Histories(item_index, time_us, stacked)


def read_interactions(events: pd.DataFrame, catalogue: Catalogue) -> Interactions:
    """The positive events of a canonical events frame on items of the catalogue."""
    positive = events[events[tables.EVENT_TYPE].isin(tables.POSITIVE_EVENT_TYPES)]
    times = pd.to_datetime(positive[tables.EVENT_TIMESTAMP], utc=True).dt.tz_localize(None)
    time_us = times.to_numpy(dtype="datetime64[us]").astype(np.int64)
    clock = ShopClock.of(time_us)
    known = positive[tables.ITEM_ID].isin(catalogue.position).to_numpy(dtype=bool)
    positive, time_us = positive[known], time_us[known]
    user_ids, user_index = np.unique(
        positive[tables.USER_ID].to_numpy(dtype=object), return_inverse=True
    )
    items = catalogue.index(list(positive[tables.ITEM_ID]))
    usual = catalogue.frame[tables.PRICE].to_numpy(dtype=np.float64, na_value=np.nan)[items]
    paid = _numbers(positive, tables.UNIT_PRICE)
    traits = event_traits(
        positive[tables.EVENT_TYPE].to_numpy(dtype=object),
        _numbers(positive, tables.QUANTITY),
        np.where(np.isnan(paid), usual, paid),
    )
    return in_time_order(user_ids, len(catalogue), user_index, items, time_us, traits, clock)


def in_time_order(
    user_ids: npt.NDArray[np.object_],
    num_items: int,
    user_index: IntArray,
    item_index: IntArray,
    time_us: IntArray,
    traits: FloatMatrix,
    clock: ShopClock,
) -> Interactions:
    """Of events in the order of the log."""
    order = np.argsort(time_us, kind="stable")
    return Interactions(
        user_ids,
        num_items,
        user_index[order],
        item_index[order],
        time_us[order],
        traits[order],
        clock,
    )


def _numbers(events: pd.DataFrame, column: str) -> npt.NDArray[np.float64]:
    """(E,) NaN where the log does not say."""
    if column not in events.columns:
        return np.full(len(events), np.nan)
    return np.asarray(events[column].to_numpy(dtype=np.float64, na_value=np.nan))
