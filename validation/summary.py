"""What the gate made of a table, as people and programs are told: of bounded size.

A `Digest` takes the results of a table's parts one after the other, so that a table of any
length is told of in flat memory; all rows with something to mend wait on disk.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import pandas as pd

from validation import offenders, reasons
from validation.checks import Severity
from validation.merging import merged
from validation.result import GateResult, ranked, verdict_of
from validation.spool import Spool

MOST_ROWS: Final = 200
"""Rows of each severity that are shown; `told` has all."""
SENTENCES: Final = 5
"""Sentences kept of each check."""
SAMPLE: Final = 20_000
"""Accepted rows that stand for all where a table is compared with the catalogue."""


@dataclass(frozen=True, slots=True)
class Summary:
    """One table of one batch."""

    table: str
    received: int
    accepted: int
    quarantined: int
    warnings: int
    """Accepted rows with something to mend."""
    reason_counts: dict[str, int]
    """Check name → rows that failed it, most frequent first."""
    severities: dict[str, str]
    """Name of each failed check → ``block`` or ``warn``."""
    notes: tuple[str, ...]
    validation: dict[str, dict[str, Any]]
    """Suite name → Great Expectations' result as JSON, row lists cut to the first few."""
    checked_at: datetime
    shown: dict[Severity, pd.DataFrame]
    """The first rows of each severity, columns as `GateResult.quarantined`."""
    told: Iterable[pd.DataFrame]
    """All rows of both severities, in frames of the same columns; can be gone through again."""
    sentences: dict[str, list[str]]
    """Check name → what is said of the first rows that failed it."""
    sample: pd.DataFrame
    """Accepted rows, all or some by lot."""
    worst: offenders.Worst

    @property
    def verdict(self) -> str:
        """``quarantined`` if any row was, else ``warn`` if any has a warning, else ``pass``."""
        return verdict_of(self.quarantined, self.warnings)

    def as_dict(self) -> dict[str, Any]:
        """Verdict and counts as JSON has them, without the rows."""
        return {
            "table": self.table,
            "verdict": self.verdict,
            "received": self.received,
            "accepted": self.accepted,
            "quarantined": self.quarantined,
            "warnings": self.warnings,
            "reason_counts": self.reason_counts,
            "severities": self.severities,
            "notes": list(self.notes),
            "checked_at": self.checked_at.isoformat(),
        }


class Digest:
    """Collects the results of a table's parts, in their order."""

    def __init__(self) -> None:
        self._last: GateResult | None = None
        self._received = 0
        self._rows: Counter[str] = Counter()
        self._totals: Counter[str] = Counter()
        self._severities: dict[str, str] = {}
        self._validation: dict[str, dict[str, Any]] = {}
        self._shown: dict[Severity, list[pd.DataFrame]] = {severity: [] for severity in Severity}
        self._told = Spool[pd.DataFrame]()
        self._sentences: dict[str, list[str]] = {}
        self._sample = pd.DataFrame()
        self._lots = np.zeros(0)
        self._generator = np.random.default_rng(0)
        self._counts = offenders.Counts()

    def add(self, part: GateResult) -> None:
        """Take the next part's result."""
        for name, validation in part.validation.items():
            before = self._validation.get(name)
            self._validation[name] = (
                validation
                if before is None
                else merged([before, validation], offsets=[0, self._received])
            )
        self._last = part
        self._received += part.received
        for severity, rows in (
            (Severity.BLOCK, part.quarantined),
            (Severity.WARN, part.warnings),
        ):
            self._rows[severity] += len(rows)
            self._show(severity, rows)
            if len(rows):
                self._told.add(rows)
        self._totals.update(part.reason_counts)
        self._severities.update(part.severities)
        self._counts.add(part)
        self._draw(part.accepted)

    def summary(self) -> Summary:
        """What was found in all parts, at least one."""
        last = self._last
        assert last is not None
        reason_counts, severities = ranked(self._totals, self._severities)
        return Summary(
            table=last.table,
            received=self._received,
            accepted=self._received - self._rows[Severity.BLOCK],
            quarantined=self._rows[Severity.BLOCK],
            warnings=self._rows[Severity.WARN],
            reason_counts=reason_counts,
            severities=severities,
            notes=last.notes,
            validation=self._validation,
            checked_at=last.checked_at,
            shown={
                severity: pd.concat(frames, ignore_index=True)
                for severity, frames in self._shown.items()
            },
            told=self._told,
            sentences=self._sentences,
            sample=self._sample,
            worst=self._counts.worst(),
        )

    def _show(self, severity: Severity, rows: pd.DataFrame) -> None:
        held = self._shown[severity]
        if not held or len(rows):
            held.append(rows.head(MOST_ROWS - sum(map(len, held))))
        for told, checks in zip(rows[reasons.REASONS], rows[reasons.CHECKS], strict=True):
            for sentence, check in zip(told, checks, strict=True):
                known = self._sentences.setdefault(check, [])
                if len(known) < SENTENCES:
                    known.append(sentence)

    def _draw(self, accepted: pd.DataFrame) -> None:
        """Keep `SAMPLE` of all rows so far, each with the same chance."""
        lots = np.concatenate([self._lots, self._generator.random(len(accepted))])
        frames = [frame for frame in (self._sample, accepted) if len(frame)]
        rows = pd.concat(frames, ignore_index=True) if frames else accepted
        if len(rows) > SAMPLE:
            kept = np.sort(np.argpartition(lots, SAMPLE)[:SAMPLE])
            rows, lots = rows.iloc[kept].reset_index(drop=True), lots[kept]
        self._sample, self._lots = rows, lots


def summary_of(results: Iterable[GateResult]) -> Summary:
    """The summary of a table's parts, in their order, at least one."""
    digest = Digest()
    for result in results:
        digest.add(result)
    return digest.summary()
