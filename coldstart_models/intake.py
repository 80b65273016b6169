"""What both ways in share: the gate's verdict as values."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

import pandas as pd

from feature_repo.home import Home

if TYPE_CHECKING:
    from validation.gate import GateResult

SERVICE_SOURCE: Final = "service"
"""Value of `source` for what arrives one by one, through the service or by hand."""


@dataclass(frozen=True, slots=True)
class QuarantinedRow:
    """A row the gate held back, or accepted with a warning."""

    id: str | None
    """The row's key; None where it has none."""
    reasons: tuple[str, ...]
    checks: tuple[str, ...] = ()
    """Names of the checks that it failed, in the order of the reasons."""


def keep_quarantined(
    result: "GateResult", *, home: Home, source: str, now: datetime
) -> tuple[QuarantinedRow, ...]:
    """Write what the gate held back to the home's quarantine, and return it as values.

    A row that was held back before and passes now leaves the quarantine.
    """
    from validation import quarantine

    quarantine.store(result, folder=home.quarantine, source=source, now=now)
    return told_rows(result.quarantined)


def told_rows(rows: pd.DataFrame) -> tuple[QuarantinedRow, ...]:
    """Quarantined or warned-of rows of a gate's result as values."""
    return tuple(
        QuarantinedRow(
            None if pd.isna(key) else str(key), tuple(map(str, reasons)), tuple(map(str, checks))
        )
        for key, reasons, checks in zip(rows["key"], rows["reasons"], rows["checks"], strict=True)
    )


def json_text(value: object) -> object:
    """A JSON object as its text, keys sorted; any other value as it is."""
    return json.dumps(value, sort_keys=True) if isinstance(value, dict) else value
