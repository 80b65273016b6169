"""Whose listings have most to mend: brands and sellers, worst first."""

import json
from collections.abc import Sequence
from typing import Final

import pandas as pd

from validation import reasons, tables
from validation.result import GateResult

WHO: Final = (tables.BRAND, tables.SELLER_ID)
MOST: Final = 10

Worst = dict[str, list[dict[str, object]]]
"""Column → its values with the most rows to mend: `name`, `held`, `warned`, `accepted`."""


class Counts:
    """Counts rows by brand and seller, part after part."""

    def __init__(self) -> None:
        self._counts: dict[str, pd.DataFrame] = {}

    def add(self, part: GateResult) -> None:
        """Take a part's result."""
        columns = [column for column in WHO if column in part.accepted]
        held, warned = _who(part.quarantined, columns), _who(part.warnings, columns)
        for column in columns:
            found = pd.DataFrame(
                {
                    "held": held[column].value_counts(),
                    "warned": warned[column].value_counts(),
                    "accepted": part.accepted[column].value_counts(),
                }
            )
            before = self._counts.get(column)
            both = found if before is None else before.add(found, fill_value=0)
            self._counts[column] = both.fillna(0).astype(int)

    def worst(self) -> Worst:
        """Those with the most rows to mend.

        Rows without a brand (or seller) are left out; a column without anyone is too.
        """
        found: Worst = {}
        for column, counts in self._counts.items():
            bad = counts[(counts["held"] > 0) | (counts["warned"] > 0)]
            ordered = bad.sort_values(["held", "warned"], ascending=False, kind="stable")
            if len(ordered):
                found[column] = [
                    {"name": str(name), "held": held, "warned": warned, "accepted": accepted}
                    for name, held, warned, accepted in ordered.head(MOST).itertuples()
                ]
        return found


def _who(rows: pd.DataFrame, columns: Sequence[str]) -> dict[str, pd.Series]:
    """Column → its values in the raw rows, those without left out."""
    raw = [json.loads(row) for row in rows[reasons.ROW]] if columns else []
    return {
        column: pd.Series(
            [str(row[column]) for row in raw if row.get(column) not in (None, "")], dtype=object
        )
        for column in columns
    }
