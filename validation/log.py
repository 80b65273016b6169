"""What a log of events shows as a whole: rates no person reaches, and days without any event."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd

from validation import tables
from validation.checks import CLOCK_SKEW
from validation.identities import Hashes, among

FASTEST: Final = 40
"""Deliberate acts of one user within a minute beyond which no person acts."""
DELIBERATE: Final = (tables.CLICK, tables.CART, tables.RATING)
"""One purchase may have hundreds of lines, and one page dozens of impressions."""
BUSY: Final = 20
"""Events of a middling day from which a day without any is a gap."""
LONGEST_NOTE: Final = 3
US_A_DAY: Final = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Rates:
    """The users and minutes with more acts than a person can make."""

    minutes: Hashes
    """Ascending, of user and minute."""
    acts: np.ndarray

    def too_fast(self, events: pd.DataFrame) -> dict[int, str]:
        """Row → how many acts its user made within its minute, where no person makes so many."""
        acts, minutes = _user_minutes(events)
        fast = among(minutes, self.minutes)
        counts = self.acts[np.searchsorted(self.minutes, minutes[fast])]
        return dict(zip(acts.index[fast].tolist(), map(str, counts.tolist()), strict=True))


@dataclass(slots=True)
class RateSurvey:
    """Counts users' deliberate acts by the minute, chunk after chunk."""

    _parts: list[Hashes] = field(default_factory=list)

    def add(self, events: pd.DataFrame) -> None:
        """Take canonical events."""
        self._parts.append(_user_minutes(events)[1])

    def rates(self) -> Rates:
        """Those that are too fast for a person."""
        minutes, counts = np.unique(np.concatenate(self._parts), return_counts=True)
        fast = counts > FASTEST
        return Rates(minutes[fast], counts[fast])


@dataclass(slots=True)
class DaySurvey:
    """Counts events by the day, chunk after chunk: those that the gate can accept by their time.

    Days are numbered from 1970. One event of the year 9999 is no gap of eight thousand years.
    """

    now: datetime
    _parts: list[pd.Series] = field(default_factory=list)

    def add(self, events: pd.DataFrame) -> None:
        """Take canonical events."""
        times = events[tables.EVENT_TIMESTAMP].dropna()
        possible = times[times.between(pd.Timestamp(tables.EARLIEST), self.now + CLOCK_SKEW)]
        days = possible.dt.as_unit("us").astype("int64") // US_A_DAY
        self._parts.append(days.value_counts())

    def gaps(self) -> tuple[str, ...]:
        """A sentence where days between the first and the last have no event; none if thin."""
        counts = pd.concat(self._parts).groupby(level=0).sum()
        if counts.empty:
            return ()
        every = np.arange(counts.index[0], counts.index[-1] + 1)
        missing = np.setdiff1d(every, counts.index.to_numpy())
        if not len(missing) or counts.median() < BUSY or len(missing) > len(every) / 2:
            return ()
        weekly = np.bincount(missing % 7).max() > 0.8 * len(missing) and len(missing) > 3
        if weekly:  # a shop that closes on one day of the week
            return ()
        days = missing[:LONGEST_NOTE].astype("datetime64[D]")
        first = ", ".join(day.isoformat() for day in days.tolist())
        more = f" and {len(missing) - LONGEST_NOTE} more" if len(missing) > LONGEST_NOTE else ""
        return (
            f"no event on {len(missing)} of {len(every)} days ({first}{more}); look for lost data",
        )


def _user_minutes(events: pd.DataFrame) -> tuple[pd.DataFrame, Hashes]:
    """The deliberate acts, and a hash of user and minute of each."""
    acts = events[events[tables.EVENT_TYPE].isin(DELIBERATE)]
    acts = acts.dropna(subset=[tables.USER_ID, tables.EVENT_TIMESTAMP])
    keys = pd.DataFrame(
        {"user": acts[tables.USER_ID], "minute": acts[tables.EVENT_TIMESTAMP].dt.floor("min")}
    )
    hashes: Hashes = pd.util.hash_pandas_object(keys, index=False).to_numpy().astype(np.uint64)
    return acts, hashes
