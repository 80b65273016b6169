"""A part of the catalogue, the same one each time, encoded anew by whichever encoder."""

import time
from datetime import datetime
from hashlib import sha256

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from coldstart_models.data.catalogue import Catalogue, Embeddings
from coldstart_models.errors import NotEnoughData
from coldstart_models.listing_encoders import encode
from coldstart_models.progress import Progress
from feature_repo.encoders.content import listing_text
from feature_repo.encoders.encoder import Encoder, Modality
from feature_repo.home import Home
from validation import tables

BATCH = 64


def sampled(home: Home, count: int) -> tuple[Catalogue, int]:
    """`count` items without embeddings, and how many the catalogue has.

    They are those with the smallest hashes of their ids, so that new listings change few of them.
    Raises NotEnoughData where nothing was ingested.
    """
    if not home.items.exists():
        raise NotEnoughData(f"no catalogue at {home.items}; run `coldstart ingest SOURCE` first")
    frame = pq.read_table(home.items).to_pandas()
    by_hash = frame[tables.ITEM_ID].map(lambda item_id: sha256(item_id.encode()).hexdigest())
    chosen = frame.loc[by_hash.sort_values().index[:count]]
    chosen = chosen.sort_values(tables.ITEM_ID).reset_index(drop=True)
    nothing = absent(len(chosen))
    item_ids = chosen[tables.ITEM_ID].to_numpy(dtype=object)
    return Catalogue(item_ids, chosen, image=nothing, text=nothing), len(frame)


def absent(count: int) -> Embeddings:
    """No embedding of any of N items."""
    return Embeddings(np.zeros((count, 0), np.float32), np.zeros(count, bool), "", "")


def encoded(
    items: pd.DataFrame,
    encoder: Encoder,
    *,
    now: datetime,
    progress: Progress | None = None,
) -> tuple[Embeddings, float]:
    """The items' embeddings in their order, and how many of them a second.

    Opening and preparing photos counts; loading the encoder and its first batch do not.
    """
    order = np.arange(len(items))
    if encoder.modality is Modality.TEXT:  # texts of like length pad least
        texts = map(listing_text, items[tables.TITLE], items[tables.DESCRIPTION])
        order = np.argsort([len(text or "") for text in texts], kind="stable")
    encode(items.iloc[order[:BATCH]], encoder=encoder, now=now)
    began, parts = time.perf_counter(), []
    for first in range(0, len(items), BATCH):
        batch = items.iloc[order[first : first + BATCH]]
        parts.append(encode(batch, encoder=encoder, now=now).embeddings)
        if progress:
            progress(min(first + BATCH, len(items)), len(items))
    seconds = time.perf_counter() - began
    place = np.argsort(order)
    present = np.concatenate([part.present for part in parts])[place]
    vectors = np.concatenate([part.vectors for part in parts])[place]
    found = Embeddings(vectors, present, encoder.id, encoder.hash)
    return found, float(present.sum()) / seconds
