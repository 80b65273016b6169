"""How often a key may ask: a token bucket a key.

A bucket holds `burst` requests and gains `rate` a second. It is of one worker: with several,
each counts for itself.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from coldstart_models.api_keys import ApiKey


@dataclass(slots=True)
class Bucket:
    """What a key may still ask now."""

    left: float
    at: float


class Buckets:
    """One bucket a key, as full as when the key was last used and filled since."""

    def __init__(
        self,
        rate: float = 100.0,
        burst: int = 200,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Requests a second and at once, of keys that say nothing of their own."""
        self._rate, self._burst, self._clock = rate, burst, clock
        self._buckets: dict[str, Bucket] = {}

    def take(self, key: ApiKey) -> float:
        """Take one request; the seconds to wait where there is none, else 0."""
        rate = key.rate or self._rate
        burst = float(key.burst or self._burst)
        now = self._clock()
        bucket = self._buckets.get(key.digest)
        if bucket is None:
            bucket = self._buckets[key.digest] = Bucket(burst, now)
        bucket.left = min(burst, bucket.left + (now - bucket.at) * rate)
        bucket.at = now
        if bucket.left < 1.0:
            return (1.0 - bucket.left) / rate
        bucket.left -= 1.0
        return 0.0
