"""The gate's runs: one line of JSON each, newest last, for trends and for programs."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from validation.errors import ValidationError
from validation.summary import Summary

FILE: Final = "runs.jsonl"
TAIL_BYTES: Final = 256 * 1024
"""Read of the file's end by `newest`."""


@dataclass(frozen=True, slots=True)
class Run:
    """One table of one batch."""

    checked_at: str
    """ISO 8601, UTC."""
    source: str
    table: str
    step: str
    """What the gate stood in front of: validate, ingest, listings, resubmit."""
    verdict: str
    received: int
    accepted: int
    quarantined: int
    warnings: int
    reason_counts: dict[str, int]

    @property
    def held(self) -> float:
        """Share of the rows that went to quarantine."""
        return self.quarantined / self.received if self.received else 0.0


def record(results: Sequence[Summary], *, folder: Path, source: str, step: str) -> None:
    """Add these results to the folder's history; tables without rows are left out."""
    lines = [
        json.dumps(
            asdict(
                Run(
                    checked_at=result.checked_at.isoformat(),
                    source=source,
                    table=result.table,
                    step=step,
                    verdict=result.verdict,
                    received=result.received,
                    accepted=result.accepted,
                    quarantined=result.quarantined,
                    warnings=result.warnings,
                    reason_counts=result.reason_counts,
                )
            )
        )
        for result in results
        if result.received
    ]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / FILE).open("a", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in lines))


def runs(folder: Path, *, source: str | None = None, last: int | None = None) -> list[Run]:
    """The runs, oldest first; the `last` of them if given.

    A line that a killed process left unfinished at the end is passed over.

    Raises:
        ValidationError: another line is no run.
    """
    path = folder / FILE
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]
    found = [_run(line, path, number) for number, line in enumerate(whole, start=1)]
    chosen = [run for run in found if source is None or run.source == source]
    return chosen if last is None else chosen[-last:]


def newest(folder: Path, *, last: int) -> list[Run]:
    """The last runs, newest first, from the end of the file alone: at most TAIL_BYTES are read.

    Raises:
        ValidationError: a line is no run.
    """
    path = folder / FILE
    if not path.exists():
        return []
    with path.open("rb") as file:
        start = max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES)
        file.seek(start)
        lines = file.read().splitlines(keepends=True)[1 if start else 0 :]
    whole = [line.decode() for line in lines if line.endswith(b"\n")]
    chosen = whole[-last:]
    return [_run(line, path, 1 + number - len(chosen)) for number, line in enumerate(chosen)][::-1]


def _run(line: str, path: Path, number: int) -> Run:
    try:
        values: dict[str, Any] = json.loads(line)
        return Run(**values)
    except (json.JSONDecodeError, TypeError) as error:
        place = f"line {number}" if number > 0 else f"line {1 - number} from the end"
        raise ValidationError(
            f"{place} of {path} is no run of the gate ({error}); remove the line"
        ) from error
