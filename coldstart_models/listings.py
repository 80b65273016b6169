"""New listings: gate → catalogue → encode → push; recommendable when the call returns.

The same path serves `coldstart listings FILE` and the service. A listing that comes again
with the same id is updated. One bad listing never stops the good ones.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from coldstart_models.adapting import known_from
from coldstart_models.artifacts import Contract
from coldstart_models.data.catalogue import Embeddings
from coldstart_models.errors import ContractMismatch, NotEnoughData
from coldstart_models.feature_rows import item_profile_rows
from coldstart_models.intake import (
    SERVICE_SOURCE,
    QuarantinedRow,
    json_text,
    keep_quarantined,
    told_rows,
)
from feature_repo.encoder_tables import encoder_records
from feature_repo.encoders.encoder import Modality
from feature_repo.feature_tables import (
    EMBEDDING,
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
    from feature_repo.encoders.encoder import Encoder
    from feature_repo.store import Store

Progress = Callable[[int, int], None]
STEP: Final = "listings"
BATCH: Final = 32
"""Listings encoded at once."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ListingEncoders:
    """The encoders a model was trained with, loaded; None where it reads no such embedding."""

    image: "Encoder | None"
    text: "Encoder | None"


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


@dataclass(frozen=True, slots=True)
class Encoded:
    """One modality of N listings."""

    rows: pd.DataFrame
    """Rows of its embedding table."""
    embeddings: Embeddings
    """(N, D), in the listings' order."""


def load_encoders(
    contract: Contract, *, home: Home, image: str | None = None, text: str | None = None
) -> ListingEncoders:
    """Load the encoders that the model's contract names.

    Args:
        home: knows how the encoders were loaded that filled its features.
        image: how to load the image encoder elsewhere, e.g. ``folder:PATH``.
        text: the same for the text encoder.

    Raises:
        ContractMismatch: an encoder's weights or preprocessing are not those of training.
    """
    known = {
        record.hash: record.name
        for modality in Modality
        for record in encoder_records(home, modality)
    }
    image = image or known.get(contract.image_encoder_hash)
    text = text or known.get(contract.text_encoder_hash)
    return ListingEncoders(
        image=_load(contract.image_encoder, contract.image_encoder_hash, image),
        text=_load(contract.text_encoder, contract.text_encoder_hash, text),
    )


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
        image = encode(items, encoder=encoders.image, now=now)
        text = encode(items, encoder=encoders.text, now=now)
        store.push(ITEM_PROFILE.name, item_profile_rows(items, now=now), now=now)
        for table, encoded in ((ITEM_IMAGE_EMBEDDING, image), (ITEM_TEXT_EMBEDDING, text)):
            if len(encoded.rows):
                store.push(table.name, encoded.rows, now=now)
        vectors = recommender.add_listings(items, image.embeddings, text.embeddings)
        store.push(ITEM_VECTOR.name, known_from(vectors, now), now=now)
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


def encode(items: pd.DataFrame, *, encoder: "Encoder | None", now: datetime) -> Encoded:
    """One modality of the listings; a listing without it is masked and has no row."""
    count = len(items)
    if encoder is None:
        masked = Embeddings(np.zeros((count, 0), np.float32), np.zeros(count, bool), "", "")
        return Encoded(pd.DataFrame(), masked)
    from feature_repo.jobs.extract import encode_items

    given = items[_has(items, encoder.modality)]
    parts = []
    for first in range(0, len(given), BATCH):
        rows, refused = encode_items(given[first : first + BATCH], encoder=encoder, now=now)
        parts.append(rows)
        for refusal in refused:
            log.warning("listing %s goes without its photo: %s", refusal.item_id, refusal.reason)
    found = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    return Encoded(found, _aligned(items, found, encoder))


def _has(items: pd.DataFrame, modality: str) -> pd.Series:
    """Which listings have a photo, or a title or description."""
    from feature_repo.encoders.content import listing_text

    if modality == "image":
        return items[tables.IMAGE_PATH].fillna("") != ""
    texts = zip(items[tables.TITLE], items[tables.DESCRIPTION], strict=True)
    return pd.Series([listing_text(*text) is not None for text in texts], index=items.index)


def _aligned(items: pd.DataFrame, rows: pd.DataFrame, encoder: "Encoder") -> Embeddings:
    """Embedding rows in the items' order, masked where there is none."""
    vectors = np.zeros((len(items), encoder.width), np.float32)
    present = np.zeros(len(items), bool)
    if len(rows):
        position = pd.Index(items[tables.ITEM_ID]).get_indexer(pd.Index(rows[tables.ITEM_ID]))
        vectors[position] = np.stack(list(rows[EMBEDDING]))
        present[position] = True
    return Embeddings(vectors, present, encoder.id, encoder.hash)


def _load(encoder_id: str, wanted: str, named: str | None) -> "Encoder | None":
    if not encoder_id:
        return None
    from feature_repo.encoders.registry import load_encoder

    encoder = load_encoder(named or encoder_id)
    if encoder.hash != wanted:
        raise ContractMismatch(
            f"encoder {named or encoder_id!r} has hash {encoder.hash[:12]}…, the model was "
            f"trained on {encoder_id!r} with hash {wanted[:12]}…; name the encoder of training, "
            "or extract and train again"
        )
    return encoder
