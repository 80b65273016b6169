"""From a message queue into the log and the online features: at least once, never twice.

A batch is read, gated, appended, pushed and only then acknowledged. A consumer that dies before
the acknowledgement leaves its messages to the next one, which finds the events known and pushes
the same state again.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Final

import pandas as pd

from coldstart_models.errors import StreamLost
from coldstart_models.event_intake import EventsResult
from coldstart_models.event_stream import TOGETHER, EventStream, Message, event_frame

log = logging.getLogger(__name__)

FIRST_DELAY: Final = 0.1
LONGEST_DELAY: Final = 10.0
"""Seconds between attempts to reach a queue that does not answer; doubled each time."""
IDLE_WAIT: Final = 1.0
"""Seconds that a read waits for a first message: how soon a stop is noticed."""

Take = Callable[[pd.DataFrame], EventsResult]


class Until(StrEnum):
    """When to end."""

    STOPPED = "stopped"
    ONCE = "once"
    """After one batch, or one wait in vain."""
    IDLE = "idle"
    """When every message of the group is acknowledged."""


@dataclass(frozen=True, slots=True)
class Batching:
    """How messages are taken together."""

    size: int = 500
    """Messages at most."""
    wait: float = 0.05
    """Seconds from the first message of a batch until it is taken in, full or not."""


@dataclass(frozen=True, slots=True)
class Consumed:
    """What became of the messages so far."""

    messages: int = 0
    accepted: int = 0
    duplicates: int = 0
    quarantined: int = 0
    batches: int = 0
    reconnects: int = 0
    seconds: float = 0.0
    """Since the start, waits included."""
    working_seconds: float = 0.0
    """Taking batches in."""
    lag: int | None = None
    """Messages not acknowledged yet; None where the queue was not asked."""

    @property
    def rate(self) -> float:
        """Messages per second of work."""
        return self.messages / self.working_seconds if self.working_seconds else 0.0

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        counts = asdict(self)
        return {
            **counts,
            "seconds": round(self.seconds, 3),
            "working_seconds": round(self.working_seconds, 3),
            "events_per_second": round(self.rate, 1),
        }

    def with_batch(self, taken: EventsResult, *, messages: int, seconds: float) -> "Consumed":
        """One batch more."""
        return replace(
            self,
            messages=self.messages + messages,
            accepted=self.accepted + len(taken.accepted),
            duplicates=self.duplicates + len(taken.duplicates),
            quarantined=self.quarantined + len(taken.quarantined),
            batches=self.batches + 1,
            working_seconds=self.working_seconds + seconds,
        )


Told = Callable[[Consumed], None]


def consume(
    stream: EventStream,
    take: Take,
    *,
    stop: threading.Event,
    batching: Batching | None = None,
    until: Until = Until.STOPPED,
    give_up_after: float | None = None,
    told: Told = lambda consumed: None,
) -> Consumed:
    """Take messages in until told to stop; the batch at hand is finished first.

    Args:
        take: gates, appends and pushes a frame of raw events.
        give_up_after: seconds without an answer after which StreamLost is raised; never by default.
        told: called after every batch and every wait in vain.
    """
    began = time.monotonic()
    done, lost = Consumed(), _Lost(stop, give_up_after)
    while not stop.is_set():
        try:
            messages = _batch(stream, batching or Batching(), stop)
            for part in _together(messages):
                started = time.perf_counter()
                taken = take(event_frame(part, stream=stream.name))
                stream.acknowledge(part)
                done = done.with_batch(
                    taken, messages=len(part), seconds=time.perf_counter() - started
                )
            done = replace(done, lag=stream.outstanding(), seconds=time.monotonic() - began)
        except StreamLost as error:
            lost.wait(error)
            done = replace(done, reconnects=done.reconnects + 1)
            continue
        lost.found()
        told(done)
        if until is Until.ONCE or (until is Until.IDLE and not messages and not done.lag):
            break
    return replace(done, seconds=time.monotonic() - began)


def _batch(stream: EventStream, batching: Batching, stop: threading.Event) -> list[Message]:
    """The next messages: as many as come within the batch's wait after the first."""
    messages = stream.read(limit=batching.size, wait=IDLE_WAIT)
    if any(message.deliveries > 1 for message in messages):
        return messages
    deadline = time.monotonic() + batching.wait
    while messages and len(messages) < batching.size and not stop.is_set():
        left = deadline - time.monotonic()
        if left <= 0:
            break
        messages += stream.read(limit=batching.size - len(messages), wait=left)
    return messages


def _together(messages: Sequence[Message]) -> list[Sequence[Message]]:
    """What is taken in at once: what came often by itself, as it may be what went wrong."""
    alone = [message for message in messages if message.deliveries > TOGETHER]
    others = [message for message in messages if message.deliveries <= TOGETHER]
    return [*([others] if others else []), *([message] for message in alone)]


class _Lost:
    """Waits longer and longer for a queue that does not answer."""

    def __init__(self, stop: threading.Event, give_up_after: float | None) -> None:
        self._stop, self._give_up_after = stop, give_up_after
        self.found()

    def found(self) -> None:
        self._since: float | None = None
        self._delay = FIRST_DELAY

    def wait(self, error: StreamLost) -> None:
        """Raises the error where it has been so for too long."""
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        if self._give_up_after is not None and now - self._since >= self._give_up_after:
            raise error
        log.warning("%s; trying again in %.1f s", error, self._delay)
        self._stop.wait(self._delay)
        self._delay = min(2 * self._delay, LONGEST_DELAY)
