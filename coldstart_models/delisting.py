"""Listings that go, or change: the catalogue first, then everything that was made of it.

The catalogue's file is the moment at which a deletion counts: a listing that is not in it is not
served by whoever loads next. The steps after it may be done twice, so a deletion that was killed is
finished by asking again. Events stay in the log: they are people's histories.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from coldstart_models.errors import UnknownItem
from coldstart_models.listing_encoders import ListingEncoders
from coldstart_models.listing_features import drop_features
from coldstart_models.listing_gate import ListingsResult
from coldstart_models.listing_updates import Changes
from coldstart_models.listings import add_listings
from feature_repo import listing_changes
from feature_repo.home import Home
from feature_repo.jobs.catalogue import accepted_rows, write_listings
from feature_repo.jobs.catalogue_reference import CatalogueReference
from feature_repo.jobs.fingerprints import fingerprints_of
from feature_repo.jobs.sent_photos import remove_unnamed
from feature_repo.jobs.transaction import locked
from validation import tables
from validation.rules import NO_RULES, Rules

if TYPE_CHECKING:
    from coldstart_models.recommending import Recommender
    from feature_repo.store import Store


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
            remove_unnamed(before.loc[going, tables.IMAGE_PATH], home=home)
    listing_changes.record(home, asked)
    recommender.remove_listings(asked)
    rows = drop_features(asked, home=home, store=store)
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

    What a listing has learned from its first customers stays, and so does what others change of it
    meanwhile; one that is deleted meanwhile stays deleted, and is told so. One result a source, as
    a listing keeps its own.

    Args:
        changes: item id → column → new raw value.

    Raises UnknownItem where the catalogue has no such listing; nothing is changed then.
    """
    wanted = Changes.of(changes, home=home)
    changed = wanted.made(accepted_rows(tables.ITEMS, home.items), item_ids=changes)
    unknown = sorted(set(changes) - set(changed[tables.ITEM_ID]))
    if unknown:
        raise UnknownItem(
            f"{len(unknown)} of {len(changes)} listings are not in the catalogue: "
            f"{', '.join(unknown[:5])}; add them by `coldstart listings` or `listings`"
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
            changes=wanted,
        )
        for source, part in changed.groupby(tables.SOURCE, sort=True)
    ]
