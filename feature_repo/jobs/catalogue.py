"""The catalogue's files: accepted rows of every source, their records and the truth."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.errors import FeatureError, JobError
from feature_repo.event_log import event_log, new_generation, write_base
from feature_repo.feature_tables import parquet_format
from feature_repo.home import Home
from feature_repo.jobs import transaction
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
) -> None:
    """Write the catalogue's files and put them in place together.

    The log is a new one, whole: small files of the one before do not count any more.
    """
    folder, log = home.items.parent, event_log(home)
    folder.mkdir(parents=True, exist_ok=True)
    _write_parquet(tables.ITEMS.to_arrow(items), home.items)
    new_log = transaction.partial_path(home.events)
    write_base(tables.EVENTS.to_arrow(events), new_log, generation=new_generation())
    log.index_ahead(new_log)
    changes = {home.items: True, home.events: True, home.sources: True}
    if truth is not None:
        _write_parquet(pa.Table.from_pandas(truth, preserve_index=False), home.truth)
        changes[home.truth] = True
    elif all(record.truth is None for record in records.values()):
        changes[home.truth] = False
    transaction.partial_path(home.sources).write_text(records_json(records), encoding="utf-8")
    transaction.commit(folder, changes)
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
    try:
        for path, content in contents.items():
            partial = transaction.partial_path(path)
            pq.write_table(content, partial, **parquet_format(content.schema))
        transaction.commit(home.items.parent, dict.fromkeys(contents, True))
    except OSError:
        transaction.abandon(home.items.parent, contents)
        raise


def _write_parquet(content: pa.Table, path: Path) -> None:
    pq.write_table(content, transaction.partial_path(path), compression="zstd")
