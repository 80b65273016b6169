"""Means over seeds and users with their 95 % intervals, as the tables of the benchmarks tell them.

Intervals are bootstrap intervals over users, the same draw of users in every seed.
"""

from dataclasses import dataclass
from functools import cached_property

from coldstart_models.metrics import (
    USER_METRICS,
    FloatArray,
    bootstrap_intervals,
    bootstrap_means,
    percentile_interval,
    seed_means,
)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Sample:
    """What users were measured to have; of it only what is asked for is computed, and once."""

    values: FloatArray
    """(S, U, 4) in the order of USER_METRICS; NaN where a seed has not got the user."""

    def mean(self, metric: str) -> float:
        return float(self._means[USER_METRICS.index(metric)])

    def estimate(self, metric: str) -> Estimate:
        low, high = self._intervals[USER_METRICS.index(metric)]
        return Estimate(self.mean(metric), float(low), float(high))

    @cached_property
    def _means(self) -> FloatArray:
        """(4,)"""
        return seed_means(self.values)

    @cached_property
    def _intervals(self) -> FloatArray:
        """(4, 2)"""
        return bootstrap_intervals(self.values, seed=0)


def ratio(values: FloatArray) -> Estimate:
    """Of the means over seeds, the second over the first of the same users.

    Args:
        values: (S, U, 2), NaN where a seed has not got the user.
    """
    first, second = seed_means(values)
    draws = bootstrap_means(values, seed=0)
    low, high = percentile_interval(draws[:, [1]] / draws[:, [0]])[0]
    return Estimate(float(second / first), float(low), float(high))
