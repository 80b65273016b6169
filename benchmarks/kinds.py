"""In which kinds of users and items the scorer is behind popularity: ``make bench-kinds``.

The breakdowns of `coldstart benchmark` (length of the history, domains known, warmth of the item)
with what those lack: the difference to popularity of each, paired by seed and user, with its 95 %
bootstrap interval over users, on every cut of the quality benchmark. New items are those of the
cold pool; warm ones, where the cut is at a date, are ranked among their like by how many users they
had.

One cut is of this benchmark alone: of a sample's three domains it ranks the one whose items people
choose with a history in the other two.

One JSON a cut and seed in ``benchmarks/results/kinds``, named by its data and code as well; what is
there is not measured again. A cut whose data is absent is left out; its tables, and those of cuts
that were not asked for, stay as they were last published.
"""

import argparse
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from benchmarks import breakdown_tables, page_sections, tables
from benchmarks.breakdown_tables import BOUNDS, OURS
from benchmarks.choices import part_of
from benchmarks.grid import GRID, Opened, open_cut, readable
from benchmarks.kept_results import kept, kept_path, write
from benchmarks.page_sections import FACTS
from benchmarks.quality import DOCUMENT, QUALITY, usual
from benchmarks.results import FOLDER, machine
from coldstart_models.benchmark_result import Measurement
from coldstart_models.benchmarking import NO_GROUPS, Bench, Ledger, measure
from coldstart_models.breakdowns import (
    DOMAIN,
    HISTORY,
    HISTORY_BOUNDS,
    HOME_KNOWN,
    NEW,
    STRANGER,
    WARMTH,
    history_names,
)
from coldstart_models.commands import console
from coldstart_models.data.pools import COLD, WARM, cold_pool, warm_pool
from coldstart_models.errors import NotEnoughData
from coldstart_models.metrics import NDCG, USER_METRICS, bootstrap_intervals, seed_means
from coldstart_models.models import CONTENT_KNN, POPULARITY, build_ranker

NAME: Final = "kinds"
CELLS: Final = FOLDER / NAME
HANDMADE: Final = replace(
    next(cut for cut in GRID if cut.name == "amazon-2023"),
    name="amazon-2023-handmade",
    domain="Handmade_Products",
)
"""Of people with beauty and health histories."""
CUTS: Final = (*GRID, HANDMADE)
MODELS: Final = (POPULARITY, CONTENT_KNN, OURS, "siamese+meta")
RANKERS: Final = ("coldstart_models.models", "coldstart_models.siamese.ranker")
PLACE: Final = USER_METRICS.index(NDCG)
DIGITS: Final = 5
Values = npt.NDArray[np.float64]
Kind = tuple[str, str]
"""What it is told apart by, and its name."""


def main() -> None:
    """Measure what is missing, then write the tables."""
    options = _options()
    logging.basicConfig(level=logging.ERROR)
    torch.set_num_threads(options.threads)
    found = []
    cuts, _ = readable((cut for cut in CUTS if cut.name in options.cuts), options.data)
    for cut in cuts:
        opened = open_cut(cut, data=options.data, stores=QUALITY / "stores")
        seeds = [
            kept(
                kept_path(
                    CELLS,
                    f"{cut.name}-{seed}",
                    asked=[cut.name, cut.source, str(cut.plan), cut.photos_alone, seed, MODELS],
                    fingerprint=opened.fingerprint,
                    modules=RANKERS,
                ),
                partial(measured, opened, seed),
            )
            for seed in range(min(cut.seeds, options.seeds))
        ]
        found.append(as_benchmark(cut.name, seeds))
    if not found:
        raise SystemExit("no cut was measured; give --data the folder of the data sets")
    write({"cuts": found}, CELLS.with_name(f"{NAME}.json"))
    text = published(found)
    page_sections.put(text, options.into, name="cells")
    console.say(text)


def published(found: Sequence[Mapping[str, Any]]) -> str:
    """The tables of every cut, and what they were measured on.

    Args:
        found: of `as_benchmark`.
    """
    return f"{breakdown_tables.published(found)}\n{FACTS} {tables.fact(machine())}\n"


