"""The curve of transfer as Markdown: what a general model adds, by the share of events."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from benchmarks.tables import fact, number, table
from coldstart_models.benchmark_result import Measurement, aligned
from coldstart_models.metrics import NDCG, USER_METRICS, bootstrap_intervals, seed_means

Result = Mapping[str, Any]
ALONE: Final = "target alone"
TRANSFERRED: Final = "general, then target"
PLACE: Final = USER_METRICS.index(NDCG)


def published(results: Sequence[Result], *, machine: Mapping[str, Any]) -> str:
    """The table of every target and share, and what the general models are made of.

    Raises ValueError where nothing was measured.
    """
    if not results:
        raise ValueError("no point was measured; give --data the folder of the data sets")
    body = []
    for target in dict.fromkeys(one["target"] for one in results):
        shares = sorted({one["share"] for one in results if one["target"] == target}, reverse=True)
        for share in shares:
            row = _row([one for one in results if (one["target"], one["share"]) == (target, share)])
            if row is not None:
                body.append([f"`{target}`", f"{share:.0%}", *row])
    columns = ["target", "share", "events", "seeds", "users", ALONE, TRANSFERRED]
    columns += ["gain", "95 %", "gain, %"]
    head = (
        f"{NDCG} of `siamese+meta` on the cold items. The gain is paired by seed and user, its "
        "interval a bootstrap over users.\n"
    )
    return "\n".join(
        [head, table(columns, body), _made_of(results), f"- machine: {fact(machine)}\n"]
    )


def _row(results: Sequence[Result]) -> list[str] | None:
    """Of one target and share; None where an arm was not measured."""
    by_arm = {
        arm: {one["seed"]: one for one in results if one["arm"] == arm and "values" in one}
        for arm in (ALONE, TRANSFERRED)
    }
    seeds = sorted(set(by_arm[ALONE]) & set(by_arm[TRANSFERRED]))
    if not seeds:
        return None
    alone, transferred = (
        aligned([_measurement(by_arm[arm][seed]) for seed in seeds]) for arm in (ALONE, TRANSFERRED)
    )
    base = float(seed_means(alone)[PLACE])
    with_general = float(seed_means(transferred)[PLACE])
    low, high = bootstrap_intervals(transferred - alone, seed=0)[PLACE]
    gain = with_general - base
    first = [by_arm[ALONE][seed] for seed in seeds]
    return [
        f"{np.mean([one['events'] for one in first]):.0f}",
        f"{len(seeds)}",
        f"{np.mean([len(one['users']) for one in first]):.0f}",
        number(base, best=base >= with_general),
        number(with_general, best=with_general > base),
        signed(gain),
        f"{signed(low)} to {signed(high)}",
        f"{100 * gain / base:+.1f}" if base else "–",
    ]


def signed(value: float) -> str:
    """A difference with its sign."""
    return f"{'+' if value >= 0 else '−'}{number(abs(float(value)))}"


def _made_of(results: Sequence[Result]) -> str:
    """What each target's general model learned from."""
    lines = []
    for target in dict.fromkeys(one["target"] for one in results):
        made = [one["general"] for one in results if one["target"] == target and one.get("general")]
        for told in made[:1]:
            shops = "; ".join(
                f"{one['name']} ({one['contents']:,} contents, {one['pairs']:,} pairs)"
                for one in told["sources"]
            )
            lines.append(f"- general for `{target}`: {shops}; kept step {told['kept_step']}\n")
    return "".join(lines)


def _measurement(result: Result) -> Measurement:
    users = np.array(result["users"], np.int64)
    return Measurement(
        seed=result["seed"],
        user_index=users,
        values=np.array(result["values"], np.float64),
        history_size=np.zeros(len(users), np.int64),
        stranger=np.zeros(len(users), bool),
        coverage=0.0,
        num_candidates=result["candidates"],
        group_hits=np.zeros(0),
        group_truths=np.zeros(0),
    )
