"""Whether the listings' photos and texts belong together, by their embeddings."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.parquet as pq

from feature_repo.feature_tables import ITEM_IMAGE_EMBEDDING, ITEM_TEXT_EMBEDDING
from feature_repo.home import Home
from feature_repo.offline_tables import read_vectors
from validation import history, reasons, tables
from validation.alignment import FloatMatrix, align
from validation.summary import summary_of

if TYPE_CHECKING:
    from validation.result import GateResult

STEP = "extract"
SHOWN = [tables.ITEM_ID, tables.TITLE, tables.IMAGE_PATH, tables.SOURCE]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Listings that have both embeddings, in ascending id."""

    item_ids: npt.NDArray[np.object_]
    """(N,)"""
    photos: FloatMatrix
    texts: FloatMatrix


def stored_pairs(home: Home) -> Pairs:
    """The listings of the store that have both."""
    photos = read_vectors(home, ITEM_IMAGE_EMBEDDING.name)
    texts = read_vectors(home, ITEM_TEXT_EMBEDDING.name)
    place = pd.Index(texts.item_ids).get_indexer(pd.Index(photos.item_ids))
    both = place >= 0
    return Pairs(photos.item_ids[both], photos.matrix[both], texts.matrix[place[both]])


def check_photos_and_texts(home: Home, *, now: datetime) -> "GateResult | None":
    """Look at all listings with both embeddings; None for too few to learn from.

    Writes those that disagree to ``photo_text.csv`` beside the gate's reports, surest first.
    """
    from validation import gate

    pairs = stored_pairs(home)
    alignment = align(pairs.photos, pairs.texts)
    if alignment is None:
        return None
    items = pq.read_table(home.items, columns=SHOWN).to_pandas()
    items = items.set_index(tables.ITEM_ID).reindex(list(pairs.item_ids)).reset_index()
    agreement = alignment.unbiased_agreement(pairs.photos, pairs.texts)
    result = gate.check_pairs(items, agreement=agreement, alignment=alignment, now=now)
    history.record([summary_of([result])], folder=home.gate_results, source="", step=STEP)
    told = items.assign(confidence=alignment.confidence(agreement).round(3))
    told = told.iloc[result.warnings[reasons.ROW_NUMBER]]
    told.sort_values("confidence", ascending=False).to_csv(
        home.gate_results / "photo_text.csv", index=False
    )
    return result
