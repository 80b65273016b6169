"""How sure a model is and how personal, as Markdown, from `coldstart benchmark --json`.

Chances are held against choices, and what strangers are ranked by against how many came
(`coldstart_models.reliability`), and the control from what sells in general (π = 0) to the person
alone (π = 1) against what it does to the ranking (`coldstart_models.siamese.personal`), all on the
pools of cold items.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from benchmarks.tables import generated, number, table
from coldstart_models.metrics import COVERAGE, NDCG, RECALL

LIFT: Final = "popularity_lift"
Result = Mapping[str, Any]


def published(results: Sequence[Result]) -> str:
    """Calibration, strangers and the control of every source. Raises ValueError without any."""
    parts = []
    for result in results:
        found = [
            calibration(result["reliability"]),
            strangers(result["demand"]),
            control(result["personal"]),
        ]
        found = [part for part in found if part]
        if found:
            name = f"**{result['source']}**{generated(result)}"
            parts += [f"{name}: {result['split']}, first seed.\n", *found]
    if not parts:
        raise ValueError("no model of these files tells chances or can be steered")
    return "\n".join(parts)


def calibration(rows: Sequence[Mapping[str, Any]]) -> str:
    """Whether chances come true; empty where no model tells any."""
    body = [
        [
            f"`{row['model']}`",
            row["pool"],
            f"{row['shots']}",
            number(row["calibration_error"]),
            *(_share(row[name][place]) for place in (0, -1) for name in ("predicted", "observed")),
            f"{row['log_chance_gain']:.3f}",
            number(row["own_variance_said"]),
            number(row["own_variance_found"]),
            f"{row['num_users']:,}",
        ]
        for row in rows
    ]
    if not body:
        return ""
    columns = ["model", "pool", "customers known", "calibration error"]
    columns += ["least likely tenth: predicted", "observed", "likeliest tenth: predicted"]
    columns += ["observed", "log chance over blind drawing"]
    columns += ["own variance: said", "found", "users"]
    return (
        "Chance that a person's next choice among the new items is this one, without first "
        "customers and with them. Calibration error: Σ |predicted − observed| over Σ predicted, in "
        "ten bins of pairs; 0 is calibrated. Own variance: s² of a listing's log rate, as the "
        "model says it and as its choices turn out.\n\n"
        f"{table(columns, body)}"
    )


def strangers(rows: Sequence[Mapping[str, Any]]) -> str:
    """Whether what strangers are ranked by came true; empty where no model says how sure it is."""
    body = [
        [
            f"`{row['model']}`",
            f"{row['within_one_deviation']:.1%}",
            f"{row['within_two_deviations']:.1%}",
            f"{row['num_items']:,}",
        ]
        for row in rows
    ]
    if not body:
        return ""
    columns = ["model", "within one deviation", "within two", "new items"]
    return (
        "What strangers are ranked by, the expected log(1 + customers): how many new items came "
        "out within its deviation, and within two; 68 and 95 % if errors are normal and as large "
        f"as said.\n\n{table(columns, body)}"
    )


def control(points: Sequence[Mapping[str, Any]]) -> str:
    """A row a model, pool and place, the default marked, then where each peaks; empty without
    points."""
    curves = list(dict.fromkeys((one["model"], one["pool"], one["shots"]) for one in points))
    body, peaks = [], []
    for model, pool, shots in curves:
        ours = [one for one in points if (one["model"], one["shots"]) == (model, shots)]
        best = max(ours, key=lambda point: float(point[NDCG]))
        for point in ours:
            place = "beyond 1" if point["personal"] is None else f"{point['personal']:g}"
            body.append(
                [
                    f"`{model}`",
                    pool,
                    f"{shots}",
                    f"**{place}** (default)" if point["own"] else place,
                    number(point[NDCG], best=point[NDCG] == best[NDCG]),
                    number(point[RECALL]),
                    number(point[COVERAGE]),
                    "–" if point[LIFT] is None else f"{point[LIFT]:.3f}",
                ]
            )
        known = f" with {shots} customers" if shots else ""
        peaks.append(f"`{model}`{known} {_peak(ours, best)}")
    if not body:
        return ""
    columns = ["model", "pool", "customers known", "π", NDCG, RECALL, COVERAGE, "popularity lift"]
    return (
        "From what sells in general (π = 0) to the person alone (π = 1); a popularity lift of 1 is "
        f"no lean to what many choose:\n\n{table(columns, body)}\nOn these new items: "
        f"{'; '.join(peaks)}.\n"
    )


def _peak(points: Sequence[Mapping[str, Any]], best: Mapping[str, Any]) -> str:
    """Where NDCG is highest among the places looked at, and what the default is short of it."""
    own = next((point for point in points if point["own"]), None)
    if own is best:
        return "is highest at its default"
    told = f"is highest at π = {best['personal']:g}"
    if own is None:
        return told
    if own[NDCG] == best[NDCG]:
        return f"{told}, as high at its default"
    return f"{told}, its default {(1 - own[NDCG] / best[NDCG]):.1%} below"


def _share(value: float) -> str:
    return f"{value:.2%}"
