"""Whether the listings' photos and texts belong together, by their embeddings."""

from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.parquet as pq

from feature_repo.encoder_tables import served_hash
from feature_repo.feature_tables import ITEM_IMAGE_EMBEDDING, ITEM_TEXT_EMBEDDING
from feature_repo.home import Home
from feature_repo.offline_tables import read_vectors
from validation import history, reasons, tables
from validation.alignment import Alignment, FloatMatrix, align
from validation.summary import summary_of
from validation.whole_files import replacing

if TYPE_CHECKING:
    from validation.result import GateResult

STEP = "extract"
ALIGNMENT = "photo_text.npz"
MadeBy = tuple[str, str]
"""Hashes of the photo and the text encoder."""
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

    Writes those that disagree to ``photo_text.csv`` beside the gate's reports, surest first, and
    keeps what was learned for `check_new_pairs`.
    """
    from validation import gate

    pairs = stored_pairs(home)
    alignment = align(pairs.photos, pairs.texts)
    if alignment is None:
        return None
    _keep(alignment, home=home)
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


def check_new_pairs(
    items: pd.DataFrame,
    photos: FloatMatrix,
    texts: FloatMatrix,
    *,
    made_by: MadeBy,
    home: Home,
    now: datetime,
) -> "GateResult | None":
    """Look at new listings with both embeddings by what was learned from the catalogue.

    Args:
        items: N canonical listings.
        photos: (N, P)
        texts: (N, T)

    Returns:
        None where there are none, or nothing was learned of these encoders.
    """
    from validation import gate

    alignment = _kept(made_by=made_by, home=home) if len(items) else None
    if alignment is None:
        return None
    shown = items[SHOWN].reset_index(drop=True)
    agreement = alignment.agreement(photos, texts)
    return gate.check_pairs(shown, agreement=agreement, alignment=alignment, now=now)


def _keep(alignment: Alignment, *, home: Home) -> None:
    """Beside the hashes of the encoders that serve, whose vectors it was learned from."""
    views = (ITEM_IMAGE_EMBEDDING.name, ITEM_TEXT_EMBEDDING.name)
    made_by = [served_hash(home, view) or "" for view in views]
    with replacing(home.gate_results / ALIGNMENT) as partial, partial.open("wb") as file:
        np.savez(file, made_by=np.array(made_by), **asdict(alignment))


def _kept(*, made_by: MadeBy, home: Home) -> Alignment | None:
    path = home.gate_results / ALIGNMENT
    if not path.exists():
        return None
    with np.load(path) as kept:
        if tuple(kept["made_by"].tolist()) != made_by:
            return None
        arrays = {one.name: kept[one.name] for one in fields(Alignment)}
    return Alignment(**{**arrays, "threshold": float(arrays["threshold"])})
