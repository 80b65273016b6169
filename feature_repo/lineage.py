"""Who made the rows of a feature view, from what, when, and by which code.

A job that writes a table keeps a record beside it, ``features/lineage/VIEW.json``. What the table
itself says (rows, newest time, encoders, models) is read from it, so that it is true whoever
wrote it. `coldstart info` tells both, and `coldstart apply` and `coldstart materialize` put them
into Feast's registry as tags of the view, where ``feast feature-views describe`` shows them.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import pyarrow.compute as pc
import pyarrow.parquet as pq

from feature_repo.event_log import event_log
from feature_repo.feature_tables import (
    CATEGORY_STATS,
    CREATED_TIMESTAMP,
    ENCODER,
    ENCODER_HASH,
    FEATURE_TABLES,
    ITEM_ADAPTATION,
    ITEM_IMAGE_EMBEDDING,
    ITEM_PROFILE,
    ITEM_STATS,
    ITEM_TEXT_EMBEDDING,
    ITEM_VECTOR,
    LISTING_CHANGES,
)
from feature_repo.home import REPOSITORY, Home
from feature_repo.jobs.behaviour import ITEM_BEHAVIOUR, USER_BEHAVIOUR
from feature_repo.log_state import LogState, Position
from validation import tables
from validation.whole_files import file_hash, replacing

AGGREGATED: Final = tuple(
    table.name
    for table in (ITEM_PROFILE, ITEM_STATS, CATEGORY_STATS, *USER_BEHAVIOUR, *ITEM_BEHAVIOUR)
)
"""What `aggregate` fills."""
FROM_EVENTS: Final = tuple(table.name for table in (ITEM_STATS, *USER_BEHAVIOUR, *ITEM_BEHAVIOUR))
"""Of these, what is made of its key's events alone and goes online with every new one."""
MADE_BY: Final[Mapping[str, str]] = {
    **dict.fromkeys(AGGREGATED, "aggregate"),
    ITEM_IMAGE_EMBEDDING.name: "extract",
    ITEM_TEXT_EMBEDDING.name: "extract",
    ITEM_VECTOR.name: "train",
    ITEM_ADAPTATION.name: "train",
    LISTING_CHANGES.name: "serve",
}
"""The job that fills each view."""
SOURCES: Final[Mapping[str, str]] = {
    ITEM_PROFILE.name: "items",
    ITEM_STATS.name: "events",
    CATEGORY_STATS.name: "events, items",
    **{table.name: "events, items" for table in USER_BEHAVIOUR},
    **{table.name: "events" for table in ITEM_BEHAVIOUR},
    ITEM_IMAGE_EMBEDDING.name: "photos of the items",
    ITEM_TEXT_EMBEDDING.name: "titles and descriptions of the items",
    ITEM_VECTOR.name: "item_profile, item_image_embedding, item_text_embedding, events",
    ITEM_ADAPTATION.name: "item_vector, events",
    LISTING_CHANGES.name: "items",
}
"""What each view is made of, where its job keeps no record."""
MAKERS: Final = (ENCODER, ENCODER_HASH, "model")
SHORT: Final = 16
"""Characters of a hash that tags show."""


@dataclass(frozen=True, slots=True)
class Input:
    """What a job read."""

    rows: int
    version: str
    """A file's SHA-256, or the log's generation."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where one view's rows come from; None and empty where nobody knows."""

    view: str
    features: tuple[str, ...]
    made_by: str
    made_from: str
    inputs: dict[str, Input]
    """Table → what of it was read."""
    made_at: datetime | None
    """When the newest rows were computed."""
    code_version: str
    """Of the package and of the code that computes features; empty where nobody wrote it down."""
    encoders: tuple[str, ...]
    """Encoders whose rows are there, each as ``id hash``."""
    models: tuple[str, ...]
    rows: int
    newest: datetime | None
    """The latest moment from which a row was known."""

    def tags(self) -> dict[str, str]:
        """As Feast's registry holds them; what is unknown is left out."""
        read = (f"{name}: {one.rows} rows of {one.version}" for name, one in self.inputs.items())
        told = {
            "made_by": self.made_by,
            "made_from": self.made_from,
            "inputs": "; ".join(read),
            "made_at": self.made_at.isoformat() if self.made_at else "",
            "code_version": self.code_version,
            "encoder": ", ".join(self.encoders),
            "model": ", ".join(self.models),
            "rows": str(self.rows),
            "newest": self.newest.isoformat() if self.newest else "",
        }
        return {name: value for name, value in told.items() if value}

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            **asdict(self),
            "made_at": self.made_at.isoformat() if self.made_at else None,
            "newest": self.newest.isoformat() if self.newest else None,
        }


