"""``table:DIR``: anyone's own catalogue and log, one file each, photos beside them.

`items` and `interactions` (or `events`) are Parquet, CSV or JSON Lines, plain or gzipped.
Common column names are recognised (`columns.py`); `mapping.toml` names the rest and the
constant values (`mapping.py`). What an item has beside the canonical columns becomes its
`attributes`; what an event has beside them is left out.

- Times without a zone are UTC. With no time but `seq`, `seq` is the order; with neither,
  the events have no order.
- `event_type`: the column, else the mapping's constant, else ``rating`` where there is a
  rating, else ``purchase``.
- Without an image column, ``DIR/images/ITEM_ID.jpg`` is the photo where it exists.
- A folder without a log is a catalogue alone.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa

from feature_repo.catalogs import columns, files, raw
from feature_repo.catalogs.columns import EVENT_COLUMNS, ITEM_COLUMNS, SEQ, UNREADABLE
from feature_repo.catalogs.mapping import MAPPING_FILE, FolderMapping, TableMapping
from feature_repo.catalogs.moments import MICROSECONDS, START, in_sequence, moments
from feature_repo.catalogs.numerals import with_points
from feature_repo.catalogs.source import (
    Ordering,
    SourceColumnError,
    SourceData,
    SourceError,
    SourceParts,
)
from validation import tables

log = logging.getLogger(__name__)

ITEM_FILES: Final = ("items",)
EVENT_FILES: Final = ("interactions", "events")
TEXT_COLUMNS: Final = (
    tables.ITEM_ID,
    tables.TITLE,
    tables.DESCRIPTION,
    tables.BRAND,
    tables.SELLER_ID,
    tables.CURRENCY,
    tables.DOMAIN,
    tables.EVENT_ID,
    tables.USER_ID,
    tables.EVENT_TYPE,
    tables.SESSION_ID,
    tables.VARIANT,
)
NUMBERS: Final = frozenset(
    column.name
    for table in tables.TABLES.values()
    for column in table.columns
    if pa.types.is_floating(column.dtype)
)


def read(folder: Path, *, mapping: Path | None = None) -> SourceData:
    """Read a folder of tables.

    Args:
        mapping: a mapping other than ``DIR/mapping.toml``.

    Raises:
        SourceError: the folder, its items or a column that cannot be done without is missing.
    """
    found = _found_files(folder, mapping)
    (items,) = _item_parts(found.items, found.stated.items, found.folder, None)
    if found.events is None:
        log.info("%s has no interactions: a catalogue alone", found.folder)
        events, ordering = tables.EVENTS.empty(), Ordering.NONE
    else:
        stated = found.stated.events
        events, ordering = _events(_rows(found.events, stated), found.events, stated)
    items[tables.SOURCE] = found.name
    events[tables.SOURCE] = found.name
    return SourceData(found.name, items, events, ordering)


def read_items(path: Path) -> pd.DataFrame:
    """The listings of one file as raw values; photos are looked for beside it.

    Raises:
        SourceError: the file is missing, is of another kind or has no item ids.
    """
    (items,) = item_parts(path, rows=None)
    return items


def item_parts(path: Path, *, rows: int | None) -> Iterator[pd.DataFrame]:
    """The listings of one file as `read_items` reads them, so many a frame."""
    files.require_file(path)
    return _item_parts(path, TableMapping(), path.resolve().parent, rows)


def parts(folder: Path, *, mapping: Path | None = None, rows: int | None) -> SourceParts:
    """A folder of tables as `read` reads it, so many rows a frame.

    Raises:
        SourceError: as `read`, some of it once the parts are gone through.
    """
    found = _found_files(folder, mapping)
    return SourceParts(
        found.name,
        _item_parts(found.items, found.stated.items, found.folder, rows),
        _event_parts(found.events, found.stated.events, rows) if found.events else None,
    )


@dataclass(frozen=True, slots=True)
class _Files:
    """What lies in a folder of tables."""

    folder: Path
    name: str
    stated: FolderMapping
    items: Path
    events: Path | None


def _found_files(folder: Path, mapping: Path | None) -> _Files:
    folder = files.existing_folder(folder)
    stated = _mapping(folder, mapping)
    items = files.find_table(folder, ITEM_FILES, named=stated.items.file)
    if items is None:
        raise SourceError(
            f"{folder} has no items file; expected items with one of the endings "
            f'{", ".join(files.ENDINGS)}, or [items] file = "…" in {MAPPING_FILE}'
        )
    events = files.find_table(folder, EVENT_FILES, named=stated.events.file)
    return _Files(folder, stated.source or folder.name, stated, items, events)


def _item_parts(
    path: Path, stated: TableMapping, folder: Path, rows: int | None
) -> Iterator[pd.DataFrame]:
    for number, frame in enumerate(_parts(path, stated, rows)):
        yield _items(frame, path, stated, folder, more=number > 0)


def _event_parts(path: Path, stated: TableMapping, rows: int | None) -> Iterator[pd.DataFrame]:
    for number, frame in enumerate(_parts(path, stated, rows)):
        yield _events(frame, path, stated, more=number > 0)[0]


def _mapping(folder: Path, mapping: Path | None) -> FolderMapping:
    path = mapping or folder / MAPPING_FILE
    if mapping is None and not path.exists():
        return FolderMapping()
    return FolderMapping.read(path)


def _rows(path: Path, stated: TableMapping) -> pd.DataFrame:
    (frame,) = _parts(path, stated, None)
    return frame


def _parts(path: Path, stated: TableMapping, rows: int | None) -> Iterator[pd.DataFrame]:
    how = {"encoding": stated.encoding, "delimiter": stated.delimiter}
    for frame in files.table_parts(path, rows=rows, **how):
        yield frame.rename(columns=str)


def _items(
    frame: pd.DataFrame, path: Path, stated: TableMapping, folder: Path, *, more: bool = False
) -> pd.DataFrame:
    found = _found(frame, path, stated, ITEM_COLUMNS, "items")
    _require(found, (tables.ITEM_ID,), frame, path, "items")
    items = _canonical(frame, found, path, stated, more=more)
    item_ids = items[tables.ITEM_ID]
    if tables.IMAGE_PATH in items:
        items[tables.IMAGE_PATH] = raw.photos(items[tables.IMAGE_PATH], folder)
    elif (beside := raw.photos_beside(item_ids, folder / "images")) is not None:
        items[tables.IMAGE_PATH] = beside
    if not {tables.TITLE, tables.DESCRIPTION, tables.IMAGE_PATH} & set(items):
        _require(found, (tables.TITLE,), frame, path, "items")
    extra = [
        name
        for name in frame.columns
        if name not in found.values()
        and name not in stated.ignore
        and name != UNREADABLE
        and columns.folded(name) not in columns.NOT_ATTRIBUTES
    ]
    items[tables.ATTRIBUTES] = raw.attributes(frame, extra, found.get(tables.ATTRIBUTES))
    return items


def _events(
    frame: pd.DataFrame, path: Path, stated: TableMapping, *, more: bool = False
) -> tuple[pd.DataFrame, Ordering]:
    found = _found(frame, path, stated, EVENT_COLUMNS, "events")
    _require(found, (tables.USER_ID, tables.ITEM_ID), frame, path, "events")
    events = _canonical(frame, found, path, stated, more=more)
    if tables.EVENT_TYPE in events:
        types = events[tables.EVENT_TYPE]
        events[tables.EVENT_TYPE] = types.map(stated.event_types).fillna(types)
    else:
        rated = tables.VALUE in found
        events[tables.EVENT_TYPE] = tables.RATING if rated else tables.PURCHASE
    order = events.pop(SEQ) if SEQ in events else None
    if tables.EVENT_TIMESTAMP in events:
        return events, Ordering.TIME
    if order is not None:
        return events.assign(**{tables.EVENT_TIMESTAMP: in_sequence(order)}), Ordering.SEQUENCE
    unordered = pd.Series(START, index=events.index).astype(MICROSECONDS)
    return events.assign(**{tables.EVENT_TIMESTAMP: unordered}), Ordering.NONE


def _found(
    frame: pd.DataFrame,
    path: Path,
    stated: TableMapping,
    known: columns.Known,
    table: str,
) -> Mapping[str, str]:
    for canonical, column in stated.columns.items():
        if column not in frame.columns:
            raise SourceError(
                f"{MAPPING_FILE} says [{table}] {canonical} = {column!r}, but {path.name} has no "
                f"such column{columns.nearest(column, frame.columns)} "
                f"(it has {', '.join(frame.columns)})"
            )
    present = [name for name in frame.columns if name not in stated.ignore]
    return columns.recognised(present, known, stated.columns)


def _require(
    found: Mapping[str, str],
    required: tuple[str, ...],
    frame: pd.DataFrame,
    path: Path,
    table: str,
) -> None:
    known = ITEM_COLUMNS if table == "items" else EVENT_COLUMNS
    for canonical in required:
        if canonical not in found:
            raise SourceColumnError(
                f"{path} has no column for {canonical}: it has {', '.join(frame.columns)}; "
                f"expected one of {', '.join(known[canonical])}, or write under [{table}] of "
                f'{MAPPING_FILE}: {canonical} = "your column"'
            )


def _canonical(
    frame: pd.DataFrame,
    found: Mapping[str, str],
    path: Path,
    stated: TableMapping,
    *,
    more: bool,
) -> pd.DataFrame:
    """The found columns under their canonical names, then the constants."""
    result = pd.DataFrame(index=frame.index)
    for canonical, column in found.items():
        values = frame[column]
        if canonical in TEXT_COLUMNS:
            values = raw.text(values)
        elif canonical == tables.CATEGORY:
            values = raw.text(values, separator=raw.CATEGORY_SEPARATOR)
        elif canonical in (tables.EVENT_TIMESTAMP, tables.RECEIVED_AT, tables.LISTED_AT):
            values = moments(
                values,
                where=f"{column!r} of {path.name}",
                timestamp_format=stated.timestamp_format,
                zone=stated.timezone,
                more=more,
            )
        elif canonical in NUMBERS and stated.decimal is not None:
            values = with_points(values, decimal=stated.decimal)
        result[canonical] = values
    for canonical, value in stated.constants.items():
        result[canonical] = value
    if UNREADABLE in frame:
        result[UNREADABLE] = frame[UNREADABLE]
    return result
