"""The table of targets as it stands on its page, beside what a run found: row by row the newer.

Results are not kept in the repository, and those of one machine are gone with it; the page keeps
what they said. A row is known by its target and where it was measured. One whose target was given
up or is worded anew stays, too: nobody but its reader can tell.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from benchmarks import tables
from benchmarks.outcomes import ABSENT, COLUMNS, Outcome, Row

EVERYWHERE: Final = ("all", "generated")
"""Places of a row that says of a target as a whole that it was not measured."""
Key = tuple[str, str]


def standing(page: str, *, name: str) -> list[Row]:
    """The rows between a page's marks; none of a place that is empty.

    Raises ValueError without the marks, and where a table of other columns stands there.
    """
    found = tables.rows_of(tables.standing(page, name=name))
    if any(tuple(row) != COLUMNS for row in found):
        raise ValueError(f"the table {name!r} has other columns than {', '.join(COLUMNS)}")
    return [[*row.values()] for row in found]


def merged(page: Sequence[Row], outcomes: Sequence[Outcome]) -> list[Row]:
    """The page's rows, each replaced where a result says more, and new ones beside their like.

    Args:
        page: as `standing` reads them; they keep their order.
        outcomes: of every target, in order, measured or not. One that the page lacks comes after
            the one before it, and after what the page has there that this run does not know.
    """
    judged = {(one.target, one.where): one for one in outcomes}
    measured = {one.target for one in outcomes if one.known}
    told = {row[0] for row in page if row[2] != ABSENT}
    rows = [_newer(row, judged) for row in page if not _outdone(row, judged, measured)]
    place = 0
    for key, one in judged.items():
        there = next((at for at, row in enumerate(rows) if _key(row) == key), None)
        if there is not None:
            place = there + 1
            while place < len(rows) and _key(rows[place]) not in judged:
                place += 1
        elif one.known or one.where not in EVERYWHERE or one.target not in told:
            rows.insert(place, one.row())
            place += 1
    return rows


def _key(row: Row) -> Key:
    return row[0], row[1]


def _newer(row: Row, judged: Mapping[Key, Outcome]) -> Row:
    """The run's row, or the page's where the run has no result."""
    found = judged.get(_key(row))
    return row if found is None or not found.known else found.row()


def _outdone(row: Row, judged: Mapping[Key, Outcome], measured: set[str]) -> bool:
    """Whether it says of a target as a whole that it was not measured, and now it was."""
    target, where, found, *_ = row
    idle = where in EVERYWHERE and found == ABSENT
    return idle and target in measured and (target, where) not in judged
