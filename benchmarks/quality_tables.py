"""Standings as Markdown: the tables of the quality benchmark."""

from collections.abc import Container, Mapping, Sequence
from typing import Any, Final

import numpy as np

from benchmarks import ranks
from benchmarks.estimates import Estimate
from benchmarks.grid import DATED, DATED_KNN, GRID, SIAMESE, adapts
from benchmarks.oracle_shares import shares_of_oracle
from benchmarks.peers.registry import PUBLISHED
from benchmarks.ranks import NULLS
from benchmarks.standings import Result, Standing
from benchmarks.tables import fact, interval, number, spread, table
from coldstart_models.data.pools import MONTH, shots_pool
from coldstart_models.metrics import AUC, MRR, NDCG, RECALL
from coldstart_models.models import CONTENT_KNN

STRONGEST: Final = "strongest published peer"
SHOWN: Final = (RECALL, NDCG, MRR, AUC)


def published(
    results: Sequence[Result],
    *,
    asked: int,
    left_out: Mapping[str, str],
    machine: Mapping[str, Any],
) -> str:
    """Every table. Raises ValueError where nothing was measured.

    Args:
        asked: how many cells there are to measure.
        left_out: cut → why it has none.
    """
    names = [cut.name for cut in GRID if any(result["cut"] == cut.name for result in results)]
    cuts = [Standing(name, [one for one in results if one["cut"] == name]) for name in names]
    cuts = [cut for cut in cuts if cut.models]
    if not cuts:
        raise ValueError("no cell has been measured; give --data the folder of the data sets")
    parts = [_against_peers(cuts), _mean_ranks(cuts)]
    for cut in cuts:
        parts += [_of_cut(cut), _dated(cut), within_months(cut)]
        parts += [_shots(cut), shares_of_oracle(cut)]
    facts: dict[str, Any] = {"machine": machine, "cells": f"{len(results)} of {asked} measured"}
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
        shared = cut.seeds(peer, *SIAMESE) if peer else []
        if peer is None or not shared:
            continue
        pairs = [*((name, peer) for name in SIAMESE), *((name, CONTENT_KNN) for name in SIAMESE)]
        rows.append(
            [
                f"`{cut.cut}`",
                f"{len(shared)}",
                f"`{peer}` {number(cut.mean(peer, seeds=shared))}",
                *(_paired(cut, *pair) for pair in pairs),
            ]
        )
    if not rows:
        return ""
    columns = ["cut", "seeds", STRONGEST]
    columns += [f"{name} − {other}" for other in ("peer", "kNN") for name in SIAMESE]
    return (
        f"{NDCG} of the Siamese models less that of the strongest published peer and of "
        f"`{CONTENT_KNN}`. The peer was picked by its result on the cut: that favours it. "
        f"Where it was measured, ± tells what another draw of new items would change.\n\n"
        f"{table(columns, rows)}"
    )


def _mean_ranks(cuts: Sequence[Standing]) -> str:
    """Ranks on the seeds that the models share; none where a cut has no such seed."""
    models = {cut.cut: cut.models for cut in cuts}
    names, contested = ranks.ranked(models), ranks.contested(models)
    seeds = {cut.cut: cut.seeds(*names) for cut in cuts if names and cut.cut in contested}
    if not all(seeds.values()):
        return ""
    return ranks.published(
        {
            cut.cut: {name: cut.mean(name, seeds=seeds[cut.cut]) for name in names}
            for cut in cuts
            if cut.cut in seeds
        }
    )


def _of_cut(cut: Standing) -> str:
    """Metrics of all models in the cold pool, and their difference to the best kNN ensemble."""
    found = {name: [cut.mean(name, metric) for metric in SHOWN] for name in cut.models}
    contestants = [values for name, values in found.items() if name not in NULLS]
    best = [
        max((values[place] for values in contestants), default=None) for place in range(len(SHOWN))
    ]
    body = []
    for name, values in found.items():
        ndcg = cut.estimate(name)
        other = None if name == CONTENT_KNN else cut.difference(name, CONTENT_KNN)
        body.append(
            [
                f"`{name}`",
                f"{len(cut.seeds(name))}",
                *(number(one, best=one == top) for one, top in zip(values, best, strict=True)),
                interval((ndcg.low, ndcg.high)),
                _signed(other),
                f"{cut.seconds(name):.0f}",
            ]
        )
    columns = ["model", "seeds", *SHOWN, f"{NDCG}, 95 %", f"{NDCG} − {CONTENT_KNN}", "CPU s"]
    return f"{_heading(cut)}\n{table(columns, body)}"


