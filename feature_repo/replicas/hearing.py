"""What other state folders told goes into this one: catalogue, feature tables, log of changes.

From there on a listing of theirs is one of this folder's own: its workers take it up as they do any
change, a restart and a training find it. Nothing is judged or encoded again.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from feature_repo import listing_changes
from feature_repo.erasure.feature_rows import drop_rows
from feature_repo.feature_tables import (
    FEATURE_TABLES,
    ITEM_ADAPTATION,
    ITEM_IMAGE_EMBEDDING,
    ITEM_PROFILE,
    ITEM_TEXT_EMBEDDING,
    ITEM_VECTOR,
    FeatureTable,
)
from feature_repo.home import Home
from feature_repo.jobs.catalogue import accepted_rows, write_listings
from feature_repo.jobs.fingerprints import fingerprints_of
from feature_repo.jobs.transaction import locked
from feature_repo.jobs.upsert import upsert
from feature_repo.listing_changes import Kind
from feature_repo.offline_tables import latest_rows
from feature_repo.replicas import rows
from feature_repo.replicas.ledger import Ledger
from feature_repo.replicas.rows import ListingRow, Told, page_key
from feature_repo.replicas.telling import catalogue_rows
from feature_repo.store_results import PushTo
from validation import tables

if TYPE_CHECKING:
    from feature_repo.store import Store

VIEWS: Final = (
    ITEM_PROFILE,
    ITEM_IMAGE_EMBEDDING,
    ITEM_TEXT_EMBEDDING,
    ITEM_VECTOR,
    ITEM_ADAPTATION,
)
"""What is known of a listing and made neither of the log nor by `aggregate` alone."""
ITEM_TABLES: Final = tuple(
    table for table in FEATURE_TABLES.values() if table.key == tables.ITEM_ID
)
READ_AT_ONCE: Final = 20
AT_ONCE: Final = 200


def hear(
    home: Home, store: "Store", ledger: Ledger, folders: Mapping[str, Told]
) -> tuple[set[str], set[str]]:
    """Take in what the folders told since they were last heard.

    Args:
        folders: the row of each other folder.

    Returns:
        Listings that are others here now, and those of which this folder knows something newer than
        what is online.
    """
    heard, took, newer = ledger.heard(), set[str](), set[str]()
    for folder, told in folders.items():
        last = heard.get(folder, 0)
        pages = [page for page, number in enumerate(told.numbers) if number > last]
        if not pages:
            continue
        named = _named(store, folder, pages, after=last)
        if named is None:  # it is being written
            continue
        for first in range(0, len(named), AT_ONCE):
            taken = take(home, store, ledger, named[first : first + AT_ONCE])
            took |= taken[0]
            newer |= taken[1]
        ledger.set_heard(folder, max(told.numbers))
        ledger.keep()
    return took, newer


def take(
    home: Home, store: "Store", ledger: Ledger, item_ids: Sequence[str]
) -> tuple[set[str], set[str]]:
    """Have some listings as they stand online; returns as `hear` does."""
    now = datetime.now(UTC)
    told, known = rows.read_listings(store, item_ids), ledger.versions(item_ids)
    settled = {one: row for one, row in told.items() if row.version > known[one]}
    gone = [one for one, row in settled.items() if row.values is None]
    listed = set(catalogue_rows(home, item_ids)[tables.ITEM_ID]) | set(settled)
    differ = _features(home, store, sorted(listed - set(gone)), now=now)
    differ |= _catalogue(home, settled)
    for table in ITEM_TABLES if gone else ():
        drop_rows(home, table, gone)
    ledger.set_versions({one: row.version for one, row in settled.items()})
    listing_changes.record(home, differ, kind=Kind.HEARD)
    return differ, {one for one, row in told.items() if row.version < known[one]}


def _named(store: "Store", folder: str, pages: Sequence[int], *, after: int) -> list[str] | None:
    """Listings of the pages that changed after a number; None where a page is not there."""
    told = rows.read(store, [page_key(folder, page) for page in pages])
    if len(told) < len(pages):
        return None
    return sorted(
        {
            item_id
            for one in told.values()
            for item_id, number in zip(one.names, one.numbers, strict=True)
            if number > after
        }
    )


def _catalogue(home: Home, settled: Mapping[str, ListingRow]) -> set[str]:
    """Write what others settled; returns the listings that came, changed or went here."""
    if not settled:
        return set()
    with locked(home.items.parent, wait=True):
        before = accepted_rows(tables.ITEMS, home.items)
        new = rows.canonical([row.values for row in settled.values() if row.values is not None])
        after = before[~before[tables.ITEM_ID].isin(set(settled) - set(new[tables.ITEM_ID]))]
        for source, some in new.groupby(tables.SOURCE, sort=True):
            other = after[tables.ITEM_ID].isin(some[tables.ITEM_ID])
            after = after[~(other & (after[tables.SOURCE] != source))]
            after = upsert(
                tables.ITEMS, after, some.reset_index(drop=True), source=str(source), whole=False
            ).rows
        differ = _differing(before, after, settled)
        if differ:
            photos = fingerprints_of(home, item_ids=after[tables.ITEM_ID])
            write_listings(home, after, photos=photos)
    return differ


def _differing(before: pd.DataFrame, after: pd.DataFrame, among: Collection[str]) -> set[str]:
    one, other = (
        {
            row[tables.ITEM_ID]: row
            for row in tables.ITEMS.to_arrow(
                frame[frame[tables.ITEM_ID].isin(list(among))]
            ).to_pylist()
        }
        for frame in (before, after)
    )
    return {item_id for item_id in among if one.get(item_id) != other.get(item_id)}


def _features(home: Home, store: "Store", item_ids: Sequence[str], *, now: datetime) -> set[str]:
    """Have offline what is online of some listings; returns those of which it was another one."""
    differ = set[str]()
    for table in VIEWS:
        online = _online(store, table, item_ids)
        here = {
            row[tables.ITEM_ID]: row
            for row in latest_rows(home, table.name, keys=list(item_ids)).to_pylist()
        }
        names = [column.name for column in table.features]
        new = [
            row
            for row in online
            if row[tables.ITEM_ID] not in here
            or any(row[name] != here[row[tables.ITEM_ID]][name] for name in names)
        ]
        if new:
            frame = pd.DataFrame(new).assign(**{tables.EVENT_TIMESTAMP: pd.Timestamp(now)})
            store.push(table.name, frame, now=now, to=PushTo.OFFLINE)
        differ |= {str(row[tables.ITEM_ID]) for row in new}
        if table is ITEM_ADAPTATION:  # whom they learned from was erased
            forgotten = sorted(set(here) - {row[tables.ITEM_ID] for row in online})
            if forgotten:
                drop_rows(home, table, forgotten)
                differ |= set(forgotten)
    return differ


def _online(store: "Store", table: FeatureTable, item_ids: Sequence[str]) -> list[dict[str, Any]]:
    """The view's rows of the listings that have any, named as the table's columns are."""
    names = [column.name for column in table.features]
    found = []
    for first in range(0, len(item_ids), READ_AT_ONCE):
        asked = item_ids[first : first + READ_AT_ONCE]
        answer = store.online(
            [f"{table.name}:{name}" for name in names],
            [{tables.ITEM_ID: item_id} for item_id in asked],
        )
        for item_id, row in zip(asked, answer, strict=True):
            values = {name: row[f"{table.name}__{name}"] for name in names}
            if any(value is not None for value in values.values()):
                found.append({tables.ITEM_ID: item_id, **values})
    return found
