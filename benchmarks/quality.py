"""Ranking quality of every model on every cut: ``make bench-quality``.

A grid of cells (cut, seed, model), each measured once and kept in
``benchmarks/results/quality/cells``; a run that is stopped loses one cell. Peers are tuned in
their cell. What is measured goes as tables into ``docs/benchmarks.md``, where cuts that have no
result here stay as they were last published. Cells of a cut at a date
that were measured before launches were ranked within their months count, and are measured anew once
no other is missing.

Time: a cell is meant to take at most CELL_SECONDS of a core's time; steps of descent, trials and
users per trial are bounded accordingly. A run starts no cell after --hours.
"""

import argparse
import gc
import json
import logging
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from threadpoolctl import threadpool_limits

from benchmarks import quality_page, quality_tables, tables
from benchmarks.cells import Cell, Workbench, lacks_months, measured
from benchmarks.choices import part_of
from benchmarks.grid import GRID, Cut, Opened, open_cut, readable
from benchmarks.kept_results import index, write
from benchmarks.peers.tuning import TRIALS
from benchmarks.results import FOLDER, machine
from coldstart_models.commands import console
from coldstart_models.errors import NotEnoughData

CELL_SECONDS: Final = 120
HOURS: Final = 4.0
QUALITY: Final = FOLDER / "quality"
INDEX: Final = "quality.json"
"""Beside QUALITY: which cells the tables were written from."""
DOCUMENT: Final = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"

Results = dict[Path, dict[str, Any]]
"""Where a cell's result is → the result."""


@dataclass(frozen=True, slots=True)
class Place:
    """A cell and where its result is."""

    cell: Cell
    path: Path


def main() -> None:
    """Measure what is missing, then write the tables."""
    options = _options()
    logging.basicConfig(level=logging.ERROR)
    torch.set_num_threads(options.threads)
    cuts = [cut for cut in GRID if cut.name in options.cuts]
    with threadpool_limits(options.threads):
        places, results, left_out = run(cuts, options)
    if not options.no_tables:
        text = quality_tables.published(
            list(results.values()), asked=len(places), left_out=left_out, machine=machine()
        )
        page = tables.standing(options.into.read_text(encoding="utf-8"), name="quality")
        tables.put(quality_page.beside(page, text), options.into, name="quality")
        index([place.path for place in places], QUALITY.with_name(INDEX))
        console.say(f"tables written to {options.into}")


def run(
    cuts: list[Cut], options: argparse.Namespace
) -> tuple[list[Place], Results, dict[str, str]]:
    """Measure the cells that have no result yet.

    Returns: all cells' places, the results that there are, and why cuts are absent.
    """
    present, left_out = readable(cuts, options.data)
    opened = {
        cut.name: open_cut(cut, data=options.data, stores=QUALITY / "stores") for cut in present
    }
    places = list(_places(present, opened, options))
    missing = [place for place in places if not place.path.exists()]
    console.say(f"{len(places)} cells, {len(places) - len(missing)} of them already measured")
    if options.no_measuring:
        return places, _read(places), left_out
    began = time.monotonic()
    _measure(missing, opened, began=began, hours=options.hours)
    results = _read(places)
    old = [place for place in places if _lacks_months(place, results)]
    if old:
        console.say(f"{len(old)} of them without launch months; they are measured anew last")
        _measure(old, opened, began=began, hours=options.hours)
    return places, results | _read(old), left_out


def _read(places: Iterable[Place]) -> Results:
    """What has been measured; it takes much memory, so it is read once no cell is missing."""
    return {
        place.path: json.loads(place.path.read_text(encoding="utf-8"))
        for place in places
        if place.path.exists()
    }


def _lacks_months(place: Place, results: Results) -> bool:
    """Whether its result says nothing of launch months though the cut is at a date."""
    return place.path in results and lacks_months(results[place.path], place.cell.cut)


def _places(
    cuts: list[Cut], opened: dict[str, Opened], options: argparse.Namespace
) -> Iterator[Place]:
    """Cells by seed, cut and model: whatever stops the run, the cuts have equally many seeds."""
    for seed in range(max((cut.seeds for cut in cuts), default=0)):
        for cut in cuts:
            if seed >= min(cut.seeds, options.seeds):
                continue
            for model in cut.models:
                if not options.models or model in options.models:
                    cell = Cell(cut, seed, model, options.trials)
                    fingerprint = opened[cut.name].fingerprint
                    yield Place(cell, cell.path(QUALITY / "cells", fingerprint))


def _measure(places: list[Place], opened: dict[str, Opened], *, began: float, hours: float) -> None:
    """Measure the cells one by one until the time is up, counted from when the run began."""
    started, bench, at = time.monotonic(), None, ("", -1)
    for done, place in enumerate(places):
        cell = place.cell
        if time.monotonic() - began > hours * 3600:
            console.say(f"{hours:g} hours are over: {len(places) - done} cells are left")
            return
        if (cell.cut.name, cell.seed) != at:
            at, bench = (cell.cut.name, cell.seed), None
            gc.collect()
            bench = _bench(opened[cell.cut.name], cell)
        if bench is None:
            continue
        result = measured(cell, bench)
        write(result, place.path)
        _tell(result, done + 1, len(places), time.monotonic() - started)


def _bench(opened: Opened, cell: Cell) -> Workbench | None:
    try:
        return Workbench.of(opened, cell.seed)
    except NotEnoughData as reason:
        console.say(f"left out: {cell.cut.name}: {reason}")
        return None


def _tell(result: dict[str, Any], done: int, total: int, spent: float) -> None:
    left = spent / done * (total - done)
    what = f"{result['cut']} seed {result['seed']} {result['model']}"
    if "skipped" in result:
        found = f"left out: {result['skipped']}"
    else:
        slow = " (over the budget of a cell)" if result["seconds"] > CELL_SECONDS else ""
        found = f"{result['seconds']:.0f} s{slow}"
    console.say(f"{done}/{total} {what}: {found}; about {left / 60:.0f} min left")


def usual() -> tuple[str, ...]:
    """Names of all cuts but the reserved ones: what is measured where nothing else is asked for."""
    return tuple(cut.name for cut in GRID if not cut.reserved)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.quality", description=__doc__)
    cuts = [cut.name for cut in GRID]
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the data sets")
    parser.add_argument("--cuts", type=part_of(cuts), default=usual(), help=", ".join(cuts))
    models = list(dict.fromkeys(model for cut in GRID for model in cut.models))
    parser.add_argument("--models", type=part_of(models), default=(), help=", ".join(models))
    parser.add_argument("--seeds", type=int, default=5, help="at most so many seeds of a cut")
    parser.add_argument("--trials", type=int, default=TRIALS, help="of each peer's tuning")
    parser.add_argument("--hours", type=float, default=HOURS, help="start no cell after these")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--into", type=Path, default=DOCUMENT, help="Markdown with the place marked"
    )
    parser.add_argument("--no-tables", action="store_true", help="measure alone")
    parser.add_argument("--no-measuring", action="store_true", help="write the tables alone")
    return parser.parse_args()


if __name__ == "__main__":
    main()
