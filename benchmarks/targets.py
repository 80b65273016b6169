"""Which targets are met, and by how much the others are missed: ``make bench-targets``.

Nothing is measured here. It reads what the other benchmarks left in ``benchmarks/results`` (the
cells that their tables in ``docs/benchmarks.md`` were written from, and their JSON), holds it
against the targets that were set beforehand, and puts a table into that page. What the page says
of a target whose results are not at hand stays as it was last measured; the mean rank is that of
the page's own table, which is of all cuts.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks import kinds, quality, quality_page, shots, tables, target_rows, transfer
from benchmarks.grid import GRID
from benchmarks.kept_results import indexed
from benchmarks.learning_outcomes import (
    adaptation_outcomes,
    kinds_outcomes,
    own_gains_of,
    residual_outcomes,
    shots_outcomes,
    training_outcomes,
    transfer_outcomes,
)
from benchmarks.outcomes import Outcome, published
from benchmarks.quality_outcomes import first_by_mean_rank
from benchmarks.quality_outcomes import outcomes as quality_outcomes
from benchmarks.results import FOLDER
from benchmarks.serving_outcomes import serving_outcomes
from benchmarks.standings import Standing
from coldstart_models.commands import console

NAME: Final = "targets"


def main() -> None:
    """Read page and results and write the table."""
    parser = argparse.ArgumentParser(prog=f"benchmarks.{NAME}", description=__doc__)
    parser.add_argument("--results", type=Path, default=FOLDER, help="what the benchmarks wrote")
    parser.add_argument(
        "--into", type=Path, default=quality.DOCUMENT, help="Markdown with the place"
    )
    options = parser.parse_args()
    page = options.into.read_text(encoding="utf-8")
    ranked = quality_page.mean_ranks(tables.standing(page, name="quality"))
    found = [*held_against(options.results), first_by_mean_rank(*ranked)]
    told = {
        (one.target, one.where): one for one in own_gains_of(tables.standing(page, name=shots.NAME))
    }
    found = [one if one.known else told.get((one.target, one.where), one) for one in found]
    text = published(target_rows.merged(target_rows.standing(page, name=NAME), found))
    tables.put(text, options.into, name=NAME)
    console.say(text)


def held_against(folder: Path) -> Iterator[Outcome]:
    """Every target but the mean rank, and what the results in a folder say of it."""
    cells = indexed(folder / quality.INDEX)
    names = dict.fromkeys(one["cut"] for one in cells)
    yield from quality_outcomes(
        [Standing(name, [one for one in cells if one["cut"] == name]) for name in names]
    )
    first_customers: Sequence[Any] = indexed(folder / shots.INDEX)
    for cut in shots.CUTS:
        yield from shots_outcomes(cut, [one for one in first_customers if one["cut"] == cut])
    yield from residual_outcomes([cut.name for cut in GRID], _read(folder / "ablation.json"))
    yield from kinds_outcomes(
        [cut.name for cut in kinds.CUTS], _read(folder / f"{kinds.NAME}.json")
    )
    yield from transfer_outcomes(transfer.TARGETS, _read(folder / "transfer.json"))
    yield from training_outcomes(_read(folder / "training.json"))
    yield from adaptation_outcomes(_read(folder / "adaptation.json"))
    yield from serving_outcomes(_read(folder / "serving.json"))


def _read(path: Path) -> dict[str, Any] | None:
    """None where the benchmark was not run."""
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


if __name__ == "__main__":
    main()
