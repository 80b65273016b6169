"""The tables of the benchmark of shots: gains over k = 0 with paired bootstrap intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.tables import fact, number, table

RESAMPLES: Final = 1000
Result = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Gain:
    """Relative gain of a mean over another one of the same users, with its 95 % interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{_percent(self.mean)} ({_percent(self.low)} to {_percent(self.high)})"


def gain(
    without: Sequence[npt.NDArray[np.float64]], adapted: Sequence[npt.NDArray[np.float64]]
) -> Gain:
    """Of the mean over seeds: each seed's users are drawn anew, the same ones in both.

    Args:
        without: of each seed the users' values without support.
        adapted: the same with it.
    """
    generator = np.random.default_rng(95)
    base, better = np.zeros(RESAMPLES), np.zeros(RESAMPLES)
    for plain, other in zip(without, adapted, strict=True):
        count = len(plain)
        weights = generator.multinomial(count, np.full(count, 1 / count), size=RESAMPLES) / count
        base, better = base + weights @ plain, better + weights @ other
    low, high = np.percentile(better / base - 1, [2.5, 97.5])
    mean = sum(float(each.mean()) for each in adapted) / sum(float(x.mean()) for x in without) - 1
    return Gain(mean, float(low), float(high))


def published(
    results: Sequence[Result], *, left_out: Mapping[str, str], machine: Mapping[str, Any]
) -> str:
    """Every table. Raises ValueError where nothing was measured."""
    names = list(dict.fromkeys(result["cut"] for result in results))
    if not names:
        raise ValueError("no cut has been measured; give --data the folder of the data sets")
    parts = []
    for name in names:
        parts += _of_cut(name, [result for result in results if result["cut"] == name])
    facts: dict[str, Any] = {"machine": machine}
    facts["CPU minutes"] = round(sum(result["seconds"] for result in results) / 60, 1)
    if left_out:
        facts["left out"] = left_out
    parts.append("".join(f"- {name}: {fact(value)}\n" for name, value in facts.items()))
    return "\n".join(parts)


def _of_cut(name: str, results: Sequence[Result]) -> list[str]:
    shots = [
        count
        for count in sorted({pool["shots"] for result in results for pool in result["pools"]})
        if all(any(pool["shots"] == count for pool in result["pools"]) for result in results)
    ]
    winners = ", ".join(f"`{result['contest']['winner']}`" for result in results)
    users = round(np.mean([len(pool["users"]) for one in results for pool in one["pools"]]))
    head = f"**{name}**: {len(results)} seed(s), about {users} users; won on validation: {winners}."
    if not shots:
        return [f"{head} No pool is large enough.\n"]
    columns = ["ndcg@10", *(f"k = {count}" for count in shots)]
    rows = [["k = 0 on the same pool", *(number(_without(results, count)) for count in shots)]]
    rows += [
        [f"`{learner}`", *(str(_gain(results, count, learner)) for count in shots)]
        for learner in results[0]["pools"][0]["with"]
    ]
    parts = [f"{head}\n\n{table(columns, rows)}"]
    warm = [result["warm"] for result in results if result["warm"]]
    if warm:
        told = "; ".join(
            f"{what} {number(float(np.mean([each[what] for each in warm])))}" for what in warm[0]
        )
        parts.append(f"`{name}`, ndcg@10 of warm items: {told}.\n")
    return parts


def _values(results: Sequence[Result], shots: int, learner: str | None) -> list[Any]:
    """Of each seed, the users' NDCG@10."""
    pools = [pool for one in results for pool in one["pools"] if pool["shots"] == shots]
    return [np.array(one["without"] if learner is None else one["with"][learner]) for one in pools]


def _without(results: Sequence[Result], shots: int) -> float:
    return float(np.mean([values.mean() for values in _values(results, shots, None)]))


def _gain(results: Sequence[Result], shots: int, learner: str) -> Gain:
    return gain(_values(results, shots, None), _values(results, shots, learner))


def _percent(value: float) -> str:
    return f"{'−' if value < 0 else '+'}{abs(value) * 100:.1f} %"
