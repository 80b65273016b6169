"""What the quality benchmark's cells say, as Markdown: who is ahead, where, by how much.

Means are over seeds of the means over users. Intervals are 95 % bootstrap intervals over users,
the same draw of users in every seed; those of differences are paired, user by user.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from scipy import stats

from benchmarks.cells import measurement
from benchmarks.grid import CONSTANT, DATED, GRID, SIAMESE
from benchmarks.peers.registry import PUBLISHED
from benchmarks.tables import fact, interval, number, table
from coldstart_models.benchmark_result import Measurement, aligned
from coldstart_models.data.pools import COLD
from coldstart_models.metrics import (
    AUC,
    MRR,
    NDCG,
    RECALL,
    USER_METRICS,
    bootstrap_intervals,
    seed_means,
)
from coldstart_models.models import CONTENT_KNN, MODELS, ORACLE, RANDOM

Result = Mapping[str, Any]
NULLS: Final = (RANDOM, CONSTANT, ORACLE)
"""Ends of the scale: no contestants."""
SHOWN: Final = (RECALL, NDCG, MRR, AUC)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and its 95 % interval."""

    mean: float
    low: float
    high: float

    def signed(self) -> str:
        """As a difference."""
        bounds = " to ".join(_signed(value) for value in (self.low, self.high))
        return f"{_signed(self.mean)} ({bounds})"


@dataclass(frozen=True)
class Standing:
    """One cut's results, on the seeds that all of its models have."""

    cut: str
    results: Sequence[Result]

    @cached_property
    def models(self) -> list[str]:
        """Those measured, in the order of the grid."""
        found = {result["model"] for result in self.results if "pools" in result}
        return [name for name in _order() if name in found]

    @cached_property
    def seeds(self) -> list[int]:
        """Those that every measured model has."""
        of_model = [
            {result["seed"] for result in self.results if result["model"] == name}
            for name in self.models
        ]
        return sorted(set.intersection(*of_model)) if of_model else []

    @cached_property
    def skipped(self) -> dict[str, str]:
        """Model → why it could not be had."""
        return {
            result["model"]: result["skipped"] for result in self.results if "skipped" in result
        }

    def measurements(self, model: str, *, pool: str = COLD, shots: int = 0) -> list[Measurement]:
        """One of each seed that has the pool."""
        return [
            measurement(one, seed=result["seed"])
            for result in self.results
            if result["model"] == model and result["seed"] in self.seeds
            for one in result.get("pools", [])
            if (one["pool"], one["shots"]) == (pool, shots)
        ]

    def estimate(
        self, model: str, metric: str = NDCG, *, pool: str = COLD, shots: int = 0
    ) -> Estimate:
        """A metric of one model."""
        return _estimate(aligned(self.measurements(model, pool=pool, shots=shots)), metric)

    def difference(self, model: str, other: str, metric: str = NDCG) -> Estimate:
        """How much better a model is than another on the cold pool, paired by user."""
        values = aligned(self.measurements(model)) - aligned(self.measurements(other))
        return _estimate(values, metric)

    def strongest(self, names: Iterable[str]) -> str | None:
        """The best of these by NDCG@10; None where none was measured."""
        known = [name for name in names if name in self.models]
        return max(known, key=lambda name: self.estimate(name).mean, default=None)

    def seconds(self, model: str) -> float:
        """Mean processor time of a cell: tuning, fitting and measuring."""
        times = [one["seconds"] for one in self.results if one["model"] == model and "pools" in one]
        return float(np.mean(times))


def published(
    results: Sequence[Result], *, left_out: Mapping[str, str], machine: Mapping[str, Any]
) -> str:
    """Every table. Raises ValueError where nothing was measured."""
    names = [cut.name for cut in GRID if any(result["cut"] == cut.name for result in results)]
    cuts = [Standing(name, [one for one in results if one["cut"] == name]) for name in names]
    cuts = [cut for cut in cuts if cut.seeds]
    if not cuts:
        raise ValueError("no cell has been measured; give --data the folder of the data sets")
    parts = [_against_peers(cuts), _mean_ranks(cuts)]
    for cut in cuts:
        parts += [_of_cut(cut), _shots(cut)]
    facts: dict[str, Any] = {"machine": machine}
    facts["CPU hours of all cells"] = round(sum(one.get("seconds", 0) for one in results) / 3600, 2)
    if left_out:
        facts["left out"] = left_out
    parts.append("".join(f"- {name}: {fact(value)}\n" for name, value in facts.items()))
    return "\n".join(part for part in parts if part)


def _against_peers(cuts: Sequence[Standing]) -> str:
    """Where the Siamese models stand against the strongest published peer of each cut."""
    rows = []
    for cut in cuts:
        peer = cut.strongest(PUBLISHED)
        if peer is None or not set(SIAMESE) <= set(cut.models):
            continue
        plain = [cut.difference(SIAMESE[0], CONTENT_KNN).signed()] if _has_knn(cut) else ["–"]
        row = [f"`{cut.cut}`", f"{len(cut.seeds)}", f"`{peer}` {number(cut.estimate(peer).mean)}"]
        row += [cut.difference(name, peer).signed() for name in SIAMESE]
        rows.append(row + plain)
    if not rows:
        return ""
    columns = ["cut", "seeds", "strongest published peer"]
    columns += [f"{name} − it" for name in SIAMESE]
    return (
        f"{NDCG} of the Siamese models less that of the strongest published peer, which was picked "
        "by its result on the cut, so that the comparison favours it:\n\n"
        f"{table([*columns, f'{SIAMESE[0]} − {CONTENT_KNN}'], rows)}"
    )