def keep_lineage(
    home: Home, view: str, *, made_by: str, inputs: Mapping[str, Input], now: datetime
) -> None:
    """Keep beside a table who wrote it, from what, at `now`, with the code that runs."""
    record = {
        "made_by": made_by,
        "made_at": now.astimezone(UTC).isoformat(),
        "code_version": code_version(),
        "inputs": {name: asdict(one) for name, one in inputs.items()},
    }
    with replacing(home.lineage(view)) as partial:
        partial.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def lineage_of(home: Home, view: str) -> Lineage:
    """What is known of a view's rows."""
    table, path = FEATURE_TABLES[view], home.feature_table(view)
    record = _record(home, view)
    columns = [tables.EVENT_TIMESTAMP, CREATED_TIMESTAMP]
    makers = [name for name in MAKERS if name in table.schema.names]
    held = (
        pq.read_table(path, columns=[*columns, *makers], schema=table.schema)
        if path.exists()
        else table.schema.empty_table().select([*columns, *makers])
    )
    named = held.select(makers).drop_null()  # a row may not say who made it
    pairs = named.group_by(makers).aggregate([]).to_pylist() if makers else []
    return Lineage(
        view=view,
        features=tuple(column.name for column in table.features),
        made_by=record.get("made_by", MADE_BY[view]),
        made_from=SOURCES[view],
        inputs={name: Input(**one) for name, one in record.get("inputs", {}).items()},
        made_at=pc.max(held[CREATED_TIMESTAMP]).as_py(),
        code_version=record.get("code_version", ""),
        encoders=tuple(
            sorted(f"{one[ENCODER]} {one[ENCODER_HASH][:SHORT]}" for one in pairs if ENCODER in one)
        ),
        models=tuple(sorted(str(one["model"]) for one in pairs if "model" in one)),
        rows=held.num_rows,
        newest=pc.max(held[tables.EVENT_TIMESTAMP]).as_py(),
    )


def log_position(home: Home, view: str) -> Position | None:
    """How far of the log the view's offline rows reach; None where nobody wrote it down."""
    read = _record(home, view).get("inputs", {}).get(tables.EVENTS.name)
    return Position(read["version"], read["rows"]) if read else None


def log_reached(home: Home) -> Position | None:
    """How far of the log all offline rows made of events reach; None where nobody wrote it down."""
    places = [log_position(home, view) for view in FROM_EVENTS]
    known = [place for place in places if place is not None]
    return min(known, key=lambda place: place.rows, default=None)


def keys_with_events(home: Home, view: str, *, since: Position | None) -> set[str]:
    """Keys of the view that have events after a place in the log, whose rows these have changed.

    There are none where the place is not in this log, or the view is not made of events.
    """
    state = event_log(home).state()
    if view not in FROM_EVENTS or since is None or since.generation != state.generation:
        return set()
    key = FEATURE_TABLES[view].key
    return set(state.after(since.rows, [key])[key].unique().to_pylist())


def file_input(path: Path) -> Input:
    """A Parquet file by its rows and SHA-256."""
    return Input(int(pq.read_metadata(path).num_rows), f"sha256:{file_hash(path)[:SHORT]}")


def log_input(state: LogState) -> Input:
    """The event log by its rows and generation."""
    return Input(state.rows, state.generation)


@cache
def code_version() -> str:
    """The package's version, and a hash of the modules that compute features."""
    digest = hashlib.sha256()
    for path in sorted([*REPOSITORY.glob("*.py"), *REPOSITORY.glob("jobs/*.py")]):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return f"{version('coldstart-home')}+{digest.hexdigest()[:12]}"


def _record(home: Home, view: str) -> dict[str, Any]:
    try:
        kept: dict[str, Any] = json.loads(home.lineage(view).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return kept
