"""What the quality benchmark's cells say: who is ahead, where, by how much.

Means are over seeds of the means over users. Intervals are 95 % bootstrap intervals over users,
the same draw of users in every seed; those of differences are paired, user by user.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from benchmarks.cells import measurement
from benchmarks.grid import GRID
from coldstart_models.benchmark_result import Measurement, aligned
from coldstart_models.data.pools import COLD
from coldstart_models.metrics import (
    NDCG,
    USER_METRICS,
    bootstrap_intervals,
    bootstrap_means,
    percentile_interval,
    seed_means,
)
from coldstart_models.models import CONTENT_KNN

Result = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Standing:
    """One cut's results. Models may have different seeds; they are compared on those they share."""

    cut: str
    results: Sequence[Result]

    @cached_property
    def models(self) -> list[str]:
        """Those measured, in the order of the grid."""
        found = {result["model"] for result in self.results if "pools" in result}
        return [name for name in models_in_order() if name in found]

    def seeds(self, *models: str) -> list[int]:
        """Those that every one of the models was measured with."""
        measured = [
            {one["seed"] for one in self.results if one["model"] == name and "pools" in one}
            for name in models
        ]
        return sorted(set.intersection(*measured))

    @cached_property
    def shots(self) -> list[int]:
        """Numbers of first customers that were measured with every seed."""
        counts = [
            {one["shots"] for one in result["pools"]}
            for result in self.results
            if result.get("adapts")
        ]
        return sorted(set.intersection(*counts) - {0}) if counts else []

    @cached_property
    def skipped(self) -> dict[str, str]:
        """Model → why it could not be had."""
        return {
            result["model"]: result["skipped"] for result in self.results if "skipped" in result
        }

    def measurements(
        self, model: str, *, pool: str = COLD, shots: int = 0, seeds: Container[int] | None = None
    ) -> list[Measurement]:
        """One of each seed that has the pool; `seeds` narrows them."""
        return [
            measurement(one, seed=result["seed"])
            for result in self.results
            if result["model"] == model and (seeds is None or result["seed"] in seeds)
            for one in result.get("pools", [])
            if (one["pool"], one["shots"]) == (pool, shots)
        ]

    def estimate(
        self,
        model: str,
        metric: str = NDCG,
        *,
        pool: str = COLD,
        shots: int = 0,
        seeds: Container[int] | None = None,
    ) -> Estimate:
        """A metric of one model, over its own seeds where none are named."""
        measured = self.measurements(model, pool=pool, shots=shots, seeds=seeds)
        return _estimate(aligned(measured), metric)

    def difference(
        self, model: str, other: str, metric: str = NDCG, *, pool: str = COLD
    ) -> Estimate | None:
        """How much better a model is than another without support, paired by seed and user.

        None where they share no seed on the pool.
        """
        found = [self.measurements(name, pool=pool) for name in (model, other)]
        shared = set.intersection(*({one.seed for one in each} for each in found))
        if not shared:
            return None
        ours, theirs = (aligned([one for one in each if one.seed in shared]) for each in found)
        return _estimate(ours - theirs, metric)

    def share(
        self, model: str, other: str, *, pool: str = COLD, shots: int = 0, metric: str = NDCG
    ) -> Estimate | None:
        """A model's mean with support over another's without, paired by seed and user.

        None where they share no seed on the pool.
        """
        found = [self.measurements(model, pool=pool, shots=shots)]
        found.append(self.measurements(other, pool=pool))
        shared = set.intersection(*({one.seed for one in each} for each in found))
        if not shared:
            return None
        place = USER_METRICS.index(metric)
        values = np.stack(
            [aligned([one for one in each if one.seed in shared])[:, :, place] for each in found],
            axis=2,
        )
        ours, whole = seed_means(values)
        draws = bootstrap_means(values, seed=0)
        low, high = percentile_interval(draws[:, [0]] / draws[:, [1]])[0]
        return Estimate(float(ours / whole), float(low), float(high))

    def lead(self, model: str) -> float:
        """NDCG@10 above the best kNN ensemble on the seeds they share; plain without one."""
        found = self.difference(model, CONTENT_KNN)
        return self.estimate(model).mean if found is None else found.mean

    def strongest(self, names: Iterable[str]) -> str | None:
        """The one of these with the largest lead; None where none was measured."""
        return max((name for name in names if name in self.models), key=self.lead, default=None)

    def seconds(self, model: str) -> float:
        """Mean processor time of a cell: tuning, fitting and measuring."""
        times = [one["seconds"] for one in self.results if one["model"] == model and "pools" in one]
        return float(np.mean(times))


def models_in_order() -> list[str]:
    """All models of the grid, as its widest cut has them."""
    return max((list(cut.models) for cut in GRID), key=len)


def _estimate(values: "np.typing.NDArray[np.float64]", metric: str) -> Estimate:
    """Of (S, U, 4) values."""
    place = USER_METRICS.index(metric)
    low, high = bootstrap_intervals(values, seed=0)[place]
    return Estimate(float(seed_means(values)[place]), float(low), float(high))
