"""The curve of transfer as Markdown: what a general model adds, by the share of events.

Rows that a run did not measure stay as the page shows them, for results are not kept in the
repository.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.cut_rows import beside, cut_of
from benchmarks.page_sections import in_order, of_earlier
from benchmarks.tables import fact, generated, number, percent, rows_of, spread, table
from coldstart_models.benchmark_result import Measurement, aligned
from coldstart_models.metrics import NDCG, USER_METRICS, bootstrap_intervals, seed_means

Result = Mapping[str, Any]
Row = dict[str, str]
TARGET: Final = "target"
ALONE: Final = "target alone"
TRANSFERRED: Final = "general, then target"
UNLEARNED: Final = "unlearned start"
WHOLE: Final = "whole log"
"""The bound: no arm, for it learned from events that the share lacks."""
ARMS: Final = (ALONE, UNLEARNED, TRANSFERRED)
COLUMNS: Final = (
    *(TARGET, "share", "events", "seeds", "users"),
    *ARMS,
    *("over alone", "over alone, %", "over unlearned", "over unlearned, %"),
    *(WHOLE, f"{WHOLE} over alone, %"),
)
PLACE: Final = USER_METRICS.index(NDCG)
MADE_OF: Final = "general for "
"""How it is told what a target's general model learned from."""


def published(results: Sequence[Result], *, machine: Mapping[str, Any], page: str = "") -> str:
    """The table of every target and share, and what the general models are made of.

    Args:
        page: what was published before; its rows of other targets and shares stay.

    Raises ValueError where nothing was measured.
    """
    found = curve(results)
    if not found:
        raise ValueError("no point was measured; give --data the folder of the data sets")
    rows = beside(rows_of(page), found, column=TARGET, part=_place)
    head = (
        f"{NDCG} of `siamese+meta` on the cold items. `{UNLEARNED}` is as `{TRANSFERRED}`, but "
        "learned nothing elsewhere: it has content similarity in the place of the general space. "
        f"Gains are of `{TRANSFERRED}`, paired by seed and user; in brackets 95 % bootstrap "
        f"intervals over users. `{WHOLE}` learned from all of the target's events and ranks by the "
        "histories of the share.\n"
    )
    made = told_of(page) | made_of(results)
    measured, shown = ({cut_of(row, TARGET) for row in some} for some in (found, rows))
    told = {f"{MADE_OF}`{name}`": made[name] for name in in_order(made)} | {"machine": machine}
    facts = [f"- {name}: {fact(value)}" for name, value in told.items()]
    facts += of_earlier(shown - measured)
    body = table(list(rows[0]), [list(row.values()) for row in rows])
    return "\n".join([head, body, *facts, ""])


def told_of(page: str) -> dict[str, str]:
    """What the page says each target's general model learned from."""
    begin = f"- {MADE_OF}`"
    lines = [line.removeprefix(begin) for line in page.splitlines() if line.startswith(begin)]
    return {target: said for target, _, said in (line.partition("`: ") for line in lines)}


def _place(row: Mapping[str, str]) -> float:
    """Of a target's rows that of the most events comes first."""
    return -float(row["share"].rstrip("%"))


def curve(results: Sequence[Result]) -> list[Row]:
    """A row of every target and share, column by column."""
    rows = []
    for target in dict.fromkeys(one["target"] for one in results):
        shares = sorted({one["share"] for one in results if one["target"] == target}, reverse=True)
        for share in shares:
            found = [one for one in results if (one["target"], one["share"]) == (target, share)]
            row = _row(found)
            if row is not None:
                cells = [f"`{target}`{generated(found[0])}", f"{share:.0%}", *row]
                rows.append(dict(zip(COLUMNS, cells, strict=True)))
    return rows


def _row(results: Sequence[Result]) -> list[str] | None:
    """Of one target and share; None where two arms were not measured with one seed."""
    by_arm = {
        arm: {one["seed"]: one for one in results if one["arm"] == arm and "values" in one}
        for arm in (*ARMS, WHOLE)
    }
    seeds = sorted(set(by_arm[ALONE]) & set(by_arm[TRANSFERRED]))
    if not seeds:
        return None
    values = {
        arm: aligned([_measurement(found[seed]) for seed in seeds])
        for arm, found in by_arm.items()
        if set(seeds) <= set(found)
    }
    means = {arm: float(seed_means(found)[PLACE]) for arm, found in values.items()}
    best = max(means[arm] for arm in ARMS if arm in means)
    first = [by_arm[ALONE][seed] for seed in seeds]
    return [
        f"{np.mean([one['events'] for one in first]):.0f}",
        f"{len(seeds)}",
        f"{np.mean([len(one['users']) for one in first]):.0f}",
        *(number(means.get(arm), best=means.get(arm) == best) for arm in ARMS),
        *_gain(values, means, ALONE),
        *_gain(values, means, UNLEARNED),
        number(means.get(WHOLE)),
        _more(means, WHOLE, ALONE),
    ]


def _gain(
    values: Mapping[str, npt.NDArray[np.float64]], means: Mapping[str, float], base: str
) -> tuple[str, str]:
    """What transfer adds to an arm, with its interval and in per cent."""
    if base not in values:
        return "–", "–"
    bounds = bootstrap_intervals(values[TRANSFERRED] - values[base], seed=0)[PLACE]
    gain = means[TRANSFERRED] - means[base]
    return spread(gain, bounds), _more(means, TRANSFERRED, base)


def _more(means: Mapping[str, float], arm: str, base: str) -> str:
    """By how much an arm is above another, in per cent."""
    if arm not in means or not means[base]:
        return "–"
    return percent(means[arm] / means[base] - 1.0)


def made_of(results: Sequence[Result]) -> dict[str, str]:
    """Target → what its general model learned from."""
    facts = {}
    for target in dict.fromkeys(one["target"] for one in results):
        made = [
            one["general"]
            for one in results
            if (one["target"], one["arm"]) == (target, TRANSFERRED) and one.get("general")
        ]
        for told in made[:1]:
            shops = "; ".join(
                f"{one['name']} ({'generated, ' if one['generated'] else ''}"
                f"{one['contents']:,} contents, {one['pairs']:,} pairs)"
                for one in told["sources"]
            )
            facts[target] = f"{shops}; kept step {told['kept_step']}"
    return facts


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
