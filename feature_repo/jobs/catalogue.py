"""The catalogue's files: accepted rows of every source, their records and the truth."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.errors import FeatureError, JobError
from feature_repo.event_log import event_log
from feature_repo.feature_tables import write_parquet
from feature_repo.home import Home
from feature_repo.jobs import transaction
from feature_repo.log_state import new_generation, write_base
from feature_repo.sources import SourceRecord, read_records, records_json
from validation import tables
from validation.tables import Table


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The catalogue before the ingest; without rows where it starts over."""

    items: pd.DataFrame
    events: pd.DataFrame
    records: dict[str, SourceRecord]
    dropped_items: int = 0
    dropped_events: int = 0

    @classmethod
    def read(cls, home: Home, *, replace: bool) -> "Catalogue":
        if replace:
            dropped = (_number_of_rows(home.items), _number_of_events(home))
            return cls(tables.ITEMS.empty(), tables.EVENTS.empty(), {}, *dropped)
        return cls(
            accepted_rows(tables.ITEMS, home.items),
            tables.EVENTS.to_pandas(event_log(home).read()),
            read_records(home.sources),
        )


def accepted_rows(table: Table, path: Path) -> pd.DataFrame:
    """The rows of a catalogue file; none where nothing was ingested. Raises JobError."""
    if not path.exists():
        return table.empty()
    try:
        return table.to_pandas(pq.read_table(path, schema=table.schema))
    except pa.ArrowException as error:
        raise JobError(
            f"{path} is not the {table.name} table ({error}); ingest again with --replace"
        ) from error


def _number_of_rows(path: Path) -> int:
    """Rows of a table that is about to go; a file that cannot be read has none to count."""
    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError):
        return 0


def _number_of_events(home: Home) -> int:
    """Likewise."""
    try:
        return event_log(home).state().rows
    except FeatureError:
        return 0


def write(
    home: Home,
    items: pd.DataFrame,
    events: pd.DataFrame,
    truth: pd.DataFrame | None,
    records: dict[str, SourceRecord],
    beside: Mapping[Path, pa.Table],
) -> None:
    """Put the catalogue's files in place together, or none where the disk takes no more.

    The log is a new one, whole: small files of the one before do not count any more. Hold the
    folder's lock.

    Args:
        beside: other Parquet files that change with the catalogue.
    """
    contents = {home.items: tables.ITEMS.to_arrow(items), **beside}
    if truth is not None:
        contents[home.truth] = pa.Table.from_pandas(truth, preserve_index=False)
    log = event_log(home)
    with ExitStack() as index, transaction.together(home.items.parent) as change:
        for path, content in contents.items():
            write_parquet(content, change.content_of(path))
        new_log = change.content_of(home.events)
        write_base(tables.EVENTS.to_arrow(events), new_log, generation=new_generation())
        index.enter_context(log.indexed_ahead(new_log))
        if truth is None and all(record.truth is None for record in records.values()):
            change.remove(home.truth)
        change.content_of(home.sources).write_text(records_json(records), encoding="utf-8")
    log.forget_replaced()


def write_listings(home: Home, items: pd.DataFrame, *, photos: pa.Table | None) -> None:
    """Put listings and their photos' fingerprints in place together, or neither where the disk
    takes no more. Hold the folder's lock.

    Args:
        photos: None leaves the fingerprints as they are.
    """
    contents = {home.items: tables.ITEMS.to_arrow(items)}
    if photos is not None:
        contents[home.photo_fingerprints] = photos
    with transaction.together(home.items.parent) as change:
        for path, content in contents.items():
            write_parquet(content, change.content_of(path))
