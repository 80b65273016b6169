"""Benchmarks that measure one cut after another and put their rows into one table of the page."""

import argparse
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks import tables
from benchmarks.choices import part_of
from benchmarks.grid import GRID, Cut, readable
from benchmarks.page_sections import in_order, of_earlier
from benchmarks.quality import DOCUMENT, QUALITY
from benchmarks.results import machine, publish

Rows = list[dict[str, Any]]
CUT: Final = "cut"
"""The column that names it."""


def parser_of(name: str, about: str | None, *, usual: Sequence[str]) -> argparse.ArgumentParser:
    """What such a benchmark is asked.

    Args:
        about: the module's docstring.
        usual: cuts that are measured where nothing else is asked for.
    """
    parser = argparse.ArgumentParser(prog=f"benchmarks.{name}", description=about)
    cuts = [cut.name for cut in GRID]
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the data sets")
    parser.add_argument("--cuts", type=part_of(cuts), default=usual, help=", ".join(cuts))
    parser.add_argument("--stores", type=Path, default=QUALITY / "stores", help="encoded data")
    parser.add_argument("--into", type=Path, default=DOCUMENT, help="Markdown with the place")
    parser.add_argument("--no-tables", action="store_true", help="measure alone")
    return parser


def run(
    name: str,
    options: argparse.Namespace,
    measured: Callable[[Cut], Rows],
    *,
    title: str,
    page: Callable[[Rows], Rows] = list,
) -> None:
    """Measure every cut that is there, print its rows, and write the table `name`, where the rows
    of other cuts stay as they were last published.

    Args:
        options: of :func:`parser_of`.
        page: how the page shows the rows.

    Raises SystemExit where nothing was measured: what is published stays.
    """
    logging.basicConfig(level=logging.ERROR)
    torch.set_num_threads(1)
    cuts, _ = readable((cut for cut in GRID if cut.name in options.cuts), options.data)
    rows = [row for cut in cuts for row in measured(cut)]
    if not rows:
        raise SystemExit("nothing was measured, so nothing is written; see --data and --cuts")
    publish(name, title=title, rows=rows)
    if not options.no_tables:
        before = tables.standing(options.into.read_text(encoding="utf-8"), name=name)
        shown = beside(tables.rows_of(before), page(rows))
        told = tables.published({"rows": shown, "machine": machine()})
        kept = {cut_of(row) for row in shown} - {cut_of(row) for row in rows}
        tables.put("\n".join([told.rstrip(), *of_earlier(kept), ""]), options.into, name=name)


def beside(
    before: Sequence[Mapping[str, str]],
    rows: Rows,
    *,
    column: str = CUT,
    part: Callable[[Mapping[str, Any]], float] = lambda _: 0.0,
) -> Rows:
    """A table's rows and those of its page whose cuts have none among them, in the grid's order.

    A table of other columns, or of none by cut, takes the page's place.

    Args:
        before: as the page shows them.
        column: the one that names the cut.
        part: where in its cut a row stands, if a cut's rows may be measured one without others;
            such a row stays on the page where none of the same place is among `rows`.
    """
    if not rows or not before or column not in rows[0] or list(before[0]) != list(rows[0]):
        return rows
    measured = {(cut_of(row, column), part(row)) for row in rows}
    others = [dict(row) for row in before if (cut_of(row, column), part(row)) not in measured]
    of_cut: dict[str, Rows] = {}
    for row in [*others, *rows]:
        of_cut.setdefault(cut_of(row, column), []).append(row)
    return [row for cut in in_order(of_cut) for row in sorted(of_cut[cut], key=part)]


def cut_of(row: Mapping[str, Any], column: str = CUT) -> str:
    """Without what its model was told besides, as "with dates", and without a name's marks."""
    return str(row[column]).partition(",")[0].strip("`")
