"""What the gate made of one table."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import accumulate
from typing import Any, Final

import pandas as pd

from validation.engine import Finding
from validation.errors import GateError
from validation.merging import merged

PASS: Final = "pass"
WARN: Final = "warn"
QUARANTINED: Final = "quarantined"


@dataclass(frozen=True, slots=True)
class GateResult:
    """Accepted and quarantined rows of one table, and why.

    Raises:
        GateError: a row was lost or invented.
    """

    table: str
    accepted: pd.DataFrame
    """Canonical columns and types, in the order of the input."""
    quarantined: pd.DataFrame
    """`key`, `source`, `row_number` (from 0), `row` (raw, JSON), `reasons` (sentences),
    `checks` (their names), `severity`, `checked_at`."""
    warnings: pd.DataFrame
    """Accepted rows with something to mend; same columns."""
    received: int
    reason_counts: dict[str, int]
    """Check name → rows that failed it, most frequent first."""
    severities: dict[str, str]
    """Name of each failed check → ``block`` or ``warn``."""
    notes: tuple[str, ...]
    """Sentences about the table as a whole, e.g. an optional column that is absent."""
    validation: dict[str, dict[str, Any]]
    """Suite name → Great Expectations' result as JSON, row lists cut to the first few."""
    checked_at: datetime
    fingerprints: pd.DataFrame | None = None
    """`item_id` and `fingerprint` of the accepted listings' photos, where photos were opened."""

    def __post_init__(self) -> None:
        kept, held = len(self.accepted), len(self.quarantined)
        if kept + held != self.received:
            raise GateError(
                f"{self.received} rows of {self.table} came in, but {kept} were accepted and "
                f"{held} quarantined"
            )

    @property
    def verdict(self) -> str:
        """``quarantined`` if any row was, else ``warn`` if any has a warning, else ``pass``."""
        return verdict_of(len(self.quarantined), len(self.warnings))


def verdict_of(quarantined: int, warnings: int) -> str:
    """What a table with so many rows held back and warned of is called."""
    if quarantined:
        return QUARANTINED
    return WARN if warnings else PASS


def counts(findings: Iterable[Finding]) -> tuple[dict[str, int], dict[str, str]]:
    """Rows and severity of each check that failed, most frequent first."""
    found = list(findings)
    return ranked(
        {one.check.name: len(one.rows) for one in found},
        {one.check.name: str(one.check.severity) for one in found},
    )


def ranked(
    rows: Mapping[str, int], severities: Mapping[str, str]
) -> tuple[dict[str, int], dict[str, str]]:
    """Rows and severity of each check, most frequent first, ties by name."""
    ordered = dict(sorted(rows.items(), key=lambda one: (-one[1], one[0])))
    return ordered, {name: severities[name] for name in ordered}


def joined(results: Iterable[GateResult]) -> GateResult:
    """The results of a table's parts, in their order, as one.

    Args:
        results: at least one.
    """
    parts = list(results)
    first = parts[0]
    if len(parts) == 1:
        return first
    totals: Counter[str] = Counter()
    for part in parts:
        totals.update(part.reason_counts)
    severities = {name: severity for part in parts for name, severity in part.severities.items()}
    reason_counts, severities = ranked(totals, severities)
    offsets = [0, *accumulate(part.received for part in parts[:-1])]
    return replace(
        first,
        accepted=_concatenated([part.accepted for part in parts]),
        quarantined=_concatenated([part.quarantined for part in parts]),
        warnings=_concatenated([part.warnings for part in parts]),
        received=sum(part.received for part in parts),
        reason_counts=reason_counts,
        severities=severities,
        validation={
            name: merged([part.validation[name] for part in parts], offsets=offsets)
            for name in first.validation
        },
        fingerprints=None
        if first.fingerprints is None
        else _concatenated([part.fingerprints for part in parts if part.fingerprints is not None]),
    )


def _concatenated(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The frames below each other; those without rows say nothing of the columns' types."""
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else frames[0]
