"""The service's clock: the machine's, but it never goes back.

A machine's clock is set back when it had run fast. Honest events would then be from the future,
and what was received would be older than what it answers to. Until the machine's clock has caught
up, time goes on here at its usual pace.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from bentos.recommender import measures

logger = logging.getLogger("bentoml.coldstart")

NOTICED: Final = timedelta(milliseconds=50)
"""Less is no step: two clocks are read one after the other."""


def _machine() -> datetime:
    return datetime.now(UTC)


class ServiceClock:
    """One process's time. Safe to share between threads."""

    def __init__(
        self,
        machine: Callable[[], datetime] = _machine,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._machine, self._monotonic = machine, monotonic
        self._lock = threading.Lock()
        self._latest, self._at = machine(), monotonic()
        self._behind = False

    def now(self) -> datetime:
        """UTC; never before what it said earlier."""
        with self._lock:
            wall, at = self._machine(), self._monotonic()
            expected = self._latest + timedelta(seconds=at - self._at)
            behind = wall < expected - NOTICED
            if behind and not self._behind:
                measures.count_clock_step()
                logger.warning(
                    "the machine's clock was set back by %.1f s; the service's own goes on",
                    (expected - wall).total_seconds(),
                )
            self._behind = behind
            self._latest, self._at = (expected if behind else max(wall, self._latest)), at
            return self._latest
