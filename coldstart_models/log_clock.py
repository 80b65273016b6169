"""The shop's own clock (`data.shop_clock`) by the log of a state folder, as far as it has come."""

import threading
from functools import lru_cache
from typing import Final

import numpy as np

from coldstart_models.data.positive_events import positive, times_us
from coldstart_models.data.shop_clock import ShopClock
from feature_repo.event_log import event_log
from feature_repo.home import Home
from feature_repo.log_state import Position
from validation import tables

READ: Final = (tables.EVENT_TYPE, tables.EVENT_TIMESTAMP)
"""Of the log."""


class LogClock:
    """Counts the log once, and then what is appended. Safe to share between threads."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._lock = threading.Lock()
        self._counted: tuple[Position, ShopClock] | None = None

    def now(self) -> ShopClock:
        """By all that the log holds; counted anew of a log that was written anew."""
        with self._lock:
            state = event_log(self.home).state()
            clock, rows = ShopClock.of(np.zeros(0, np.int64)), 0
            if self._counted is not None and self._counted[0].generation == state.generation:
                clock, rows = self._counted[1], self._counted[0].rows
            for part in state.parts(READ, after=rows):
                clock = clock.later(times_us(positive(part)))
            self._counted = state.position, clock
            return clock


@lru_cache(maxsize=8)
def log_clock(home: Home) -> LogClock:
    """The clock of a state folder, with what this process has counted."""
    return LogClock(home)
