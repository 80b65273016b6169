"""What `/metrics` tells beside Bento's own request metrics.

`prometheus_client` decides between one and several processes when it is first imported, by a
variable that Bento sets as a worker starts: so the metrics are made on first use.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from prometheus_client import Counter as Metric
    from prometheus_client import Histogram

    from coldstart_models.intake import QuarantinedRow

STAGE_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


@dataclass
class Tally:
    """What this process has answered since it started; `/metrics` tells the same over time."""

    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    new: int = 0
    known: int = 0
    fallbacks: Counter[str] = field(default_factory=Counter)
    follow_failures: int = 0
    lock: Lock = field(default_factory=Lock, repr=False)


TALLY: Final = Tally()


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Time one stage of a request: history, rank, explain, gate_and_encode …"""
    started = perf_counter()
    try:
        yield
    finally:
        _stage_seconds().labels(stage=name).observe(perf_counter() - started)


def count_recommended(*, new: int, known: int) -> None:
    """Recommended items by whether they are new: their ratio is the cold share."""
    _recommended().labels(kind="new").inc(new)
    _recommended().labels(kind="known").inc(known)
    with TALLY.lock:
        TALLY.new += new
        TALLY.known += known


def count_fallback(reason: str) -> None:
    """An answer that was not personal, and why."""
    _fallbacks().labels(reason=reason).inc()
    with TALLY.lock:
        TALLY.fallbacks[reason] += 1


def count_intake(kind: str, *, outcome: str, rows: int) -> None:
    """Events or listings taken in, by outcome: accepted, duplicate or quarantined."""
    _intake().labels(kind=kind, outcome=outcome).inc(rows)


def count_failed_checks(kind: str, rows: "Iterable[QuarantinedRow]") -> None:
    """Rows of events or listings by the gate's checks that they failed."""
    for row in rows:
        for check in row.checks:
            _failed_checks().labels(kind=kind, check=check).inc()


def count_follow_failure(error: Exception) -> None:
    """A look for events that others took in which failed, by the error's class."""
    _follow_failures().labels(error=type(error).__name__).inc()
    with TALLY.lock:
        TALLY.follow_failures += 1


@cache
def _stage_seconds() -> "Histogram":
    from prometheus_client import Histogram

    return Histogram(
        "coldstart_stage_seconds",
        "Time of one stage of a request",
        ["stage"],
        buckets=STAGE_BUCKETS,
    )


@cache
def _recommended() -> "Metric":
    from prometheus_client import Counter

    return Counter("coldstart_recommended_items", "Recommended items", ["kind"])


@cache
def _fallbacks() -> "Metric":
    from prometheus_client import Counter

    return Counter("coldstart_fallbacks", "Answers that were not personal", ["reason"])


@cache
def _failed_checks() -> "Metric":
    from prometheus_client import Counter

    return Counter("coldstart_gate_failures", "Rows that failed a check", ["kind", "check"])


@cache
def _follow_failures() -> "Metric":
    from prometheus_client import Counter

    return Counter(
        "coldstart_follow_failures", "Looks for events of other processes that failed", ["error"]
    )


@cache
def _intake() -> "Metric":
    from prometheus_client import Counter

    return Counter("coldstart_intake_rows", "Rows taken in", ["kind", "outcome"])
