"""The rows of `listing_changes`, as state folders read and push them through Feast.

    folders           names: every folder that tells
    FOLDER            names: a mark of its last write; numbers: the last change of each of its pages
    FOLDER/PAGE       names: listings; numbers: the last change of each
    listing/ITEM_ID   names: the catalogue's row as JSON, "null" where it went; numbers: its version

A version is the moment at which somebody changed the row, µs since 1970: the newest one counts,
whichever folder wrote last.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
import pyarrow as pa

from feature_repo.feature_tables import CHANGE_ID, LISTING_CHANGES
from feature_repo.store_results import PushTo
from validation import tables

if TYPE_CHECKING:
    from feature_repo.store import Store

FOLDERS: Final = "folders"
GONE: Final = "null"
READ_AT_ONCE: Final = 50
_READ: Final = [f"{LISTING_CHANGES.name}:names", f"{LISTING_CHANGES.name}:numbers"]


@dataclass(frozen=True, slots=True)
class Told:
    """One row."""

    names: tuple[str, ...]
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ListingRow:
    """What the catalogue of some folder says of a listing."""

    version: int
    values: dict[str, Any] | None
    """Column → JSON value; None where the listing went."""


def read(store: "Store", keys: Sequence[str]) -> dict[str, Told]:
    """The rows that are there, by key."""
    found = {}
    for first in range(0, len(keys), READ_AT_ONCE):
        asked = keys[first : first + READ_AT_ONCE]
        online = store.online(_READ, [{CHANGE_ID: key} for key in asked])
        for key, row in zip(asked, online, strict=True):
            names, numbers = (row[f"{LISTING_CHANGES.name}__{one}"] for one in ("names", "numbers"))
            if names is not None or numbers is not None:
                found[key] = Told(tuple(names or ()), tuple(numbers or ()))
    return found


def push(store: "Store", rows: Mapping[str, Told], *, now: datetime) -> None:
    """Write rows online."""
    frame = pd.DataFrame(
        {
            CHANGE_ID: list(rows),
            "names": [list(one.names) for one in rows.values()],
            "numbers": [list(one.numbers) for one in rows.values()],
            tables.EVENT_TIMESTAMP: pd.Timestamp(now),
        }
    )
    store.push(LISTING_CHANGES.name, frame, now=now, to=PushTo.ONLINE)


def page_key(folder: str, page: int) -> str:
    return f"{folder}/{page}"


def read_listings(store: "Store", item_ids: Sequence[str]) -> dict[str, ListingRow]:
    """What was told of the listings; those of which nothing was are left out."""
    found = read(store, [_listing_key(item_id) for item_id in item_ids])
    told = {item_id: found.get(_listing_key(item_id)) for item_id in item_ids}
    return {
        item_id: ListingRow(row.numbers[0], json.loads(row.names[0]))
        for item_id, row in told.items()
        if row is not None
    }


def listing_rows(items: pd.DataFrame, versions: Mapping[str, int]) -> dict[str, Told]:
    """The rows that tell of listings with these versions; those not in `items` went.

    Args:
        items: canonical.
    """
    listed = tables.ITEMS.to_arrow(items).to_pylist()
    texts = {row[tables.ITEM_ID]: json.dumps(row, default=_text) for row in listed}
    return {
        _listing_key(item_id): Told((texts.get(item_id, GONE),), (version,))
        for item_id, version in versions.items()
    }


def canonical(rows: Collection[Mapping[str, Any]]) -> pd.DataFrame:
    """Catalogue rows of what other folders told."""
    told = [
        {name: _value(row.get(name), tables.ITEMS.schema.field(name).type) for name in row}
        for row in rows
    ]
    table = pa.Table.from_pylist(told, schema=tables.ITEMS.schema)
    frame: pd.DataFrame = tables.ITEMS.to_pandas(table)
    return frame


def _listing_key(item_id: str) -> str:
    return f"listing/{item_id}"


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    raise TypeError(f"a catalogue holds no {type(value).__name__}")


def _value(value: Any, kind: pa.DataType) -> Any:
    if value is not None and pa.types.is_timestamp(kind):
        return datetime.fromisoformat(value)
    return value
