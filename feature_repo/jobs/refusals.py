"""What extraction could not use, in the quarantine with its reasons."""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pandas as pd
import pyarrow as pa

from feature_repo.feature_tables import EMBEDDING
from feature_repo.jobs.contents import Refusal
from validation import tables

if TYPE_CHECKING:
    from validation.gate import GateResult

VECTOR_CHECK: Final = "vector_sound"


def unsound(rows: pa.Table, *, width: int, now: datetime) -> list[Refusal]:
    """The rows whose vectors the gate does not let through."""
    if not rows.num_rows:
        return []
    from validation import gate

    frame = rows.to_pandas()
    result = gate.check_embeddings(
        frame[[tables.ITEM_ID, EMBEDDING, tables.SOURCE]], width=width, now=now
    )
    sources = dict(zip(frame[tables.ITEM_ID], frame[tables.SOURCE], strict=True))
    return [
        Refusal(key, VECTOR_CHECK, "", sources[key], "; ".join(reasons))
        for key, reasons in zip(
            result.quarantined["key"], result.quarantined["reasons"], strict=True
        )
    ]


def quarantine_refused(
    refused: Sequence[Refusal],
    *,
    folder: Path,
    table: str,
    sources: Sequence[str],
    now: datetime,
) -> None:
    """Store the refusals of each source; a source without any has its earlier ones cleared."""
    from validation import quarantine

    for source in sources:
        of_source = [refusal for refusal in refused if refusal.source == source]
        if of_source or (folder / f"{table}.parquet").exists():
            quarantine.store(
                _as_result(of_source, table=table, now=now), folder=folder, source=source, now=now
            )


def _as_result(refused: Sequence[Refusal], *, table: str, now: datetime) -> "GateResult":
    from validation.gate import GateResult

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
        verdict="quarantined" if refused else "pass",
        reason_counts=counts,
        severities=dict.fromkeys(counts, "block"),
        notes=(),
        validation={},
        checked_at=now,
    )
