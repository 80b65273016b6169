"""What first customers are worth to a new listing: ``make bench-shots``.

Every learner of few shots at k = 1, 3, 5, 10 and 20 customers, against the same model without them
(k = 0) on the same pool: the cold items with more than k customers. With the learner that won on
validation, what the customers' profiles add and what how they came adds are measured apart, and
what warm items lose where adapted new ones stand among them. A larger k has a pool of fewer and
better-known listings; so the learner that is kept is measured at every k on the pool of the largest
as well, where nothing differs but how many customers are known.

One JSON a cut and seed in ``benchmarks/results/shots``, named by its data and code as well; what is
there is not measured again. A cut whose data is absent is left out with its reason; its tables,
and those of cuts that were not asked for, stay as they were last published.
"""

import argparse
import logging
import os
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks import page_sections, shots_cells, shots_tables
from benchmarks.choices import part_of
from benchmarks.grid import GRID, Cut, Opened, open_cut, readable
from benchmarks.kept_results import index, kept, kept_path
from benchmarks.quality import DOCUMENT, QUALITY
from benchmarks.results import FOLDER, machine
from benchmarks.shots_cells import SHOTS
from coldstart_models.commands import console

NAME: Final = "shots"
CELLS: Final = FOLDER / NAME
INDEX: Final = f"{NAME}.json"
"""Beside CELLS: which cells the tables were written from."""
CUTS: Final = tuple(cut.name for cut in GRID if not cut.photos_alone)
"""All but that of photos alone, whose shop is among the others already.

The reserved one too, for the report alone: the targets of first customers are those of every retail
cut.
"""


def main() -> None:
    """Measure what is missing, then write the tables."""
    options = _options()
    logging.basicConfig(level=logging.ERROR)
    torch.set_num_threads(options.threads)
    measured: dict[Path, dict[str, Any]] = {}
    cuts, left_out = readable((cut for cut in GRID if cut.name in options.cuts), options.data)
    for cut in cuts:
        opened = open_cut(cut, data=options.data, stores=QUALITY / "stores")
        for seed in range(min(cut.seeds, options.seeds)):
            path = cell_path(cut, seed, opened.fingerprint)
            measured[path] = kept(path, partial(_measured, cut, opened, seed))
    text = shots_tables.published(list(measured.values()), left_out=left_out, machine=machine())
    if options.no_tables:
        console.say(text)
    else:
        page_sections.put(text, options.into, name=NAME)
        index(list(measured), CELLS.with_name(INDEX))


def cell_path(cut: Cut, seed: int, fingerprint: tuple[str | int, ...]) -> Path:
    """Where the result of a cut and seed is, or will be."""
    return kept_path(
        CELLS,
        f"{cut.name}-{seed}",
        asked=[cut.name, cut.source, str(cut.plan), cut.photos_alone, seed, SHOTS],
        fingerprint=fingerprint,
        modules=[shots_cells.__name__],
    )


def _measured(cut: Cut, opened: Opened, seed: int) -> dict[str, Any]:
    found = shots_cells.measured(opened.catalogue, opened.split_of(seed), seed=seed)
    console.say(f"measured: {cut.name}, seed {seed}")
    return {"cut": cut.name, **found}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.shots", description=__doc__)
    cuts = [cut.name for cut in GRID]
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the data sets")
    parser.add_argument("--cuts", type=part_of(cuts), default=CUTS, help=", ".join(cuts))
    parser.add_argument("--seeds", type=int, default=1, help="at most so many seeds of a cut")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--into", type=Path, default=DOCUMENT, help="Markdown with the place marked"
    )
    parser.add_argument("--no-tables", action="store_true", help="print them alone")
    return parser.parse_args()


if __name__ == "__main__":
    main()
