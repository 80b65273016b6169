"""What `/metrics` tells of the worker as it is at the moment it is asked.

Bento collects metrics over files of several processes, where a value that is computed when it is
asked for, and a label that goes, do not exist. It lets a service add to its text.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import bentoml

from bentos.recommender.observing.load import LOAD
from bentos.recommender.readiness import Readiness

if TYPE_CHECKING:
    from prometheus_client import Metric


class Exposition(Readiness):
    """Gauges of the worker that answers, which they name: another may answer the next time."""

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
        service, recommender = self._service, self._service.recommender
        yield _gauge(
            "coldstart_ready",
            "1 where /readyz answers 200",
            float(not service.not_ready()),
        )
        yield _gauge(
            "coldstart_requests_in_flight",
            "Operations that are worked on or wait",
            LOAD.in_flight,
        )
        yield _gauge(
            "coldstart_requests_waiting",
            "Operations that no thread works on yet",
            LOAD.waiting,
        )
        yield _gauge(
            "coldstart_requests_bound",
            "Operations held at once; more are sent away",
            service.max_in_flight,
        )
        yield _gauge(
            "coldstart_snapshot_info",
            "Model and version of what is ranked; always 1",
            1.0,
            model=recommender.tag,
            snapshot=recommender.snapshot_version,
        )
        yield _gauge(
            "coldstart_snapshot_age_seconds",
            "Time since the snapshot took a listing or customers in, or was loaded",
            recommender.snapshot_age,
        )
        trained = service.contract.trained_at
        yield _gauge(
            "coldstart_model_age_seconds",
            "Time since the model was trained",
            max(0.0, (service._clock.now() - trained).total_seconds()),
        )
        yield _gauge(
            "coldstart_store_resting",
            "1 while the online store is left alone after failures",
            float(service._online.resting),
        )


def worker() -> str:
    """Which of the workers answers, from 1; 1 too where there is no server around the service."""
    return str(bentoml.server_context.worker_index or 1)


def _gauge(name: str, meaning: str, value: float, **labels: str) -> "Metric":
    """One value of this worker."""
    from prometheus_client.core import GaugeMetricFamily

    labels["worker"] = worker()
    family = GaugeMetricFamily(name, meaning, labels=list(labels))
    family.add_metric(list(labels.values()), value)
    return family
