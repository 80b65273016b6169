"""This state folder's own changes go online, so that folders over the same store hear of them.

First what the catalogue says of each listing, then the page that names it, then the folder's row,
then the list of folders: whoever sees a number finds what it counts.
"""

import secrets
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import pyarrow.parquet as pq

from feature_repo.home import Home
from feature_repo.listing_changes import Change, Kind, later_than
from feature_repo.replicas import rows
from feature_repo.replicas.ledger import Ledger
from feature_repo.replicas.rows import FOLDERS, Told, page_key
from validation import tables

if TYPE_CHECKING:
    import pandas as pd

    from feature_repo.store import Store

FOLDER: Final = "folder"
MARK: Final = "mark"
NEXT_MARK: Final = "next mark"
"""What is being written; kept first, so that a folder that was stopped knows its own row."""
LOGGED: Final = "logged"
"""Number of the folder's own log up to which it told."""
AT_ONCE: Final = 500
OLDEST: Final = 1
"""Version of a row of which nobody knows since when it holds."""


def tell(home: Home, store: "Store", ledger: Ledger) -> int:
    """Tell what this folder changed since it last told; returns how many listings."""
    logged = ledger.fact(LOGGED)
    changes, missed = later_than(home, int(logged or 0))
    count = 0
    if missed and logged is not None:
        count += _tell_all(home, store, ledger)
    own = [one for one in changes if one.kind is not Kind.HEARD]
    for some in _parts(own):
        settled = {
            item_id: one.at for one in some if one.kind is Kind.CHANGED for item_id in one.item_ids
        }
        known = ledger.versions(settled)  # a clock that ran ahead elsewhere must not outdo a change
        newest = {item_id: max(at, known[item_id] + 1) for item_id, at in settled.items()}
        ledger.set_versions(newest)
        named = {item_id for one in some for item_id in one.item_ids}
        tell_of(home, store, ledger, named, changed=set(newest))
        ledger.set_fact(LOGGED, str(some[-1].number))
        ledger.keep()
        count += len(named)
    if changes:
        ledger.set_fact(LOGGED, str(changes[-1].number))
    return count


def tell_of(
    home: Home, store: "Store", ledger: Ledger, item_ids: Collection[str], *, changed: set[str]
) -> None:
    """Tell of some listings.

    Args:
        changed: of these, those whose catalogue row this folder settled; the others' rows are told
            only where nobody told them.
    """
    if not item_ids:
        return
    now, listed = datetime.now(UTC), sorted(item_ids)
    _push_listings(home, store, ledger, listed, changed=changed, now=now)
    folder, pages = own_folder(ledger), ledger.tell(listed)
    _push_pages(store, ledger, folder, sorted(pages), now=now)
    be_known(store, folder, now=now)


def _push_listings(
    home: Home,
    store: "Store",
    ledger: Ledger,
    listed: Sequence[str],
    *,
    changed: Collection[str],
    now: datetime,
) -> None:
    """What the catalogue says of the listings, where nobody told anything newer."""
    online = rows.read_listings(store, listed)
    versions = {one: max(at, OLDEST) for one, at in ledger.versions(listed).items()}
    due = {
        item_id: version
        for item_id, version in versions.items()
        if item_id not in online or (item_id in changed and online[item_id].version < version)
    }
    catalogue = catalogue_rows(home, list(due))
    there = set(catalogue[tables.ITEM_ID])
    due = {one: at for one, at in due.items() if one in there or one in changed}
    told = rows.listing_rows(catalogue, due)
    if told:
        rows.push(store, told, now=now)


def own_folder(ledger: Ledger) -> str:
    """Under which name this folder tells."""
    name = ledger.fact(FOLDER)
    if name is None:
        name = secrets.token_hex(8)
        ledger.set_fact(FOLDER, name)
    return name


def tell_again(home: Home, store: "Store", ledger: Ledger) -> None:
    """Tell everything again, under another name.

    What is online under this folder's name is not what it wrote: the store was emptied or restored,
    or the folder is the copy of one that tells under the name as well.
    """
    ledger.set_fact(FOLDER, secrets.token_hex(8))
    folder, now = own_folder(ledger), datetime.now(UTC)
    for page in range(len(ledger.pages())):
        listed = sorted(ledger.page(page))
        changed = {one for one, at in ledger.versions(listed).items() if at}
        _push_listings(home, store, ledger, listed, changed=changed, now=now)
    _push_pages(store, ledger, folder, range(len(ledger.pages())), now=now)
    be_known(store, folder, now=now)
    ledger.keep()


def be_known(store: "Store", folder: str, *, now: datetime) -> None:
    """Be in the list of folders; who writes it at the same time is put back when they next look."""
    told = rows.read(store, [FOLDERS]).get(FOLDERS, Told((), ()))
    if folder not in told.names:
        rows.push(store, {FOLDERS: Told((*told.names, folder), ())}, now=now)


def catalogue_rows(home: Home, item_ids: Sequence[str]) -> "pd.DataFrame":
    """What the catalogue says of the listings that it has."""
    if not item_ids:
        return tables.ITEMS.empty()
    table = pq.read_table(
        home.items, schema=tables.ITEMS.schema, filters=[(tables.ITEM_ID, "in", list(item_ids))]
    )
    frame: pd.DataFrame = tables.ITEMS.to_pandas(table)
    return frame


def _push_pages(
    store: "Store", ledger: Ledger, folder: str, pages: Sequence[int], *, now: datetime
) -> None:
    mark = secrets.token_hex(8)
    ledger.set_fact(NEXT_MARK, mark)
    ledger.keep()
    for page in pages:
        held = ledger.page(page)
        told = Told(tuple(held), tuple(held.values()))
        rows.push(store, {page_key(folder, page): told}, now=now)
    rows.push(store, {folder: Told((mark,), tuple(ledger.pages()))}, now=now)
    ledger.set_fact(MARK, mark)


def _tell_all(home: Home, store: "Store", ledger: Ledger) -> int:
    """Tell of the whole catalogue, and of all that went: too much changed to say what."""
    listed = pq.read_table(home.items, columns=[tables.ITEM_ID])[tables.ITEM_ID].to_pylist()
    every = sorted({*listed, *ledger.known()})
    for first in range(0, len(every), AT_ONCE):
        some = every[first : first + AT_ONCE]
        later = {one: at + 1 for one, at in ledger.versions(some).items()}
        ledger.set_versions(later)
        tell_of(home, store, ledger, some, changed=set(some))
    return len(every)


def _parts(changes: Sequence[Change]) -> Iterator[list[Change]]:
    """Lines that name up to AT_ONCE listings together, at least one."""
    part: list[Change] = []
    for one in changes:
        if part and sum(len(line.item_ids) for line in (*part, one)) > AT_ONCE:
            yield part
            part = []
        part.append(one)
    if part:
        yield part
