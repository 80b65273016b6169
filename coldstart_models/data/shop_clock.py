"""A shop's own clock: it runs as people choose, so a busy week is longer on it than a quiet one.

Ten customers in a week of December say less of a listing than ten in a week of February. Between
two moments the clock moves on by the positive events of the whole log that lie between them, so
that k customers in a span of it are a share of what the shop sold. Beyond the log's ends it goes
on as fast as in the four weeks next to them; a log without dates has no weeks, and stands still.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from coldstart_models.data.catalogue import BoolArray, IntArray

HOUR_US: Final = 3_600_000_000
"""Choices are counted by the hour, and spread evenly over it."""
NEXT_US: Final = 28 * 24 * HOUR_US
"""At each end of the log: how fast the clock runs there is how fast it runs beyond."""
ORDER_US: Final = 946_684_800_000_000
"""2000-01-01 UTC. Logs without dates have their order in the microseconds of the hour after it
(`validation.tables`), so these are counted one by one."""

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ShopClock:
    """Positive events by the hour, of those hours that had any."""

    starts: IntArray
    """(H,) ascending: when each hour, or step of an order, begins; µs since 1970 UTC."""
    counts: IntArray
    """(H,) events of each."""
    until_us: int
    """When the last event was."""

    @classmethod
    def of(cls, time_us: IntArray) -> "ShopClock":
        """Of the moments (E,) of all positive events, in any order: µs since 1970 UTC."""
        if not len(time_us):
            return cls(np.zeros(0, np.int64), np.zeros(0, np.int64), 0)
        starts, counts = np.unique(_start_of(time_us), return_counts=True)
        return cls(starts, counts.astype(np.int64), int(time_us.max()))

    def later(self, time_us: IntArray) -> "ShopClock":
        """With further events (E,); it is as if all had been counted at once."""
        if not len(time_us):
            return self
        more = ShopClock.of(time_us)
        starts, place = np.unique(np.concatenate([self.starts, more.starts]), return_inverse=True)
        counts = np.zeros(len(starts), np.int64)
        np.add.at(counts, place, np.concatenate([self.counts, more.counts]))
        until = max(self.until_us, more.until_us) if len(self.starts) else more.until_us
        return ShopClock(starts, counts, until)

    def read(self, time_us: IntArray) -> FloatArray:
        """(P,): how many events lie before each moment, or would beyond the log's ends.

        Only differences say anything. The last hour is as long as it lasted. NaN where nothing was
        counted: a replica whose events are taken in elsewhere cannot tell.
        """
        times = np.asarray(time_us, np.int64)
        if not len(self.starts):
            return np.full(len(times), np.nan)
        start = _start_of(times)
        place = np.searchsorted(self.starts, start)
        within = np.append(self.counts, 0)[place]
        last = start == self.starts[-1]
        length = np.where(last, max(self.until_us - int(self.starts[-1]), 1), HOUR_US)
        inside = np.append(self.starts, 0)[place] == start
        share = np.where(inside, np.minimum((times - start) / length, 1.0), 0.0)
        before = self._ended[place]
        return np.asarray(before + share * within + self._beyond(times), np.float64)

    @cached_property
    def _ended(self) -> IntArray:
        """(H + 1,): events before each hour, and all."""
        return np.concatenate([[0], self.counts.cumsum()])

    def _beyond(self, times: IntArray) -> FloatArray:
        """(P,): what is expected after the last event, and less than nothing before the first."""
        first, until = int(self.starts[0]), self.until_us
        length = max(min(until - first, NEXT_US), HOUR_US)
        ends = np.searchsorted(self.starts, [first + length, until - length])
        before, old = self._ended[ends]
        before, after = before / length, (self._ended[-1] - old) / length
        late = np.maximum(times - until, 0) * after
        return np.asarray(late - np.maximum(first - times, 0) * before, np.float64)


def _start_of(time_us: IntArray) -> IntArray:
    """(P,): when the hour, or the step of an order, of each moment begins."""
    return np.asarray(np.where(in_order(time_us), time_us, time_us - time_us % HOUR_US), np.int64)


def in_order(time_us: IntArray | int) -> BoolArray:
    """(P,): whether moments are places in the order of a log without dates; of one, a scalar."""
    return np.asarray(np.asarray(time_us) // HOUR_US == ORDER_US // HOUR_US, bool)
