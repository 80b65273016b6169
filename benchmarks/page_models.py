"""A cut's section of the quality page beside what a run of some of its models found.

Row by row the newer: who measures one model again publishes it among the others, as they were last
measured.
"""

import re
from collections.abc import Sequence
from typing import Final

from benchmarks.ranks import MODEL, NULLS
from benchmarks.standings import models_in_order
from benchmarks.tables import rows_of, table
from coldstart_models.metrics import NDCG

BOLD: Final = "**"
HEADING: Final = re.compile(r"^(?P<split>.*?candidates)\.")
"""What the cut is: users and candidates of another number are of other data."""
ABSENT: Final = re.compile(r" Not measured yet: [^.]*\.")


def models_of(section: str) -> dict[str, float]:
    """Model → its NDCG@10 in the section's first table, to the digits shown."""
    first = next((block for block in _blocks(section) if _is_table(block)), "")
    values = {_name(row): _value(row.get(NDCG, "")) for row in rows_of(first)}
    return {name: value for name, value in values.items() if value is not None}


def beside(old: str, new: str) -> str:
    """The section with the rows of both, a model's newer; the new one where the cut is another.

    Args:
        old: as it stands on the page.
        new: of a run.
    """
    before, after = _blocks(old), _blocks(new)
    was, now = (HEADING.match(blocks[0]) for blocks in (before, after))
    if was is None or now is None or was["split"] != now["split"]:
        return new
    blocks = []
    for place, block in enumerate(before):
        newer = _counterpart(block, after)
        if newer is not None and _is_table(block):
            block = _merged(block, newer)
        elif newer is not None and place > 0:
            block = ABSENT.sub("", newer)
        blocks.append(block)
    return "\n\n".join(blocks)


def _blocks(section: str) -> list[str]:
    return [block.strip("\n") for block in section.split("\n\n") if block.strip("\n")]


def _is_table(block: str) -> bool:
    return block.startswith(f"| {MODEL} |")


def _counterpart(block: str, after: Sequence[str]) -> str | None:
    """The block of the other section that says the same: a table by its columns, words by their
    beginning."""
    if _is_table(block):
        head = block.splitlines()[0]
        return next((one for one in after if one.splitlines()[0] == head), None)
    begins = block.partition(":")[0].partition(".")[0]
    return next((one for one in after if one.startswith(begins)), None)


def _merged(old: str, new: str) -> str:
    """A table of both tables' models, in the grid's order, its best numbers in bold."""
    rows = {_name(row): row for text in (old, new) for row in rows_of(text)}
    order = models_in_order()
    names = sorted(rows, key=lambda name: order.index(name) if name in order else len(order))
    columns = [*rows[names[0]]]
    for column in columns:
        if not any(rows[name][column].startswith(BOLD) for name in names):
            continue
        values = {name: _value(rows[name][column]) for name in names}
        rivals = {
            name: one for name, one in values.items() if one is not None and name not in NULLS
        }
        best = max(rivals.values())
        for name in names:
            plain = rows[name][column].strip("*")
            rows[name][column] = f"{BOLD}{plain}{BOLD}" if rivals.get(name) == best else plain
    return table(columns, [[*rows[name].values()] for name in names]).strip("\n")


def _name(row: dict[str, str]) -> str:
    return row[MODEL].strip("`")


def _value(cell: str) -> float | None:
    try:
        return float(cell.strip("*"))
    except ValueError:
        return None
