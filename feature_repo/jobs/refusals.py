"""What extraction could not use, in the quarantine with its reasons."""

import json
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from feature_repo.encoder_tables import is_served
from feature_repo.home import Home
from feature_repo.jobs.contents import Refusal
from validation import tables

if TYPE_CHECKING:
    from validation.result import GateResult


def quarantine_folder(home: Home, view: str, encoder_hash: str) -> Path:
    """Where an encoder's refusals are held: with all others if it serves, else by themselves."""
    served = is_served(home, view, encoder_hash)
    return home.quarantine if served else home.quarantine / encoder_hash[:12]


def quarantine_refused(
    refused: Sequence[Refusal],
    *,
    folder: Path,
    table: str,
    checked: Collection[str] | None,
    now: datetime,
) -> None:
    """Hold what was refused; let go what was checked and is no longer refused.

    Args:
        checked: the items that were looked at; None for the whole catalogue.
    """
    from validation import quarantine

    held = set(quarantine.load(folder, table)["key"])
    mended = held - {refusal.item_id for refusal in refused}
    if checked is not None:
        mended &= set(checked)
    if mended:
        quarantine.release(folder, table, keys=mended)
    for source in sorted({refusal.source for refusal in refused}):
        of_source = [refusal for refusal in refused if refusal.source == source]
        result = _as_result(of_source, table=table, now=now)
        quarantine.store(result, folder=folder, source=source, now=now)


def _as_result(refused: Sequence[Refusal], *, table: str, now: datetime) -> "GateResult":
    from validation.result import GateResult

    quarantined = pd.DataFrame(
        {
            "key": [refusal.item_id for refusal in refused],
            "source": [refusal.source for refusal in refused],
            "row_number": pd.Series(range(len(refused)), dtype="int64"),
            "row": [
                json.dumps({tables.ITEM_ID: refusal.item_id, tables.IMAGE_PATH: refusal.value})
                for refusal in refused
            ],
            "reasons": [[refusal.reason] for refusal in refused],
            "checks": [[refusal.check] for refusal in refused],
            "severity": ["block"] * len(refused),
            "checked_at": pd.Series([now] * len(refused), dtype="datetime64[us, UTC]"),
        }
    )
    counts = dict(Counter(refusal.check for refusal in refused))
    return GateResult(
        table=table,
        accepted=pd.DataFrame({tables.ITEM_ID: pd.Series(dtype=object)}),
        quarantined=quarantined,
        warnings=quarantined.iloc[:0],
        received=len(refused),
        reason_counts=counts,
        severities=dict.fromkeys(counts, "block"),
        notes=(),
        validation={},
        checked_at=now,
    )
