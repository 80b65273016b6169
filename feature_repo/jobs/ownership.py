"""Ids that another source already has: such rows go to quarantine, not over the other's."""

import dataclasses
from collections import Counter
from typing import TYPE_CHECKING, Final

import pandas as pd

from feature_repo.catalogs import raw
from validation import tables
from validation.tables import Table

if TYPE_CHECKING:
    from validation.gate import GateResult

KEY: Final = "key"
ROW: Final = "row"
ROW_NUMBER: Final = "row_number"
REASONS: Final = "reasons"


def without_owned(
    table: Table, result: "GateResult", frame: pd.DataFrame, others: pd.DataFrame
) -> "GateResult":
    """The gate's result with the rows whose key another source has moved to quarantine.

    Args:
        result: of checking `frame`.
        frame: the raw rows, whose values the quarantine keeps.
        others: `source` and key of every other source's rows.
    """
    owned = result.accepted[table.key].isin(others[table.key])
    if not owned.any():
        return result
    owners = others.set_index(table.key)[tables.SOURCE]
    keys = result.accepted.loc[owned, table.key]
    refused = _refused(table, keys, frame, owners)
    counts = Counter(reason for reasons in refused[REASONS] for reason in reasons)
    quarantined = pd.concat([result.quarantined, refused], ignore_index=True)
    return dataclasses.replace(
        result,
        accepted=result.accepted[~owned].reset_index(drop=True),
        quarantined=quarantined if len(result.quarantined) else refused,
        reason_counts=dict(Counter(result.reason_counts) + counts),
    )


def _refused(table: Table, keys: pd.Series, frame: pd.DataFrame, owners: pd.Series) -> pd.DataFrame:
    raw_keys = raw.text(frame[table.key]).reset_index(drop=True)
    first = raw_keys[raw_keys.isin(keys)].drop_duplicates()
    rows = frame.iloc[first.index.to_numpy()].to_dict("records")
    return pd.DataFrame(
        {
            KEY: first.to_numpy(),
            ROW_NUMBER: first.index.to_numpy(),
            REASONS: [
                [f"{table.key} belongs to source {owners[key]!r}; ingest with --prefix"]
                for key in first
            ],
            ROW: [
                raw.json_object({str(name): raw.plain_value(value) for name, value in row.items()})
                for row in rows
            ],
        }
    )
