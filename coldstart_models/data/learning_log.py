"""What of a log is learned from: all of it, or what some people did where it is a long one.

A long log is read in parts and only what is kept of it takes memory, so that training costs the
same however long the log grows. People are drawn by a hash of their id, each with all they did: a
larger draw holds a smaller one, and every command draws the same people. What the draw would lose
is kept whole: which items somebody chose, and the first customers of new listings.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from coldstart_models.config import MOST_EVENTS
from coldstart_models.data.catalogue import BoolArray, Catalogue, IntArray
from coldstart_models.data.interactions import Interactions, in_time_order
from coldstart_models.data.known_log import Log
from coldstart_models.data.newness import NEW_FOR_US, new_listings
from coldstart_models.data.positive_events import positive, times_us
from coldstart_models.data.shop_clock import ShopClock
from coldstart_models.data.traits import TRAITS, event_traits
from validation import tables

COLUMNS: Final = (
    tables.USER_ID,
    tables.ITEM_ID,
    tables.EVENT_TYPE,
    tables.EVENT_TIMESTAMP,
    tables.QUANTITY,
    tables.UNIT_PRICE,
)
"""Of the log."""
_FEW: Final = 200_000
"""First customers that are kept before those who came later are let go."""


@dataclass(frozen=True, slots=True)
class LearningLog:
    """What is learned from, and what is known of the rest."""

    drawn: Interactions
    """Of the people who were drawn."""
    first: Interactions
    """Of the first customers of listings that are new; `drawn` itself where everybody was drawn."""
    new: BoolArray
    """(N,) items that are new, see `newness`."""
    chosen: BoolArray
    """(N,) items of the catalogue that somebody chose, whoever was drawn."""
    events: int
    """Positive events of the whole log on items of the catalogue."""
    share: float
    """Of the people who are drawn, of (0, 1]."""


def read_learning_log(
    log: Log,
    catalogue: Catalogue,
    *,
    shots: int,
    most: int = MOST_EVENTS,
    new_for_us: int = NEW_FOR_US,
) -> LearningLog:
    """The positive events of a log on items of a catalogue, as many as are learned from.

    Args:
        shots: first customers that a new listing learns from.
        most: events above which only some people are drawn. Raises ValueError below 1.
        new_for_us: µs before the newest choice within which what was listed is new.
    """
    if most < 1:
        raise ValueError(f"most is {most}, expected 1 or more events")
    chosen, events, newest = _surveyed(log, catalogue)
    new = new_listings(catalogue.listed_us, chosen, newest_us=newest, within_us=new_for_us)
    if events <= most:
        everything = _Gathering(catalogue)
        for part in _parts(log, catalogue, COLUMNS):
            everything.add(part)
            everything.count(times_us(part.positive))
        whole = everything.interactions()
        return LearningLog(whole, whole, new, chosen, events, 1.0)
    share = most / events
    customers = pa.array(_first_customers(log, catalogue, new, shots=shots), pa.string())
    drawn, first = _Gathering(catalogue), _Gathering(catalogue)
    for part in _parts(log, catalogue, COLUMNS):
        moments = times_us(part.positive)
        drawn.count(moments[_is_drawn(_users(part.positive), share)])
        drawn.add(part.where(_is_drawn(part.users, share)))
        first.count(moments)
        first.add(part.where(pc.is_in(part.users, customers).to_numpy(zero_copy_only=False)))
    return LearningLog(drawn.interactions(), first.interactions(), new, chosen, events, share)


@dataclass(frozen=True, slots=True)
class _Part:
    """E positive events on items of the catalogue, in order of the log."""

    users: pa.Array
    items: npt.NDArray[np.int32]
    rows: pa.Table
    """Their columns that were asked for."""
    positive: pa.Table
    """The same of all positive events, also on items that are in no catalogue any more."""

    def where(self, keep: BoolArray) -> "_Part":
        mask = pa.array(keep)
        rows = self.rows.filter(mask)
        return _Part(self.users.filter(mask), self.items[keep], rows, self.positive)

    @property
    def times_us(self) -> IntArray:
        """(E,) µs since 1970, UTC."""
        return times_us(self.rows)


def _parts(log: Log, catalogue: Catalogue, columns: Sequence[str]) -> Iterator[_Part]:
    known = pa.array(catalogue.item_ids.tolist(), pa.string())
    for read in log.parts(columns):
        chosen = positive(read)
        items = pc.index_in(chosen[tables.ITEM_ID], known)
        rows = chosen.filter(pc.is_valid(items)).combine_chunks()
        users = _users(rows) if tables.USER_ID in columns else None
        yield _Part(users, items.drop_null().to_numpy().astype(np.int32), rows, chosen)


def _users(rows: pa.Table) -> pa.Array:
    return rows[tables.USER_ID].combine_chunks()


def _surveyed(log: Log, catalogue: Catalogue) -> tuple[BoolArray, int, int | None]:
    """(N,) what was chosen, how many positive events there are on items of the catalogue, and the
    time of the newest, on whatever item."""
    chosen, events, newest = np.zeros(len(catalogue), bool), 0, None
    columns = (tables.ITEM_ID, tables.EVENT_TYPE, tables.EVENT_TIMESTAMP)
    for part in _parts(log, catalogue, columns):
        chosen[part.items] = True
        events += len(part.items)
        if len(part.positive):
            latest = int(times_us(part.positive).max())
            newest = latest if newest is None else max(newest, latest)
    return chosen, events, newest


def _first_customers(log: Log, catalogue: Catalogue, new: BoolArray, *, shots: int) -> list[str]:
    """Ids of the first distinct people of each listing that is new."""
    kept = pd.DataFrame({"item": [], "user": [], "time": []})
    columns = (tables.USER_ID, tables.ITEM_ID, tables.EVENT_TYPE, tables.EVENT_TIMESTAMP)
    for part in _parts(log, catalogue, columns):
        own = part.where(new[part.items])
        users = own.users.to_numpy(zero_copy_only=False)
        found = pd.DataFrame({"item": own.items, "user": users, "time": own.times_us})
        kept = pd.concat([kept, found], ignore_index=True) if len(kept) else found
        if len(kept) > _FEW:
            kept = _earliest(kept, shots)
    return sorted(set(_earliest(kept, shots)["user"]))


def _earliest(customers: pd.DataFrame, shots: int) -> pd.DataFrame:
    """The first rows of each item, one a person."""
    ordered = customers.sort_values("time", kind="stable").drop_duplicates(["item", "user"])
    return ordered.groupby("item", sort=False).head(shots)


def _is_drawn(users: pa.Array, share: float) -> BoolArray:
    """(E,) whether the person of each event is drawn."""
    told = users.dictionary_encode()
    hashes = pd.util.hash_array(told.dictionary.to_numpy(zero_copy_only=False), categorize=False)
    drawn = hashes < np.uint64(share * 2**64) if share < 1 else np.ones(len(hashes), bool)
    return np.asarray(drawn[told.indices.to_numpy()], bool)


class _Gathering:
    """The events of many parts, as the numbers they become: their texts are let go at once."""

    def __init__(self, catalogue: Catalogue) -> None:
        prices = catalogue.frame[tables.PRICE]
        self._prices = prices.to_numpy(dtype=np.float64, na_value=np.nan)
        self._users: list[pa.Array] = []
        self._items = [np.zeros(0, np.int32)]
        self._times = [np.zeros(0, np.int64)]
        self._traits = [np.zeros((0, len(TRAITS)), np.float32)]
        self._clock = ShopClock.of(np.zeros(0, np.int64))

    def count(self, time_us: IntArray) -> None:
        """Let the shop's clock go on by these (E,) events."""
        self._clock = self._clock.later(time_us)

    def add(self, part: _Part) -> None:
        self._users.append(part.users)
        self._items.append(part.items)
        self._times.append(part.times_us)
        paid = _numbers(part.rows, tables.UNIT_PRICE)
        self._traits.append(
            event_traits(
                part.rows[tables.EVENT_TYPE].to_numpy(),
                _numbers(part.rows, tables.QUANTITY),
                np.where(np.isnan(paid), self._prices[part.items], paid),
            )
        )

    def interactions(self) -> Interactions:
        """All that was added, as arrays."""
        told = pa.chunked_array(self._users, pa.string()).combine_chunks().dictionary_encode()
        ids = told.dictionary.to_numpy(zero_copy_only=False)
        order = np.argsort(ids)
        number = np.empty(len(ids), np.int64)
        number[order] = np.arange(len(ids))
        return in_time_order(
            ids[order],
            len(self._prices),
            number[told.indices.to_numpy()],
            np.concatenate(self._items).astype(np.int64),
            np.concatenate(self._times),
            np.concatenate(self._traits),
            self._clock,
        )


def _numbers(rows: pa.Table, column: str) -> npt.NDArray[np.float64]:
    """(E,) NaN where the log does not say."""
    return np.asarray(rows[column].cast(pa.float64()).to_numpy())
