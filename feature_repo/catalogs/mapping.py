"""`mapping.toml`: what a folder's files and columns are called, where guessing is not enough.

source = "my-shop"                      # value of the `source` column

[items]
file = "products.csv"                   # instead of items.*
item_id = "artikelnummer"               # canonical column = the file's column
ignore = ["warehouse"]                  # extra columns that are not attributes
decimal = ","                           # of numbers written as 1.299,50

[items.constants]
currency = "EUR"                        # the same value in every row

[events]
file = "log.csv"
timestamp_format = "%d/%m/%Y %H:%M"     # for times that are not ISO 8601
timezone = "Europe/Amsterdam"           # of times without a zone; UTC unless stated
encoding = "cp1252"                     # of CSV; UTF-8 unless stated

[events.constants]
event_type = "click"

[events.event_types]                    # the log's word = ours
add_to_basket = "cart"
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

from feature_repo.catalogs.columns import EVENT_COLUMNS, ITEM_COLUMNS, Known, nearest
from feature_repo.catalogs.numerals import DECIMAL_MARKS
from feature_repo.catalogs.source import SourceError
from validation import tables

MAPPING_FILE: Final = "mapping.toml"
Constant = str | int | float | bool | date
"""A value a column may hold in every row."""

TEXT_OPTIONS: Final = ("file", "timestamp_format", "timezone", "encoding", "delimiter", "decimal")


@dataclass(frozen=True, slots=True)
class TableMapping:
    """How one table is written in its file."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """Canonical column → the file's column."""
    constants: Mapping[str, Constant] = field(default_factory=dict)
    event_types: Mapping[str, str] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    file: str | None = None
    timestamp_format: str | None = None
    timezone: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    decimal: str | None = None
    """Decimal mark of numbers written as text: a point or a comma."""


@dataclass(frozen=True, slots=True)
class FolderMapping:
    """How a folder's tables are written."""

    source: str | None = None
    items: TableMapping = TableMapping()
    events: TableMapping = TableMapping()

    @classmethod
    def read(cls, path: Path) -> "FolderMapping":
        """Read and check `mapping.toml`. Raises SourceError naming the key."""
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SourceError(f"{path} cannot be read as TOML: {error}") from error
        _refuse_unknown(content, ("source", "items", "events"), path, "")
        source = content.get("source")
        if source is not None and (not isinstance(source, str) or not source.strip()):
            raise SourceError(f"{path}: source is {source!r}, expected a name in quotes")
        return cls(
            source=source,
            items=_table(content.get("items", {}), ITEM_COLUMNS, path, "items"),
            events=_table(content.get("events", {}), EVENT_COLUMNS, path, "events"),
        )


def _refuse_unknown(
    content: Mapping[str, object], known: tuple[str, ...], path: Path, where: str
) -> None:
    for key in content:
        if key not in known:
            place = f"[{where}] " if where else ""
            raise SourceError(
                f"{path}: {place}{key} is not a key of a mapping{nearest(key, known)} "
                f"(known: {', '.join(known)})"
            )


def _table(content: object, known: Known, path: Path, where: str) -> TableMapping:
    if not isinstance(content, dict):
        raise SourceError(f"{path}: {where} is {content!r}, expected a section [{where}]")
    sections = ("constants", "event_types") if where == "events" else ("constants",)
    _refuse_unknown(content, (*known, *TEXT_OPTIONS, "ignore", *sections), path, where)
    for key in (*known, *TEXT_OPTIONS):
        if key in content and not isinstance(content[key], str):
            raise SourceError(f"{path}: [{where}] {key} is {content[key]!r}, expected text")
    if content.get("decimal", ".") not in DECIMAL_MARKS:
        raise SourceError(
            f"{path}: [{where}] decimal is {content['decimal']!r}, expected "
            f"{' or '.join(map(repr, DECIMAL_MARKS))}"
        )
    ignore = content.get("ignore", [])
    if not isinstance(ignore, list) or not all(isinstance(name, str) for name in ignore):
        raise SourceError(f"{path}: [{where}] ignore is {ignore!r}, expected a list of columns")
    options: dict[str, Any] = {name: content.get(name) for name in TEXT_OPTIONS}
    return TableMapping(
        columns={key: content[key] for key in known if key in content},
        constants=_constants(content.get("constants", {}), known, path, where),
        event_types=_event_types(content.get("event_types", {}), path),
        ignore=tuple(ignore),
        **options,
    )


def _constants(content: object, known: Known, path: Path, where: str) -> dict[str, Constant]:
    if not isinstance(content, dict):
        raise SourceError(f"{path}: [{where}] constants is {content!r}, expected a section")
    _refuse_unknown(content, tuple(known), path, f"{where}.constants")
    for key, value in content.items():
        if not isinstance(value, Constant):
            raise SourceError(f"{path}: [{where}.constants] {key} is {value!r}, expected one value")
    return dict(content)


def _event_types(content: object, path: Path) -> dict[str, str]:
    if not isinstance(content, dict):
        raise SourceError(f"{path}: [events] event_types is {content!r}, expected a section")
    for word, event_type in content.items():
        if event_type not in tables.EVENT_TYPES:
            raise SourceError(
                f"{path}: [events.event_types] {word} = {event_type!r}, expected one of "
                f"{', '.join(tables.EVENT_TYPES)}"
            )
    return dict(content)
