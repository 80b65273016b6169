"""A shop's own clock: it runs as people choose, so a busy week is longer on it than a quiet one.

Ten customers in a week of December say less of a listing than ten in a week of February. Between
two moments the clock moves on by the positive events of the whole log that lie between them, so
that k customers in a span of it are a share of what the shop sold. After the log's end it goes on
as fast as in the last four weeks.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from coldstart_models.data.catalogue import IntArray

HOUR_US: Final = 3_600_000_000
"""Choices are counted by the hour, and spread evenly over it."""
RECENT_HOURS: Final = 28 * 24
"""At the end of a log: how fast the clock runs there is how fast it goes on."""

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ShopClock:
    """Positive events by the hour, of those hours that had any."""

    hours: IntArray
    """(H,) ascending, since 1970 UTC."""
    counts: IntArray
    """(H,) events of each."""

    @classmethod
    def of(cls, time_us: IntArray) -> "ShopClock":
        """Of the moments (E,) of all positive events, in any order: µs since 1970 UTC."""
        hours, counts = np.unique(time_us // HOUR_US, return_counts=True)
        return cls(hours.astype(np.int64), counts.astype(np.int64))

    def later(self, time_us: IntArray) -> "ShopClock":
        """With further events (E,); it is as if all had been counted at once."""
        if not len(time_us):
            return self
        more = ShopClock.of(time_us)
        hours, place = np.unique(np.concatenate([self.hours, more.hours]), return_inverse=True)
        counts = np.zeros(len(hours), np.int64)
        np.add.at(counts, place, np.concatenate([self.counts, more.counts]))
        return ShopClock(hours, counts)

    def read(self, time_us: IntArray) -> FloatArray:
        """(P,): how many events lie before each moment, and after the last hour would have come."""
        times = np.asarray(time_us, np.int64)
        hour = times // HOUR_US
        ended = np.concatenate([[0], self.counts.cumsum()])
        place = np.searchsorted(self.hours, hour)
        within = np.append(self.counts, 0)[place]
        inside = np.append(self.hours, np.iinfo(np.int64).max)[place] == hour
        share = np.where(inside, (times - hour * HOUR_US) / HOUR_US, 0.0)
        return np.asarray(ended[place] + share * within + self._after(times), np.float64)

    def _after(self, times: IntArray) -> FloatArray:
        """(P,): what is expected after the last hour."""
        if not len(self.hours):
            return np.zeros(len(times))
        end = int(self.hours[-1]) + 1
        length = min(RECENT_HOURS, end - int(self.hours[0]))
        recent = int(self.counts[self.hours >= end - length].sum())
        return np.maximum(times - end * HOUR_US, 0) / HOUR_US * (recent / length)
