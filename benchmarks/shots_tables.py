"""The tables of the benchmark of shots: gains over k = 0 with paired bootstrap intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.estimates import ratio
from benchmarks.tables import fact, number, percent, spread, table
from coldstart_models.metrics import seed_means

Result = Mapping[str, Any]
WHOLE: Final = "kept"
"""What the learner that is kept reached, in a cell."""
UNTAUGHT: Final = "kept, untaught"
"""What it reached as it started: launches had taught it nothing."""
OVER_UNTAUGHT: Final = f"`{WHOLE}`, over it untaught"
"""How the table calls what launches taught the learner that is kept."""
POOLS: Final = "pools"
"""Of a cell: each k on the pool of its own."""
ONE_POOL: Final = "one_pool"
"""Of a cell: each k on the pool of the largest."""


@dataclass(frozen=True, slots=True)
class Gain:
    """Relative gain of a mean over another one of the same users, with its 95 % interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return spread(self.mean, (self.low, self.high), lambda value: f"{percent(value)} %")


def shots_of(results: Sequence[Result], *, pools: str = POOLS) -> list[int]:
    """Numbers of first customers that every seed has a pool for."""
    found = [{pool["shots"] for pool in one.get(pools, ())} for one in results]
    return sorted(set.intersection(*found)) if found else []


def pairs_of(
    results: Sequence[Result],
    shots: int,
    learner: str | None,
    *,
    pools: str = POOLS,
    over: str | None = None,
) -> npt.NDArray[np.float64]:
    """(S, U, 2) NDCG@10 of every user that any seed has, without a learner and with it.

    Args:
        learner: None: the one that each seed's contest kept.
        pools: POOLS or ONE_POOL.
        over: another learner that it is held against; None: no learner.
    """
    measured = [pool for one in results for pool in one[pools] if pool["shots"] == shots]
    users = np.unique(np.concatenate([pool["users"] for pool in measured]))
    found = np.full((len(measured), len(users), 2), np.nan)
    for seed, pool in enumerate(measured):
        before = pool["without"] if over is None else pool["with"][over]
        pair = np.column_stack([before, pool["with"][learner or WHOLE]])
        found[seed, np.searchsorted(users, pool["users"])] = pair
    return found


def gain(pairs: npt.NDArray[np.float64]) -> Gain:
    """Of the means over seeds, by the draws of users of `metrics.bootstrap_means`.

    Args:
        pairs: (S, U, 2) of each seed's users without support and with it; NaN where a seed has not
            got the user.
    """
    found = ratio(pairs)
    return Gain(found.mean - 1, found.low - 1, found.high - 1)


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
    shots = shots_of(results)
    winners, kept = (
        ", ".join(f"`{result['contest'][who]}`" for result in results) for who in ("winner", "kept")
    )
    users = round(np.mean([len(pool["users"]) for one in results for pool in one["pools"]]))
    head = (
        f"**{name}**: {len(results)} seed(s), about {users} users; "
        f"won on validation: {winners}; kept: {kept}."
    )
    if not shots:
        return [f"{head} No pool is large enough.\n"]
    columns = ["ndcg@10", *(f"k = {count}" for count in shots)]
    learners = list(results[0]["pools"][0]["with"])
    plain = [seed_means(pairs_of(results, count, learners[0]))[0] for count in shots]
    rows = [["k = 0 on the same pool", *(number(float(value)) for value in plain)]]
    rows += [
        [f"`{learner}`", *(str(gain(pairs_of(results, count, learner))) for count in shots)]
        for learner in learners
    ]
    if UNTAUGHT in learners:
        taught = (str(gain(pairs_of(results, count, None, over=UNTAUGHT))) for count in shots)
        rows.append([OVER_UNTAUGHT, *taught])
    if (last := _one_pool(results)) is not None:
        gains = (str(gain(pairs_of(results, count, None, pools=ONE_POOL))) for count in shots)
        rows.append([f"`{WHOLE}`, every k on the pool of k = {last}", *gains])
    parts = [f"{head}\n\n{table(columns, rows)}"]
    warm = [result["warm"] for result in results if result["warm"]]
    if warm:
        told = "; ".join(
            f"{what} {number(float(np.mean([each[what] for each in warm])))}" for what in warm[0]
        )
        parts.append(f"`{name}`, ndcg@10 of warm items: {told}.\n")
    return parts


def _one_pool(results: Sequence[Result]) -> int | None:
    """The k whose pool every seed has all the others on; None where that is no other or not one."""
    last = {max((pool["shots"] for pool in one.get(ONE_POOL, ())), default=0) for one in results}
    counts = shots_of(results, pools=ONE_POOL)
    alike = len(last) == 1 and len(counts) > 1 and counts == shots_of(results)
    return counts[-1] if alike else None
