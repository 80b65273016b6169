"""A cut's section of the quality page beside what a run of some of its models found.

Row by row the newer: who measures one model again publishes it among the others, as they were last
measured.
"""

import re
from collections.abc import Sequence
from typing import Final

from benchmarks.grid import DATED_KNN
from benchmarks.ranks import MODEL, NULLS
from benchmarks.standings import models_in_order
from benchmarks.tables import ordered, rows_of, table
from coldstart_models.metrics import NDCG

BOLD: Final = "**"
HEADING: Final = re.compile(r"^(?P<split>.*?candidates)\.")
"""What the cut is: users and candidates of another number are of other data."""
ABSENT: Final = re.compile(r" Not measured yet: [^.]*\.")
BY_MODEL: Final = f"`{DATED_KNN}`: "
"""What comes before the values of a sentence that tells one of each model."""
OF_MODEL: Final = re.compile(r"`([^`]+)` ([^`]+?)(?:, |\.$)")


def models_of(section: str) -> dict[str, float]:
    """Model → its NDCG@10 in the section's first table, to the digits shown."""
    first = next((block for block in _blocks(section) if block.startswith(f"| {MODEL} |")), "")
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
    blocks, placed = [], set()
    for place, block in enumerate(before):
        at = _counterpart(block, after)
        placed.add(at)
        if at is None:
            blocks.append(block)
        elif _is_table(block):
            blocks.append(_merged(block, after[at]))
        elif BY_MODEL in block:
            blocks.append(_told_of_both(block, after[at]))
        else:
            blocks.append(block if place == 0 else ABSENT.sub("", after[at]))
    blocks += [block for at, block in enumerate(after) if at not in placed]
    return "\n\n".join(blocks)


def _blocks(section: str) -> list[str]:
    return [block.strip("\n") for block in section.split("\n\n") if block.strip("\n")]


def _is_table(block: str) -> bool:
    return block.startswith("| ")


def _counterpart(block: str, after: Sequence[str]) -> int | None:
    """Where the other section says the same: a table by its columns, words by their beginning."""
    if _is_table(block):
        head = block.splitlines()[0]
        return next((at for at, one in enumerate(after) if one.splitlines()[0] == head), None)
    begins = block.partition(":")[0].partition(".")[0]
    return next((at for at, one in enumerate(after) if one.startswith(begins)), None)


def _merged(old: str, new: str) -> str:
    """A table of both tables' models, in the grid's order, its best numbers in bold."""
    rows = {_name(row): row for text in (old, new) for row in rows_of(text)}
    names = ordered(rows, models_in_order())
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


def _told_of_both(old: str, new: str) -> str:
    """A sentence that tells a value of each model, of both sentences' models."""
    begins, _, _ = new.partition(BY_MODEL)
    told = {
        name: value
        for text in (old, new)
        for name, value in OF_MODEL.findall(text.partition(BY_MODEL)[2])
    }
    names = ordered(told, models_in_order())
    return f"{begins}{BY_MODEL}{', '.join(f'`{name}` {told[name]}' for name in names)}."


def _name(row: dict[str, str]) -> str:
    return next(iter(row.values())).strip("`")


def _value(cell: str) -> float | None:
    try:
        return float(cell.strip("*"))
    except ValueError:
        return None
