"""Whose listings have most to mend: brands and sellers, worst first."""

import json
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
        for column in WHO:
            if column in part.accepted:
                found = pd.DataFrame(
                    {
                        "held": _named(part.quarantined, column).value_counts(),
                        "warned": _named(part.warnings, column).value_counts(),
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


def _named(rows: pd.DataFrame, column: str) -> pd.Series:
    values = [json.loads(row).get(column) for row in rows[reasons.ROW]]
    named = [str(value) for value in values if value not in (None, "")]
    return pd.Series(named, dtype=object)
