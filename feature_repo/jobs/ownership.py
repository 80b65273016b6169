"""Event ids that another source already has: such rows go to quarantine, not over its rows."""

import dataclasses
from collections import Counter
from typing import TYPE_CHECKING, Final

import pandas as pd

from feature_repo.catalogs import raw
from validation import reasons, tables
from validation.checks import Severity

if TYPE_CHECKING:
    from validation.gate import GateResult

CHECK: Final = "event_id_of_another_source"


def without_owned(result: "GateResult", events: pd.DataFrame, others: pd.DataFrame) -> "GateResult":
    """The gate's result with the events whose id another source has moved to quarantine.

    Args:
        result: of checking `events`.
        events: the raw rows, whose values the quarantine keeps.
        others: `event_id` and `source` of every other source's events.
    """
    accepted = result.accepted
    owned = accepted[tables.EVENT_ID].isin(others[tables.EVENT_ID])
    if not owned.any():
        return result
    owners = others.set_index(tables.EVENT_ID)[tables.SOURCE]
    refused = _refused(result, accepted[owned], events, owners)
    return dataclasses.replace(
        result,
        accepted=accepted[~owned].reset_index(drop=True),
        quarantined=_joined(result.quarantined, refused),
        reason_counts=dict(Counter({**result.reason_counts, CHECK: len(refused)}).most_common()),
        severities={**result.severities, CHECK: str(Severity.BLOCK)},
    )


def _refused(
    result: "GateResult", rows: pd.DataFrame, events: pd.DataFrame, owners: pd.Series
) -> pd.DataFrame:
    """Quarantine rows for accepted `rows`, found in the raw table by their first place."""
    event_ids = raw.text(events[tables.EVENT_ID]).reset_index(drop=True)
    places = event_ids[event_ids.isin(rows[tables.EVENT_ID])].drop_duplicates()
    sentences = [
        f"Row {row}: event_id {event_id!r} already belongs to source {owners[event_id]}; ingest "
        "this one with --prefix, so that its ids differ, or with --replace."
        for row, event_id in places.items()
    ]
    sources = rows.set_index(tables.EVENT_ID)[tables.SOURCE]
    return pd.DataFrame(
        {
            reasons.KEY: places.to_numpy(dtype=object),
            tables.SOURCE: places.map(sources).to_numpy(dtype=object),
            reasons.ROW_NUMBER: places.index.to_numpy(dtype="int64"),
            reasons.ROW: reasons.raw_rows(
                events.iloc[places.index.to_numpy()], absent=reasons.nan_is_absent(events)
            ),
            reasons.REASONS: [[sentence] for sentence in sentences],
            reasons.CHECKS: [[CHECK]] * len(places),
            reasons.SEVERITY: str(Severity.BLOCK),
            reasons.CHECKED_AT: pd.Series([pd.Timestamp(result.checked_at)] * len(places)).astype(
                "datetime64[us, UTC]"
            ),
        }
    )


def _joined(quarantined: pd.DataFrame, refused: pd.DataFrame) -> pd.DataFrame:
    if quarantined.empty:
        return refused
    joined = pd.concat([quarantined, refused])
    return joined.sort_values(reasons.ROW_NUMBER, kind="stable", ignore_index=True)
