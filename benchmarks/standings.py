"""What the quality benchmark's cells say: who is ahead, where, by how much.

Means are over seeds of the means over users. Intervals are 95 % bootstrap intervals over users,
the same draw of users in every seed; those of differences are paired, user by user.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from benchmarks.cells import WITHOUT, measurement
from benchmarks.estimates import Estimate, Sample, ratio
from benchmarks.grid import GRID
from coldstart_models.benchmark_result import aligned
from coldstart_models.data.pools import COLD
from coldstart_models.metrics import NDCG, USER_METRICS, FloatArray, jackknife_variance
from coldstart_models.models import CONTENT_KNN

Result = Mapping[str, Any]


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

    def pools(self, model: str, *, pool: str = COLD, shots: int = 0) -> dict[int, Result]:
        """Seed → what a model was measured to have on a pool, of those that have it."""
        return {
            result["seed"]: one
            for result in self.results
            if result["model"] == model
            for one in result.get("pools", [])
            if (one["pool"], one["shots"]) == (pool, shots)
        }

    def mean(
        self,
        model: str,
        metric: str = NDCG,
        *,
        pool: str = COLD,
        shots: int = 0,
        seeds: Container[int] | None = None,
    ) -> float:
        """A metric of one model, over its own seeds where none are named."""
        return self._sample(model, pool=pool, shots=shots, seeds=seeds).mean(metric)

    def estimate(self, model: str, metric: str = NDCG, *, pool: str = COLD) -> Estimate:
        """A metric of one model without support, over its own seeds, with its interval."""
        return self._sample(model, pool=pool).estimate(metric)

    def difference(
        self, model: str, other: str, metric: str = NDCG, *, pool: str = COLD
    ) -> Estimate | None:
        """How much better a model is than another without support, paired by seed and user.

        None where they share no seed on the pool.
        """
        found = self._less(model, other, pool=pool)
        return None if found is None else found.estimate(metric)

    def over_items(self, model: str, other: str) -> float | None:
        """Half the width of a 95 % interval of their difference of NDCG@10 over draws of items.

        A jackknife of groups: a part of the new items is left out at a time. None where a shared
        seed was measured without that.
        """
        seeds = self.seeds(model, other)
        ours, theirs = (self.pools(name) for name in (model, other))
        if not seeds or not all(WITHOUT in one[seed] for one in (ours, theirs) for seed in seeds):
            return None
        parts = np.array(
            [np.subtract(ours[seed][WITHOUT], theirs[seed][WITHOUT]) for seed in seeds]
        )
        return float(1.96 * np.sqrt(jackknife_variance(parts).sum()) / len(seeds))

    def share(
        self, model: str, other: str, *, pool: str = COLD, shots: int = 0, metric: str = NDCG
    ) -> Estimate | None:
        """A model's mean with support over another's without, paired by seed and user.

        None where they share no seed on the pool.
        """
        found = self._paired(model, other, pool=pool, shots=shots)
        if found is None:
            return None
        place = USER_METRICS.index(metric)
        ours, theirs = (each[:, :, place] for each in found)
        return ratio(np.stack([theirs, ours], axis=2))

    def lead(self, model: str) -> float:
        """NDCG@10 above the best kNN ensemble on the seeds they share; plain without one."""
        found = self._less(model, CONTENT_KNN, pool=COLD)
        return self.mean(model) if found is None else found.mean(NDCG)

    def strongest(self, names: Iterable[str]) -> str | None:
        """The one of these with the largest lead; None where none was measured."""
        return max((name for name in names if name in self.models), key=self.lead, default=None)

    def seconds(self, model: str) -> float:
        """Mean processor time of a cell: tuning, fitting and measuring."""
        times = [one["seconds"] for one in self.results if one["model"] == model and "pools" in one]
        return float(np.mean(times))

    def _less(self, model: str, other: str, *, pool: str) -> Sample | None:
        """A model's values less another's, both without support; None where no seed is shared."""
        key = (model, other, pool)
        if key not in self._differences:
            found = self._paired(model, other, pool=pool)
            self._differences[key] = None if found is None else Sample(found[0] - found[1])
        return self._differences[key]

    def _paired(
        self, model: str, other: str, *, pool: str, shots: int = 0
    ) -> tuple[FloatArray, FloatArray] | None:
        """(S, U, 4) of a model with support, of another without; None where no seed is shared."""
        asked = ((model, shots), (other, 0))
        seeds = set.intersection(
            *(set(self.pools(name, pool=pool, shots=count)) for name, count in asked)
        )
        if not seeds:
            return None
        ours, theirs = (
            self._sample(name, pool=pool, shots=count, seeds=seeds).values for name, count in asked
        )
        return ours, theirs

    def _sample(
        self, model: str, *, pool: str, shots: int = 0, seeds: Container[int] | None = None
    ) -> Sample:
        """What the users of some seeds have, read once."""
        found = self.pools(model, pool=pool, shots=shots)
        used = tuple(seed for seed in found if seeds is None or seed in seeds)
        key = (model, pool, shots, used)
        if key not in self._samples:
            measured = [measurement(found[seed], seed=seed) for seed in used]
            self._samples[key] = Sample(aligned(measured))
        return self._samples[key]

    @cached_property
    def _samples(self) -> dict[tuple[str, str, int, tuple[int, ...]], Sample]:
        """Model, pool, shots and seeds → what was read."""
        return {}

    @cached_property
    def _differences(self) -> dict[tuple[str, str, str], Sample | None]:
        """Model, other and pool → what was paired."""
        return {}


def models_in_order() -> list[str]:
    """All models of the grid, as its widest cut has them."""
    return max((list(cut.models) for cut in GRID), key=len)
