"""What a benchmark found: rows of means and intervals, breakdowns, and what was left out."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from coldstart_models.data.catalogue import BoolArray, IntArray
from coldstart_models.data.pools import Skipped
from coldstart_models.metrics import (
    AUC,
    COVERAGE,
    MRR,
    NDCG,
    RECALL,
    USER_METRICS,
    FloatArray,
    bootstrap_intervals,
    seed_means,
)
from coldstart_models.reliability import DemandReliability, Reliability

DIGITS: Final = 5


@dataclass(frozen=True, slots=True)
class Measurement:
    """One model on one pool with one seed."""

    seed: int
    user_index: IntArray
    """(U,)"""
    values: FloatArray
    """(U, 4) in the order of USER_METRICS; NaN where undefined."""
    history_size: IntArray
    """(U,) distinct items of each user's history."""
    stranger: BoolArray
    """(U,) whose history holds no item of the ranked domain."""
    coverage: float
    num_candidates: int
    group_hits: FloatArray
    """(G,) truth found in the first 20, by category."""
    group_truths: FloatArray
    """(G,) truth, by category."""
    cells: Mapping[str, FloatArray] = field(default_factory=dict)
    """Name → (U, 4) as `values`, of the pool's cell ranked by itself."""
    lift: float = np.nan
    """Popularity lift, a mean over users: see `metrics.popularity_lift`."""


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One model, shots and pool: means over users and seeds."""

    model: str
    shots: int
    pool: str
    recall: float
    ndcg: float
    mrr: float
    auc: float | None
    """None where no user has a candidate outside the truth."""
    coverage: float
    num_users: int
    num_candidates: int
    interval: dict[str, tuple[float, float]]
    """Bootstrap 95 % interval of each mean over users."""

    def as_dict(self) -> dict[str, Any]:
        """The row of the JSON report."""
        return {
            "model": self.model,
            "shots": self.shots,
            "pool": self.pool,
            RECALL: self.recall,
            NDCG: self.ndcg,
            MRR: self.mrr,
            AUC: self.auc,
            COVERAGE: self.coverage,
            "interval": {name: list(bounds) for name, bounds in self.interval.items()},
            "num_users": self.num_users,
            "num_candidates": self.num_candidates,
        }


@dataclass(frozen=True, slots=True)
class Breakdown:
    """How one model does on one group of a pool at zero shots."""

    model: str
    by: str
    """``category`` (over pairs of user and item), ``history``, ``domain`` or ``warmth`` (users)."""
    group: str
    recall: float
    """Recall@20"""
    ndcg: float | None
    """NDCG@10; None over pairs."""
    count: int
    """Pairs, or users, that it is over; a mean over seeds."""

    def as_dict(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "by": self.by,
            "group": self.group,
            RECALL: self.recall,
            NDCG: self.ndcg,
            "count": self.count,
        }


@dataclass(frozen=True, slots=True)
class PersonalPoint:
    """A model at one place between the general and the personal, on a pool of cold items."""

    model: str
    pool: str
    shots: int
    personal: float | None
    """0 is what sells in general, 1 the person alone; None is the model's own score where it leans
    away from what sells, as no place does."""
    own: bool
    """Whether it is the place that the model learned."""
    recall: float
    ndcg: float
    coverage: float
    lift: float | None
    """1 is no lean to what many choose; None where nobody else chose any of it."""

    def as_dict(self) -> dict[str, Any]:
        """The point of the JSON report."""
        return {
            "model": self.model,
            "pool": self.pool,
            "shots": self.shots,
            "personal": self.personal,
            "own": self.own,
            RECALL: self.recall,
            NDCG: self.ndcg,
            COVERAGE: self.coverage,
            "popularity_lift": self.lift,
        }


@dataclass(frozen=True, slots=True)
class BenchmarkResult:
    """Everything a benchmark measured, and how."""

    source: str
    split: str
    num_users: int
    num_candidates: int
    """Of the `cold` pool; rounded means over seeds where the split differs by seed."""
    seeds: int
    results: list[ResultRow]
    breakdowns: list[Breakdown] = field(default_factory=list)
    personal: list[PersonalPoint] = field(default_factory=list)
    """From the general to the personal, of models that can be steered; first seed."""
    reliability: list[Reliability] = field(default_factory=list)
    """Of models that tell chances; first seed."""
    demand: list[DemandReliability] = field(default_factory=list)
    """Of the same, for strangers on the cold pool."""
    skipped: list[Skipped] = field(default_factory=list)
    generated: bool = False
    """Whether the source was made up by us."""

    def row(self, model: str, *, shots: int = 0, pool: str = "cold") -> ResultRow:
        """The one row of that model, shots and pool. Raises KeyError."""
        for row in self.results:
            if (row.model, row.shots, row.pool) == (model, shots, pool):
                return row
        raise KeyError(f"no row of model {model!r}, {shots} shots, pool {pool!r}")

    @property
    def models(self) -> list[str]:
        """The measured models, in the order asked."""
        return list(dict.fromkeys(row.model for row in self.results))

    @property
    def pools(self) -> list[str]:
        """The measured pools, `cold` first."""
        return list(dict.fromkeys(row.pool for row in self.results))

    def as_dict(self) -> dict[str, Any]:
        """The JSON report."""
        return {
            "source": self.source,
            "generated": self.generated,
            "split": self.split,
            "num_users": self.num_users,
            "num_candidates": self.num_candidates,
            "seeds": self.seeds,
            "results": [row.as_dict() for row in self.results],
            "breakdowns": [breakdown.as_dict() for breakdown in self.breakdowns],
            "reliability": [one.as_dict() for one in self.reliability],
            "demand": [one.as_dict() for one in self.demand],
            "personal": [point.as_dict() for point in self.personal],
            "skipped": [asdict(skipped) for skipped in self.skipped],
        }


def result_row(model: str, shots: int, pool: str, measured: Sequence[Measurement]) -> ResultRow:
    """Means over the seeds' means over users, and their bootstrap intervals."""
    values = aligned(measured)
    means = seed_means(values)
    bounds = bootstrap_intervals(values, seed=0)
    numbers = {name: _rounded(mean) for name, mean in zip(USER_METRICS, means, strict=True)}
    auc = means[USER_METRICS.index(AUC)]
    return ResultRow(
        model=model,
        shots=shots,
        pool=pool,
        recall=numbers[RECALL],
        ndcg=numbers[NDCG],
        mrr=numbers[MRR],
        auc=None if np.isnan(auc) else numbers[AUC],
        coverage=_rounded(np.mean([one.coverage for one in measured])),
        num_users=round(np.mean([len(one.user_index) for one in measured])),
        num_candidates=round(np.mean([one.num_candidates for one in measured])),
        interval={
            name: (_rounded(low), _rounded(high))
            for name, (low, high) in zip(USER_METRICS, bounds, strict=True)
            if not np.isnan(low)
        },
    )


def aligned(measured: Sequence[Measurement]) -> npt.NDArray[np.float64]:
    """(S, U, 4) values of every user any seed measured; NaN where one did not."""
    users = np.unique(np.concatenate([one.user_index for one in measured]))
    values = np.full((len(measured), len(users), len(USER_METRICS)), np.nan)
    for place, one in enumerate(measured):
        values[place, np.searchsorted(users, one.user_index)] = one.values
    return values


def _rounded(value: float | np.floating[Any]) -> float:
    return round(float(value), DIGITS)
