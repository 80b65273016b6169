"""How many requests are being answered, and the bound beyond which more are sent away."""

from dataclasses import dataclass
from typing import Final

THREADS: Final = 4
"""Requests that Bento works on at once."""
RETRY_AFTER: Final = 1
"""Seconds after which a client that was sent away may come again."""


@dataclass(slots=True)
class Load:
    """The requests of one process. Only the event loop changes it."""

    in_flight: int = 0

    @property
    def waiting(self) -> int:
        """Those that no thread works on yet."""
        return max(0, self.in_flight - THREADS)


LOAD: Final = Load()
