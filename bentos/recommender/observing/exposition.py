"""What `/metrics` tells of the worker as it is at the moment it is asked.

Bento collects metrics over files of several processes, where a value that is computed when it is
asked for, and a label that goes, do not exist. It lets a service add to its text.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bentos.recommender.observing.load import LOAD
from bentos.recommender.readiness import Readiness

if TYPE_CHECKING:
    from prometheus_client import Metric


class Exposition(Readiness):
    """Gauges of this worker: one service, one worker."""

    def __metrics__(self, told: str) -> str:
        """Bento's text with ours behind it."""
        from prometheus_client import CollectorRegistry, generate_latest

        registry = CollectorRegistry()
        registry.register(_Gauges(self))
        return told + generate_latest(registry).decode()


class _Gauges:
    def __init__(self, service: Exposition) -> None:
        self._service = service

    def collect(self) -> "Iterator[Metric]":
        """The families of `docs/operating.md`, in its order."""
        from prometheus_client.core import GaugeMetricFamily

        service, recommender = self._service, self._service.recommender
        yield GaugeMetricFamily(
            "coldstart_ready",
            "1 where /readyz answers 200",
            value=float(not service.not_ready()),
        )
        yield GaugeMetricFamily(
            "coldstart_requests_in_flight",
            "Operations that are worked on or wait",
            value=LOAD.in_flight,
        )
        yield GaugeMetricFamily(
            "coldstart_requests_waiting",
            "Operations that no thread works on yet",
            value=LOAD.waiting,
        )
        yield GaugeMetricFamily(
            "coldstart_requests_bound",
            "Operations held at once; more are sent away",
            value=service.max_in_flight,
        )
        snapshot = GaugeMetricFamily(
            "coldstart_snapshot_info",
            "Model and version of what is ranked; always 1",
            labels=["model", "snapshot"],
        )
        snapshot.add_metric([recommender.tag, recommender.snapshot_version], 1.0)
        yield snapshot
        yield GaugeMetricFamily(
            "coldstart_snapshot_age_seconds",
            "Time since the snapshot took a listing or customers in, or was loaded",
            value=recommender.snapshot_age,
        )
        trained = service.contract.trained_at
        yield GaugeMetricFamily(
            "coldstart_model_age_seconds",
            "Time since the model was trained",
            value=max(0.0, (service._clock.now() - trained).total_seconds()),
        )
        yield GaugeMetricFamily(
            "coldstart_store_resting",
            "1 while the online store is left alone after failures",
            value=float(service._online.resting),
        )