def _has_knn(cut: Standing) -> bool:
    return CONTENT_KNN in cut.models


def _mean_ranks(cuts: Sequence[Standing]) -> str:
    """Ranks by NDCG@10 among the models that every cut has, averaged over cuts."""
    everywhere = set.intersection(*(set(cut.models) for cut in cuts)) - set(NULLS)
    names = [name for name in _order() if name in everywhere]
    if len(names) < 2:
        return ""
    means = np.array([[cut.estimate(name).mean for name in names] for cut in cuts])
    ranks = stats.rankdata(-means, axis=1)
    rows = [
        (ranks[:, column].mean(), name, [f"{rank:g}" for rank in ranks[:, column]])
        for column, name in enumerate(names)
    ]
    body = [[f"`{name}`", f"{mean:.2f}", *of_cut] for mean, name, of_cut in sorted(rows)]
    columns = ["model", "mean rank", *(f"`{cut.cut}`" for cut in cuts)]
    return f"Rank by {NDCG} among the models measured on every cut:\n\n{table(columns, body)}"


def _of_cut(cut: Standing) -> str:
    """Metrics of all models in the cold pool, and their difference to the best kNN ensemble."""
    found = {name: [cut.estimate(name, metric) for metric in SHOWN] for name in cut.models}
    best = [max(values[place].mean for name, values in found.items() if name not in NULLS)
            for place in range(len(SHOWN))]  # fmt: skip
    body = []
    for name, values in found.items():
        paired = cut.difference(name, CONTENT_KNN).signed() if _has_knn(cut) else "–"
        ndcg = values[SHOWN.index(NDCG)]
        cells = [
            number(one.mean, best=one.mean == top) for one, top in zip(values, best, strict=True)
        ]
        body.append(
            [f"`{name}`", *cells, interval((ndcg.low, ndcg.high)),
             "–" if name == CONTENT_KNN else paired, f"{cut.seconds(name):.0f}"]
        )  # fmt: skip
    first = cut.measurements(cut.models[0])
    users = round(np.mean([len(one.user_index) for one in first]))
    candidates = round(np.mean([one.num_candidates for one in first]))
    split = next(result["split"] for result in cut.results if "split" in result)
    absent = "".join(f" `{name}` is left out: {why}." for name, why in cut.skipped.items())
    head = (
        f"**{cut.cut}**: {split}; {users} users, {candidates} candidates, "
        f"seed(s) {', '.join(map(str, cut.seeds))}.{absent}\n"
    )
    columns = ["model", *SHOWN, f"{NDCG}, 95 %", f"{NDCG} − {CONTENT_KNN}", "CPU s"]
    return f"{head}\n{table(columns, body)}"


def _shots(cut: Standing) -> str:
    """NDCG@10 without and with k first customers, on the pool of items with more than k."""
    adapting = [name for name in cut.models if _adapts(name)]
    names = [name for name in (CONTENT_KNN, SIAMESE[0]) if name in cut.models] + adapting
    pools = [
        (one["pool"], int(one["pool"].partition(">")[2]))
        for one in next((r["pools"] for r in cut.results if "pools" in r), [])
        if ">" in one["pool"]
    ]
    if not pools:
        return ""
    body = []
    for name in names:
        cells = []
        for pool, shots in dict.fromkeys(pools):
            plain, seen = (cut.measurements(name, pool=pool, shots=k) for k in (0, shots))
            cells.append(
                " → ".join(
                    number(_estimate(aligned(each), NDCG).mean) for each in (plain, seen) if each
                )
            )
        body.append([f"`{name}`", *cells])
    columns = ["model", *(f"k = {shots}" for _, shots in dict.fromkeys(pools))]
    return (
        f"`{cut.cut}`, {NDCG} without → with a listing's first k customers, each pair on the cold "
        f"items with more than k:\n\n{table(columns, body)}"
    )


def _adapts(model: str) -> bool:
    known = PUBLISHED.get(model) or MODELS.get(model)
    return known is not None and known.adapts


def _order() -> list[str]:
    """All models of the grid, as its widest cut has them."""
    names = max((cut.models for cut in GRID), key=len)
    return list(dict.fromkeys([*names, *DATED]))


def _estimate(values: "np.typing.NDArray[np.float64]", metric: str) -> Estimate:
    """Of (S, U, 4) values."""
    place = USER_METRICS.index(metric)
    low, high = bootstrap_intervals(values, seed=0)[place]
    return Estimate(float(seed_means(values)[place]), float(low), float(high))


def _signed(value: float) -> str:
    sign = "+" if value >= 0 else "−"
    return f"{sign}{number(abs(value))}"
