"""The shop's own clock (`data.shop_clock`) by the log of a state folder, as far as it has come."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from coldstart_models.data.catalogue import IntArray
from coldstart_models.data.shop_clock import ShopClock
from feature_repo.event_log import event_log
from feature_repo.home import Home
from feature_repo.log_state import UNNAMED, LogState, Position
from validation import tables

READ: Final = (tables.EVENT_TYPE, tables.EVENT_TIMESTAMP)
"""Of the log."""


@dataclass(frozen=True, slots=True)
class _Counted:
    """How far of which log."""

    position: Position
    identity: str
    """Of its large file."""

    def is_of_another(self, state: LogState) -> bool:
        """Whether this is not the log that was counted, grown; a large file of another program's
        has no generation to tell by."""
        if state.generation == UNNAMED:
            return state.identity != self.identity
        return state.generation != self.position.generation


class LogClock:
    """Counts the log once, and then what is appended. Safe to share between threads."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._lock = threading.Lock()
        self._counted: tuple[_Counted, ShopClock] | None = None

    def now(self) -> ShopClock:
        """By all that the log holds; counted anew of a log that was written anew."""
        with self._lock:
            state = event_log(self.home).state()
            if self._counted is None or self._counted[0].is_of_another(state):
                clock, rows = ShopClock.of(np.zeros(0, np.int64)), 0
            else:
                clock, rows = self._counted[1], self._counted[0].position.rows
            for part in _after(state, rows):
                clock = clock.later(_moments(part))
            self._counted = _Counted(state.position, state.identity), clock
            return clock


@lru_cache(maxsize=8)
def log_clock(home: Home) -> LogClock:
    """The clock of a state folder, with what this process has counted."""
    return LogClock(home)


def _after(state: LogState, rows: int) -> Iterator[pa.Table]:
    """READ of what came after the log's first `rows` rows, a part at a time."""
    if rows >= state.base_rows:
        yield state.after(rows, READ)
        return
    start = 0
    for part in state.parts(READ):
        if start + part.num_rows > rows:
            yield part.slice(max(rows - start, 0))
        start += part.num_rows


def _moments(rows: pa.Table) -> IntArray:
    """(E,) µs of the positive events among these."""
    positive = pc.is_in(rows[tables.EVENT_TYPE], pa.array(tables.POSITIVE_EVENT_TYPES))
    times = rows[tables.EVENT_TIMESTAMP].filter(positive).cast(pa.int64())
    return np.asarray(times.to_numpy(), np.int64)
