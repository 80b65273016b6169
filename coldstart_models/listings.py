"""New listings: gate → encode → push → catalogue; recommendable when the call returns.

The same path serves `coldstart listings FILE` and the service. A listing that comes again
with the same id is updated. One bad listing never stops the good ones.

The catalogue's file is the moment at which a listing counts, as it is for one that goes: what
fails before it, a disk or a store that is full perhaps, leaves features that nobody serves and that
the same listings, sent again, replace.
"""

import logging
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import pandas as pd

from coldstart_models.catching_up import catch_up
from coldstart_models.errors import NotEnoughData
from coldstart_models.intake import (
    SERVICE_SOURCE,
    QuarantinedRow,
    told_rows,
)
from coldstart_models.listing_encoders import ListingEncoders
from coldstart_models.listing_features import PUSHED, ListingFeatures, drop_features
from coldstart_models.listing_gate import ListingGate, ListingsResult, in_order, raw_items
from coldstart_models.listing_updates import Changes
from coldstart_models.progress import Progress
from coldstart_models.stage_times import stage
from feature_repo import listing_changes
from feature_repo.errors import StoreLost
from feature_repo.home import Home
from feature_repo.jobs.catalogue import accepted_rows
from feature_repo.jobs.catalogue_reference import CatalogueReference
from feature_repo.jobs.transaction import locked
from validation import tables
from validation.rules import NO_RULES, Rules
from validation.whole_files import identity_of

if TYPE_CHECKING:
    from coldstart_models.recommending import Recommender
    from feature_repo.store import Store

log = logging.getLogger(__name__)


def add_listings(
    frame: pd.DataFrame,
    *,
    home: Home,
    store: "Store",
    recommender: "Recommender",
    encoders: ListingEncoders,
    now: datetime,
    source: str = SERVICE_SOURCE,
    rules: Rules = NO_RULES,
    catalogue: CatalogueReference | None = None,
    progress: Progress | None = None,
    changes: Changes | None = None,
) -> ListingsResult:
    """Take new listings in.

    Args:
        frame: canonical item columns with raw values; `image_path` is an absolute path.
        source: value of the `source` column of all of them.
        rules: what the shop adds to the gate.
        catalogue: kept by a caller who comes again, so that it need not be learned anew.
        changes: of which the frame was made, where it holds listings that are there already.

    Raises:
        NotEnoughData: there is no catalogue yet.
    """
    if not home.items.exists():
        raise NotEnoughData(f"no catalogue at {home.items}; run `coldstart ingest SOURCE` first")
    if frame.empty:
        return ListingsResult((), (), tables.ITEMS.empty())
    gate = ListingGate(
        home, raw_items(frame, source), source, rules, catalogue or CatalogueReference(home), now
    )
    with stage("gate", rows=len(frame)), locked(home.items.parent, wait=True):
        seen = changes.seen if changes else identity_of(home.items)
        first = gate.check(gate.raw, progress=progress)
    items = in_order(first.accepted)
    if items.empty:
        return gate.put(first)
    with stage("encode", rows=len(items)):
        made = [ListingFeatures.of(items, encoders=encoders, now=now)]
    with stage("push", items=len(items)):
        gone: tuple[QuarantinedRow, ...] = ()
        try:
            made[0].push(store=store, recommender=recommender, now=now)
            with locked(home.items.parent, wait=True):
                if identity_of(home.items) == seen:
                    taken = gate.put(first)
                else:  # somebody else's listings came meanwhile, copies of these perhaps
                    again = gate.again(first, changes)
                    renewed = again.renewed_items
                    if len(renewed):
                        made.append(ListingFeatures.of(renewed, encoders=encoders, now=now))
                        made[-1].push(store=store, recommender=recommender, now=now)
                    taken = gate.put(first, again.verdict)
                    gone = again.gone
        except BaseException:
            _serve_as_stored(items, home=home, store=store, recommender=recommender)
            raise
        listing_changes.record(home, list(items[tables.ITEM_ID]))
        stay = items[tables.ITEM_ID].isin(taken.accepted).to_numpy(bool)
        if not stay.all():
            _serve_as_stored(items[~stay], home=home, store=store, recommender=recommender)
        _drop(gone, home=home, store=store)
    taken = replace(taken, quarantined=(*taken.quarantined, *gone))
    unlike = _unlike(taken.accepted, made, home=home, now=now)
    return replace(taken, warned=_told_together(taken.warned, unlike))


def _serve_as_stored(
    items: pd.DataFrame, *, home: Home, store: "Store", recommender: "Recommender"
) -> None:
    """Serve listings as catalogue and online store have them, after they were not taken in."""
    ids = list(items[tables.ITEM_ID])
    try:
        catch_up(ids, home=home, store=store, recommender=recommender)
    except StoreLost as error:
        log.warning("what was not taken in is not served; what it was is not known: %s", error)
        listed = accepted_rows(tables.ITEMS, home.items)[tables.ITEM_ID]
        recommender.remove_listings(set(ids) - set(listed))


def _drop(gone: tuple[QuarantinedRow, ...], *, home: Home, store: "Store") -> None:
    """Take out what was pushed of listings after somebody had deleted them."""
    if not gone:
        return
    try:
        drop_features([str(row.id) for row in gone], home=home, store=store, views=PUSHED)
    except StoreLost as error:  # nobody serves it
        log.warning("%d deleted listings leave features in the online store: %s", len(gone), error)


def _unlike(
    accepted: tuple[str, ...], made: list[ListingFeatures], *, home: Home, now: datetime
) -> tuple[QuarantinedRow, ...]:
    """The listings whose photo does not look like what their text says.

    Args:
        made: what was made of them; what was made last of a listing counts.
    """
    left, told = set(accepted), list[QuarantinedRow]()
    for features in reversed(made):
        checked = features.pairs(left, home=home, now=now)
        told += () if checked is None else told_rows(checked.warnings)
        left -= set(features.items[tables.ITEM_ID])
    return tuple(told)


def _told_together(
    warned: tuple[QuarantinedRow, ...], unlike: tuple[QuarantinedRow, ...]
) -> tuple[QuarantinedRow, ...]:
    """One entry a listing; `unlike` counts its rows among the accepted, so these are left out."""
    told = {row.id: row for row in warned}
    for row in unlike:
        before = told.get(row.id, QuarantinedRow(row.id, ()))
        reasons = tuple(reason.split(": ", 1)[-1] for reason in row.reasons)
        told[row.id] = replace(
            before, reasons=(*before.reasons, *reasons), checks=(*before.checks, *row.checks)
        )
    return tuple(told.values())
