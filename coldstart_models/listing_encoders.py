"""The encoders that a model was trained with, and what they make of new listings."""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from coldstart_models.artifacts import Contract
from coldstart_models.data.catalogue import Embeddings
from coldstart_models.errors import ContractMismatch
from feature_repo.encoder_tables import encoder_records
from feature_repo.encoders.encoder import Modality
from feature_repo.feature_tables import EMBEDDING
from feature_repo.home import Home
from validation import tables

if TYPE_CHECKING:
    from feature_repo.encoders.encoder import Encoder

BATCH: Final = 32
"""Listings encoded at once."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ListingEncoders:
    """The encoders a model was trained with, loaded; None where it reads no such embedding."""

    image: "Encoder | None"
    text: "Encoder | None"


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
