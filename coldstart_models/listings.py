"""New listings: gate → catalogue → encode → push; recommendable when the call returns.

The same path serves `coldstart listings FILE` and the service. A listing that comes again
with the same id is updated. One bad listing never stops the good ones.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

import pandas as pd

from coldstart_models.adapting import known_from
from coldstart_models.data.catalogue import Embeddings
from coldstart_models.errors import NotEnoughData
from coldstart_models.feature_rows import item_profile_rows
from coldstart_models.intake import (
    SERVICE_SOURCE,
    QuarantinedRow,
    json_text,
    keep_quarantined,
    told_rows,
)
from coldstart_models.listing_encoders import ListingEncoders, encode
from coldstart_models.progress import Progress
from coldstart_models.stage_times import stage
from feature_repo import listing_changes
from feature_repo.feature_tables import (
    ITEM_IMAGE_EMBEDDING,
    ITEM_PROFILE,
    ITEM_TEXT_EMBEDDING,
    ITEM_VECTOR,
    write_table,
)
from feature_repo.home import Home
from feature_repo.jobs.catalogue_reference import CatalogueReference
from feature_repo.jobs.fingerprints import keep_fingerprints
from feature_repo.jobs.transaction import locked
from validation import tables
from validation.rules import NO_RULES, Rules

if TYPE_CHECKING:
    from coldstart_models.recommending import Recommender
    from feature_repo.store import Store

STEP: Final = "listings"


@dataclass(frozen=True, slots=True)
class ListingsResult:
    """What became of the listings."""

    accepted: tuple[str, ...]
    """Item ids that can be recommended now."""
    quarantined: tuple[QuarantinedRow, ...]
    items: pd.DataFrame
    """The accepted listings, canonical columns."""
    warned: tuple[QuarantinedRow, ...] = ()
    """Accepted listings with something to mend."""


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
) -> ListingsResult:
    """Take new listings in.

    Args:
        frame: canonical item columns with raw values; `image_path` is an absolute path.
        source: value of the `source` column of all of them.
        rules: what the shop adds to the gate.
        catalogue: kept by a caller who comes again, so that it need not be learned anew.

    Raises:
        NotEnoughData: there is no catalogue yet.
    """
    if not home.items.exists():
        raise NotEnoughData(f"no catalogue at {home.items}; run `coldstart ingest SOURCE` first")
    if frame.empty:
        return ListingsResult((), (), tables.ITEMS.empty())
    with stage("gate", rows=len(frame)):
        taken = _accept(
            frame,
            home=home,
            source=source,
            rules=rules,
            catalogue=catalogue or CatalogueReference(home),
            now=now,
            progress=progress,
        )
    items = taken.items
    if len(items):
        with stage("encode", rows=len(items)):
            image = encode(items, encoder=encoders.image, now=now)
            text = encode(items, encoder=encoders.text, now=now)
        with stage("push", items=len(items)):
            store.push(ITEM_PROFILE.name, item_profile_rows(items, now=now), now=now)
            for table, encoded in ((ITEM_IMAGE_EMBEDDING, image), (ITEM_TEXT_EMBEDDING, text)):
                if len(encoded.rows):
                    store.push(table.name, encoded.rows, now=now)
            vectors = recommender.add_listings(items, image.embeddings, text.embeddings)
            store.push(ITEM_VECTOR.name, known_from(vectors, now), now=now)
            listing_changes.record(home, list(items[tables.ITEM_ID]))
        unlike = _unlike(items, image.embeddings, text.embeddings, home=home, now=now)
        taken = replace(taken, warned=_told_together(taken.warned, unlike))
    return taken


def _accept(
    frame: pd.DataFrame,
    *,
    home: Home,
    source: str,
    rules: Rules,
    catalogue: CatalogueReference,
    now: datetime,
    progress: Progress | None,
) -> ListingsResult:
    """Gate the listings and put what is accepted into the catalogue."""
    from feature_repo.jobs.catalogue import accepted_rows
    from feature_repo.jobs.upsert import upsert
    from validation import gate, history
    from validation.summary import summary_of

    raw = frame.assign(**{tables.SOURCE: source})
    if tables.ATTRIBUTES in raw.columns:
        raw = raw.assign(**{tables.ATTRIBUTES: raw[tables.ATTRIBUTES].map(json_text)})
    with locked(home.items.parent, wait=True):
        before = accepted_rows(tables.ITEMS, home.items)
        checked = gate.check_items(
            raw,
            reference=catalogue.of(before),
            rules=rules,
            now=now,
            progress=progress,
        )
        if len(checked.accepted):
            after = upsert(tables.ITEMS, before, checked.accepted, source=source, whole=False)
            write_table(tables.ITEMS.to_arrow(after.rows), home.items)
            keep_fingerprints(checked, home=home, item_ids=after.rows[tables.ITEM_ID])
            catalogue.grown(checked.accepted, photos=checked.fingerprints)
    quarantined = keep_quarantined(checked, home=home, source=source, now=now)
    history.record([summary_of([checked])], folder=home.gate_results, source=source, step=STEP)
    accepted = checked.accepted.sort_values(tables.ITEM_ID).reset_index(drop=True)
    return ListingsResult(
        tuple(accepted[tables.ITEM_ID]), quarantined, accepted, told_rows(checked.warnings)
    )


def _unlike(
    items: pd.DataFrame, image: Embeddings, text: Embeddings, *, home: Home, now: datetime
) -> tuple[QuarantinedRow, ...]:
    """The listings whose photo does not look like what their text says."""
    from feature_repo.jobs.photo_text import check_new_pairs

    both = image.present & text.present
    checked = check_new_pairs(
        items[both],
        image.vectors[both],
        text.vectors[both],
        made_by=(image.encoder_hash, text.encoder_hash),
        home=home,
        now=now,
    )
    return () if checked is None else told_rows(checked.warnings)


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
