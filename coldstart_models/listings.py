"""New listings: gate → catalogue → encode → push; recommendable when the call returns.

The same path serves `coldstart listings FILE` and the service. A listing that comes again
with the same id is updated. One bad listing never stops the good ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from coldstart_models.artifacts import Contract
from coldstart_models.data.catalogue import Embeddings
from coldstart_models.errors import ContractMismatch, NotEnoughData
from coldstart_models.event_intake import known_from
from coldstart_models.intake import SERVICE_SOURCE, QuarantinedRow, json_text, keep_quarantined
from feature_repo.feature_tables import (
    CONTENT_HASH,
    EMBEDDING,
    ENCODER,
    ENCODER_HASH,
    ITEM_IMAGE_EMBEDDING,
    ITEM_PROFILE,
    ITEM_TEXT_EMBEDDING,
    ITEM_VECTOR,
    UNDATED,
    write_table,
)
from feature_repo.home import Home
from feature_repo.offline_tables import locked
from validation import tables

if TYPE_CHECKING:
    from coldstart_models.recommending import Recommender
    from feature_repo.encoders.encoder import Encoder
    from feature_repo.store import Store

Progress = Callable[[int, int], None]
BATCH = 32


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


@dataclass(frozen=True, slots=True)
class Encoded:
    """One modality of N listings, and the hash of what was encoded ("" where absent)."""

    embeddings: Embeddings
    content_hashes: tuple[str, ...]


def load_encoders(
    contract: Contract, *, image: str | None = None, text: str | None = None
) -> ListingEncoders:
    """Load the encoders that the model's contract names.

    Args:
        image: how to load the image encoder where its id alone does not say, e.g.
            ``folder:PATH``.
        text: the same for the text encoder.

    Raises:
        ContractMismatch: an encoder's weights or preprocessing are not those of training.
    """
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
    progress: Progress | None = None,
) -> ListingsResult:
    """Take new listings in.

    Args:
        frame: canonical item columns with raw values; `image_path` is an absolute path.
        source: value of the `source` column of all of them.

    Raises:
        NotEnoughData: there is no catalogue yet.
    """
    if not home.items.exists():
        raise NotEnoughData(f"no catalogue at {home.items}; run `coldstart ingest SOURCE` first")
    if frame.empty:
        return ListingsResult((), (), tables.ITEMS.empty())
    items, quarantined = _accept(frame, home=home, source=source, now=now, progress=progress)
    if len(items):
        image = encode_photos(items, encoders.image)
        text = encode_texts(items, encoders.text)
        _push_content(items, image, text, store=store, now=now)
        vectors = recommender.add_listings(items, image.embeddings, text.embeddings)
        store.push(ITEM_VECTOR.name, known_from(vectors, now), now=now)
    return ListingsResult(tuple(items[tables.ITEM_ID]), quarantined, items)


def _accept(
    frame: pd.DataFrame, *, home: Home, source: str, now: datetime, progress: Progress | None
) -> tuple[pd.DataFrame, tuple[QuarantinedRow, ...]]:
    """Gate the listings and put what is accepted into the catalogue."""
    import pyarrow.parquet as pq

    from feature_repo.jobs.ownership import without_owned
    from feature_repo.jobs.upsert import upsert
    from validation import gate

    raw = frame.assign(**{tables.SOURCE: source})
    if tables.ATTRIBUTES in raw.columns:
        raw = raw.assign(**{tables.ATTRIBUTES: raw[tables.ATTRIBUTES].map(json_text)})
    with locked(home.items):
        before = tables.ITEMS.to_pandas(pq.read_table(home.items, schema=tables.ITEMS.schema))
        others = before[before[tables.SOURCE] != source]
        checked = gate.check_items(raw, known_items=others, now=now, progress=progress)
        checked = without_owned(tables.ITEMS, checked, raw, others)
        if len(checked.accepted):
            after = upsert(tables.ITEMS, before, checked.accepted, source=source, whole=False)
            write_table(tables.ITEMS.to_arrow(after.rows), home.items)
    quarantined = keep_quarantined(checked, home=home, source=source, now=now)
    accepted = checked.accepted.sort_values(tables.ITEM_ID).reset_index(drop=True)
    return accepted, quarantined


def encode_photos(items: pd.DataFrame, encoder: "Encoder | None") -> Encoded:
    """The photos' vectors; a listing without a photo is masked."""
    from feature_repo.encoders.content import file_hash, open_photo

    paths = [Path(path) if isinstance(path, str) else None for path in items[tables.IMAGE_PATH]]
    return _encode(paths, encoder, read=open_photo, digest=file_hash)


def encode_texts(items: pd.DataFrame, encoder: "Encoder | None") -> Encoded:
    """The texts' vectors; a listing without title and description is masked."""
    from feature_repo.encoders.content import listing_text, text_hash

    texts = [
        listing_text(title, description)
        for title, description in zip(items[tables.TITLE], items[tables.DESCRIPTION], strict=True)
    ]
    return _encode(texts, encoder, read=str, digest=text_hash)


def _encode(
    contents: Sequence[Any],
    encoder: "Encoder | None",
    *,
    read: Callable[[Any], Any],
    digest: Callable[[Any], str],
) -> Encoded:
    count = len(contents)
    if encoder is None:
        none = Embeddings(np.zeros((count, 0), np.float32), np.zeros(count, bool), "", "")
        return Encoded(none, ("",) * count)
    present = np.array([content is not None for content in contents], dtype=bool)
    vectors = np.zeros((count, encoder.width), np.float32)
    rows = np.flatnonzero(present)
    for first in range(0, len(rows), BATCH):
        batch = rows[first : first + BATCH]
        vectors[batch] = encoder.encode([read(contents[row]) for row in batch])
    hashes = tuple("" if content is None else digest(content) for content in contents)
    return Encoded(Embeddings(vectors, present, encoder.id, encoder.hash), hashes)


def _push_content(
    items: pd.DataFrame, image: Encoded, text: Encoded, *, store: "Store", now: datetime
) -> None:
    from coldstart_models.feature_rows import item_profile_rows

    store.push(ITEM_PROFILE.name, item_profile_rows(items, now=now), now=now)
    for table, encoded in ((ITEM_IMAGE_EMBEDDING, image), (ITEM_TEXT_EMBEDDING, text)):
        rows = embedding_rows(items, encoded)
        if len(rows):
            store.push(table.name, rows, now=now)


def embedding_rows(items: pd.DataFrame, encoded: Encoded) -> pd.DataFrame:
    """Rows of an embedding table: one for each listing that has the modality."""
    embeddings = encoded.embeddings
    kept = items[embeddings.present].reset_index(drop=True)
    return pd.DataFrame(
        {
            tables.ITEM_ID: kept[tables.ITEM_ID],
            EMBEDDING: list(embeddings.vectors[embeddings.present]),
            ENCODER: embeddings.encoder,
            ENCODER_HASH: embeddings.encoder_hash,
            CONTENT_HASH: [digest for digest in encoded.content_hashes if digest],
            tables.SOURCE: kept[tables.SOURCE],
            tables.EVENT_TIMESTAMP: kept[tables.LISTED_AT].fillna(UNDATED),
        }
    )


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