def measured(opened: Opened, seed: int) -> dict[str, Any]:
    """Every model on new items, and on warm ones where later choices of these are known."""
    split = opened.split_of(seed)
    cold, warm = cold_pool(split), warm_pool(split)
    pools = [cold] if warm is None else [cold, warm]
    protocol = Bench(opened.catalogue, split, pools, NO_GROUPS, seed, None, Ledger())
    pretrained: dict[bool, Any] = {}
    models = {}
    for name in MODELS:
        ranker = build_ranker(name, by_time=not split.seeded, pretrained=pretrained)
        try:
            ranker.fit(split.training_set(opened.catalogue), seed=seed)
        except NotEnoughData as reason:
            console.say(f"left out: {name}: {reason}")
            continue
        models[name] = {
            pool.name: _told(measure(protocol, ranker, pool, model=name, shots=[0]))
            for pool in pools
        }
        console.say(f"measured: {split.name}, seed {seed}, {name}")
    return {"split": split.name, "seed": seed, "models": models}


def _told(found: Measurement) -> dict[str, Any]:
    return {
        "users": found.user_index.tolist(),
        NDCG: found.values[:, PLACE].round(DIGITS).tolist(),
        "history": found.history_size.tolist(),
        "stranger": found.stranger.tolist(),
        "cells": {
            name: values[:, PLACE].round(DIGITS).tolist() for name, values in found.cells.items()
        },
    }


def as_benchmark(source: str, seeds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The seeds of one cut as `coldstart benchmark` tells them, and the intervals beside."""
    models = [name for name in MODELS if all(name in one["models"] for one in seeds)]
    found = {name: kinds_of([one["models"][name] for one in seeds]) for name in models}
    breakdowns = []
    for name in models:
        for (by, group), values in found[name].items():
            row = {
                "model": name,
                "by": by,
                "group": group,
                NDCG: round(float(seed_means(values[:, :, None])[0]), DIGITS),
                "count": round(float((~np.isnan(values)).sum() / len(seeds))),
            }
            if name == OURS and POPULARITY in found:
                less = (values - found[POPULARITY][by, group])[:, :, None]
                ends = bootstrap_intervals(less, seed=0)[0]
                if not np.isnan(ends).any():
                    row[BOUNDS] = [round(float(end), DIGITS) for end in ends]
            breakdowns.append(row)
    return {"source": source, "split": seeds[0]["split"], "breakdowns": breakdowns}


def kinds_of(measured: Sequence[Mapping[str, Any]]) -> dict[Kind, Values]:
    """Of one model: kind → (S, U) NDCG@10, NaN where a seed's user is of another kind.

    A kind without users in some seed is left out.
    """
    count = 1 + max(max(pool["users"]) for one in measured for pool in one.values())
    seeds = [_of_seed(one, count) for one in measured]
    shared = [kind for kind in seeds[0] if all(kind in one for one in seeds)]
    return {kind: np.stack([one[kind] for one in seeds]) for kind in shared}


def _of_seed(pools: Mapping[str, Any], count: int) -> dict[Kind, Values]:
    """(U,) of each kind that has users."""
    cold = pools[COLD]
    value = np.array(cold[NDCG])
    bucket = np.searchsorted(HISTORY_BOUNDS, cold["history"], side="right") - 1
    stranger = np.array(cold["stranger"], bool)
    inside = {(HISTORY, name): bucket == number for number, name in enumerate(history_names())}
    if stranger.any():
        inside |= {(DOMAIN, HOME_KNOWN): ~stranger, (DOMAIN, STRANGER): stranger}
    if WARM in pools:
        inside[WARMTH, NEW] = np.ones(len(value), bool)
    found = {
        kind: _spread(np.where(mask, value, np.nan), cold["users"], count)
        for kind, mask in inside.items()
    }
    for name, own in pools.get(WARM, {"cells": {}})["cells"].items():
        found[WARMTH, name] = _spread(np.array(own), pools[WARM]["users"], count)
    return {kind: own for kind, own in found.items() if not np.isnan(own).all()}


def _spread(values: Values, users: Sequence[int], count: int) -> Values:
    spread = np.full(count, np.nan)
    spread[np.asarray(users, np.int64)] = values
    return spread


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.kinds", description=__doc__)
    names = [cut.name for cut in CUTS]
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the data sets")
    parser.add_argument(
        "--cuts", type=part_of(names), default=(*usual(), HANDMADE.name), help=", ".join(names)
    )
    parser.add_argument("--seeds", type=int, default=1, help="at most so many seeds of a cut")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--into", type=Path, default=DOCUMENT, help="Markdown with the place")
    return parser.parse_args()


if __name__ == "__main__":
    main()
