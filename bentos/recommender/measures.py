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

from bentos.recommender.observing import spans
from coldstart_models.stage_times import measured_by

if TYPE_CHECKING:
    from prometheus_client import Counter as Metric
    from prometheus_client import Histogram

    from coldstart_models.intake import QuarantinedRow

STAGE_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
SHARE_BUCKETS: Final = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


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
def stage(name: str, *, span: str | None = None, **attributes: spans.Value) -> Iterator[None]:
    """Time one stage of a request, and the stages that the packages below it name.

    Args:
        name: the metric's label, such as history, recommend, explain, gate, encode, push.
        span: what a trace calls it, by default the same.
        attributes: of the span; never an id of a person.
    """
    started = perf_counter()
    try:
        with spans.span(span or name, stage=name, **attributes), measured_by(_inner_stage):
            yield
    finally:
        _stage_seconds().labels(stage=name).observe(perf_counter() - started)


@contextmanager
def _inner_stage(name: str, size: dict[str, str | int]) -> Iterator[None]:
    with stage(name, span=None, **size):
        yield


def observe_store(operation: str, *, outcome: str, seconds: float) -> None:
    """A read or a push of the online store: answered, lost or skipped."""
    _store_seconds().labels(operation=operation, outcome=outcome).observe(seconds)


def observe_store_share(endpoint: str, share: float) -> None:
    """The part of a request's time, 0 to 1, that it waited for the online store."""
    _store_share().labels(endpoint=endpoint).observe(share)


def count_degraded(endpoint: str, *, reason: str) -> None:
    """An answer that says itself that it is less than what was asked for."""
    _degraded().labels(endpoint=endpoint, reason=reason).inc()


def count_refused(reason: str, *, endpoint: str = "none") -> None:
    """A request that was not let in (no key, unknown key, scope, rate, body, media type), or that
    was sent away to come again (saturated, store, disk)."""
    _refused().labels(reason=reason, endpoint=endpoint).inc()


def count_unlogged(log: str) -> None:
    """A served request or page that its log could not take."""
    _unlogged().labels(log=log).inc()


def count_clock_step() -> None:
    """The machine's clock was set back while the service ran."""
    _clock_steps().inc()


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


def count_swap(outcome: str) -> None:
    """A chosen model that took the served one's place (swapped), or did not (refused)."""
    _swaps().labels(outcome=outcome).inc()


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
def _swaps() -> "Metric":
    from prometheus_client import Counter

    return Counter("coldstart_model_swaps", "Chosen models that were tried", ["outcome"])


@cache
def _intake() -> "Metric":
    from prometheus_client import Counter

    return Counter("coldstart_intake_rows", "Rows taken in", ["kind", "outcome"])


@cache
def _store_seconds() -> "Histogram":
    from prometheus_client import Histogram

    return Histogram(
        "coldstart_store_seconds",
        "Time that the service waited for the online store",
        ["operation", "outcome"],
        buckets=STAGE_BUCKETS,
    )


@cache
def _store_share() -> "Histogram":
    from prometheus_client import Histogram

    return Histogram(
        "coldstart_store_share",
        "Part of a request's time in the online store",
        ["endpoint"],
        buckets=SHARE_BUCKETS,
    )


@cache
def _degraded() -> "Metric":
    from prometheus_client import Counter

    return Counter("coldstart_degraded_answers", "Answers that say less", ["endpoint", "reason"])


@cache
def _refused() -> "Metric":
    from prometheus_client import Counter

    return Counter("coldstart_refused_requests", "Requests sent away", ["endpoint", "reason"])


@cache
def _unlogged() -> "Metric":
    from prometheus_client import Counter

    return Counter("coldstart_unlogged", "Served requests or pages not logged", ["log"])


@cache
def _clock_steps() -> "Metric":
    from prometheus_client import Counter

    return Counter("coldstart_clock_steps_back", "Times the machine's clock was set back")
