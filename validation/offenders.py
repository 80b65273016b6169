"""Whose listings have most to mend: brands and sellers, worst first."""

import json
from typing import Final

import pandas as pd

from validation import reasons, tables
from validation.result import GateResult

WHO: Final = (tables.BRAND, tables.SELLER_ID)
MOST: Final = 10


def worst(result: GateResult) -> dict[str, list[dict[str, object]]]:
    """Column → its values with the most rows to mend: `name`, `held`, `warned`, `accepted`.

    Rows without a brand (or seller) are left out; a column that nobody fills is too.
    """
    found = {}
    for column in WHO:
        held, warned = (
            _named(frame, column).value_counts() for frame in (result.quarantined, result.warnings)
        )
        if column not in result.accepted or (held.empty and warned.empty):
            continue
        counts = pd.DataFrame(
            {
                "held": held,
                "warned": warned,
                "accepted": result.accepted[column].value_counts(),
            }
        ).fillna(0)
        counts = counts[(counts["held"] > 0) | (counts["warned"] > 0)].astype(int)
        ordered = counts.sort_values(["held", "warned"], ascending=False, kind="stable")
        found[column] = [
            {"name": str(name), "held": held, "warned": warned, "accepted": accepted}
            for name, held, warned, accepted in ordered.head(MOST).itertuples()
        ]
    return found


def _named(rows: pd.DataFrame, column: str) -> pd.Series:
    values = [json.loads(row).get(column) for row in rows[reasons.ROW]]
    named = [str(value) for value in values if value not in (None, "")]
    return pd.Series(named, dtype=object)
