"""Listings that go, or change: the catalogue first, then everything that was made of it.

The catalogue's file is the moment at which a deletion counts: a listing that is not in it is not
served by whoever loads next. The steps after it may be done twice, so a deletion that was killed is
finished by asking again. Events stay in the log: they are people's histories.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from coldstart_models.errors import UnknownItem
from coldstart_models.listing_encoders import ListingEncoders
from coldstart_models.listings import ListingsResult, add_listings
from feature_repo import listing_changes
from feature_repo.erasure.feature_rows import drop_rows
from feature_repo.feature_tables import FEATURE_TABLES
from feature_repo.home import Home
from feature_repo.jobs.catalogue import accepted_rows, write_listings
from feature_repo.jobs.catalogue_reference import CatalogueReference
from feature_repo.jobs.fingerprints import fingerprints_of
from feature_repo.jobs.transaction import locked
from validation import tables
from validation.rules import NO_RULES, Rules

if TYPE_CHECKING:
    from coldstart_models.recommending import Recommender
    from feature_repo.store import Store

ITEM_TABLES: Final = tuple(
    table for table in FEATURE_TABLES.values() if table.key == tables.ITEM_ID
)


@dataclass(frozen=True, slots=True)
class Delisted:
    """What became of the listings that were to go."""

    deleted: tuple[str, ...]
    """Item ids that were in the catalogue, ascending."""
    unknown: tuple[str, ...]
    rows: dict[str, int]
    """Offline feature table → rows that went."""


def delete_listings(
    item_ids: Collection[str], *, home: Home, store: "Store", recommender: "Recommender"
) -> Delisted:
    """Delete listings: from catalogue, features, online store and what is served."""
    asked = set(item_ids)
    with locked(home.items.parent, wait=True):
        before = accepted_rows(tables.ITEMS, home.items)
        going = before[tables.ITEM_ID].isin(asked)
        known = set(before.loc[going, tables.ITEM_ID])
        if known:
            left = before[~going]
            photos = fingerprints_of(home, item_ids=left[tables.ITEM_ID])
            write_listings(home, left, photos=photos)
    listing_changes.record(home, asked)
    recommender.remove_listings(asked)
    rows = {table.name: drop_rows(home, table, asked) for table in ITEM_TABLES}
    store.remove_online([table.name for table in ITEM_TABLES], sorted(asked))
    return Delisted(tuple(sorted(known)), tuple(sorted(asked - known)), rows)


def update_listings(
    changes: Mapping[str, Mapping[str, Any]],
    *,
    home: Home,
    store: "Store",
    recommender: "Recommender",
    encoders: ListingEncoders,
    now: datetime,
    rules: Rules = NO_RULES,
    catalogue: CatalogueReference | None = None,
) -> list[ListingsResult]:
    """Change columns of listings: gate, encode and push them as new ones are.

    What a listing has learned from its first customers stays. One result a source, as a listing
    keeps its own.

    Args:
        changes: item id → column → new raw value.

    Raises UnknownItem where the catalogue has no such listing; nothing is changed then.
    """
    listed = accepted_rows(tables.ITEMS, home.items)
    rows = listed[listed[tables.ITEM_ID].isin(list(changes))]
    unknown = sorted(set(changes) - set(rows[tables.ITEM_ID]))
    if unknown:
        raise UnknownItem(
            f"{len(unknown)} of {len(changes)} listings are not in the catalogue: "
            f"{', '.join(unknown[:5])}; add them by `coldstart listings` or `listings`"
        )
    raw = rows.astype(object).where(rows.notna(), None)
    changed = pd.DataFrame(
        [{**row, **changes[str(row[tables.ITEM_ID])]} for row in raw.to_dict("records")],
        columns=tables.ITEMS.names,
        dtype=object,
    )
    return [
        add_listings(
            part.reset_index(drop=True),
            home=home,
            store=store,
            recommender=recommender,
            encoders=encoders,
            now=now,
            source=str(source),
            rules=rules,
            catalogue=catalogue,
        )
        for source, part in changed.groupby(tables.SOURCE, sort=True)
    ]
