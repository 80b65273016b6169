"""What was ingested: one record a source, kept in `sources.json`."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from feature_repo.catalogs.source import Ordering
from feature_repo.errors import JobError


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """One ingested source."""

    name: str
    """Value of the `source` column."""
    spec: str
    """How it was opened, e.g. ``table:/data/shop``; "" where the caller did not say."""
    prefix: str
    """What was put before its item ids."""
    ordering: Ordering
    generated: bool
    items: int
    """Accepted listings that the catalogue holds of it."""
    events: int
    first_event: str | None
    """ISO 8601 UTC; None without events or where they have no times."""
    last_event: str | None
    ingested_at: str
    truth: str | None
    """Path of its choice model's utilities, where it is known."""


def read_records(path: Path) -> dict[str, SourceRecord]:
    """The records by source name, in the order they first came; empty without the file.

    Raises:
        JobError: the file is not what :func:`records_json` wrote.
    """
    if not path.exists():
        return {}
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["sources"]
        records = [
            SourceRecord(**{**entry, "ordering": Ordering(entry["ordering"])}) for entry in entries
        ]
    except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise JobError(
            f"{path} is not a list of sources ({error}); ingest again with --replace"
        ) from error
    return {record.name: record for record in records}


def records_json(records: dict[str, SourceRecord]) -> str:
    """The records as the text of `sources.json`."""
    return json.dumps({"sources": [asdict(record) for record in records.values()]}, indent=2) + "\n"