def _heading(cut: Standing) -> str:
    """What the cut is, and who was left out of it."""
    first = cut.pools(cut.models[0]).values()
    users = round(np.mean([len(one["users"]) for one in first]))
    candidates = round(np.mean([one["candidates"] for one in first]))
    split = next(result["split"] for result in cut.results if "split" in result)
    absent = "".join(f" `{name}` is left out: {why}." for name, why in cut.skipped.items())
    return f"**{cut.cut}**: {split}; {users} users, {candidates} candidates.{absent}\n"


def _dated(cut: Standing) -> str:
    """What ours makes of dates beyond their order, which the kNN ensemble has too."""
    found = {name: cut.difference(name, DATED_KNN) for name in DATED if name in cut.models}
    told = [f"`{name}` {_signed(one)}" for name, one in found.items() if one is not None]
    if not told:
        return ""
    return f"`{cut.cut}`, {NDCG} with dates less that of `{DATED_KNN}`: {', '.join(told)}.\n"


def within_months(cut: Standing) -> str:
    """NDCG@10 where each user ranks the launches of one calendar month; empty without months."""
    names = [name for name in cut.models if cut.pools(name, pool=MONTH)]
    if not names:
        return ""
    found = {name: cut.estimate(name, pool=MONTH) for name in names}
    best = max((one.mean for name, one in found.items() if name not in NULLS), default=None)
    body = []
    for name, one in found.items():
        other = None if name == CONTENT_KNN else cut.difference(name, CONTENT_KNN, pool=MONTH)
        bounds = interval((one.low, one.high))
        body.append([f"`{name}`", number(one.mean, best=one.mean == best), bounds, _signed(other)])
    missing = [f"`{name}`" for name in cut.models if name not in names]
    left = f" Not measured yet: {', '.join(missing)}." if missing else ""
    columns = ["model", f"{NDCG} within months", "95 %", f"less {CONTENT_KNN}"]
    return (
        f"`{cut.cut}`, {NDCG} within the launches of one calendar month at a time, a user's mean "
        f"over the months with a choice.{left}\n\n{table(columns, body)}"
    )


def _shots(cut: Standing) -> str:
    """NDCG@10 without and with k first customers, on the pool of items with more than k."""
    if not cut.shots:
        return ""
    unmoved = [name for name in (CONTENT_KNN, SIAMESE[0]) if name in cut.models]
    names = unmoved + [name for name in cut.models if adapts(name)]
    seeds = cut.seeds(*names)
    if not seeds:
        return ""
    body = [[f"`{name}`", *(_with_shots(cut, name, k, seeds) for k in cut.shots)] for name in names]
    columns = ["model", *(f"k = {shots}" for shots in cut.shots)]
    return (
        f"`{cut.cut}`, {NDCG} without → with a listing's first k customers, each pair on the cold "
        f"items with more than k:\n\n{table(columns, body)}"
    )


def _with_shots(cut: Standing, model: str, shots: int, seeds: Container[int]) -> str:
    """Both values, or the one of a model that does not adapt."""
    pool = shots_pool(shots)
    counts = (0, shots) if adapts(model) else (0,)
    found = (cut.mean(model, pool=pool, shots=count, seeds=seeds) for count in counts)
    return " → ".join(map(number, found))


def _paired(cut: Standing, model: str, other: str) -> str:
    """A difference with its interval over users, and half of that over the new items."""
    over = cut.over_items(model, other)
    told = _signed(cut.difference(model, other))
    return told if over is None else f"{told.removesuffix(')')}; of items ±{number(over)})"


def _signed(found: Estimate | None) -> str:
    """A difference with its interval."""
    return "–" if found is None else spread(found.mean, (found.low, found.high))
