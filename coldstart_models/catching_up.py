"""Taking up what other processes changed of the listings: workers, the command line, consumers.

Vectors and what first customers taught are read online, what is told of a listing from the
catalogue, all as they are now: whoever looks later sees the same state, in whatever order the
changes came.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from coldstart_models.adapting import adapted_rows
from coldstart_models.data.catalogue import Embeddings
from feature_repo.feature_tables import (
    ITEM_ADAPTATION,
    ITEM_IMAGE_EMBEDDING,
    ITEM_TEXT_EMBEDDING,
    ITEM_VECTOR,
    FeatureTable,
)
from feature_repo.home import Home
from validation import tables

if TYPE_CHECKING:
    from coldstart_models.recommending import Recommender
    from feature_repo.store import Store

AT_ONCE: Final = 500
"""Listings that are taken up together."""
READ_AT_ONCE: Final = 20
"""Listings whose vectors are read together: an online store is given little time for an answer."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a listing has learned from its first customers."""

    delta: "np.typing.NDArray[np.float32]"
    """(ΣD_m,)"""
    bias: float
    support: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How some listings stand now."""

    items: pd.DataFrame
    """Those that the model serves, canonical columns, in ascending `item_id`."""
    rows: "np.typing.NDArray[np.float32]"
    """(K, D) their vectors."""
    lessons: dict[str, Lesson]
    elsewhere: frozenset[str]
    """Those whose newest lesson is another model's."""
    gone: tuple[str, ...]
    """Those that the catalogue does not have."""
    image: Embeddings
    """What encoders made of photos, for recommenders that follow,"""
    text: Embeddings
    """and of texts."""


def catch_up(
    item_ids: Sequence[str], *, home: Home, store: "Store", recommender: "Recommender"
) -> list[Standing]:
    """Serve these listings as they stand now; what is known already changes nothing.

    Recommenders that follow learn from the log what the listings learned anew.
    """
    found = []
    for first in range(0, len(item_ids), AT_ONCE):
        stands = standing(
            item_ids[first : first + AT_ONCE], home=home, store=store, recommender=recommender
        )
        taught = recommender.take_up(stands)
        for follower in recommender.followers:
            adapted_rows(taught.learned, home=home, recommender=follower)
        found.append(stands)
    return found


def standing(
    item_ids: Sequence[str], *, home: Home, store: "Store", recommender: "Recommender"
) -> Standing:
    """How the listings stand in catalogue and online store."""
    asked = sorted(set(item_ids))
    table = pq.read_table(home.items, filters=[(tables.ITEM_ID, "in", asked)])
    items = tables.ITEMS.to_pandas(table).sort_values(tables.ITEM_ID).reset_index(drop=True)
    listed = list(items[tables.ITEM_ID])
    features = [
        *_references(ITEM_VECTOR, "vector", "model"),
        *_references(ITEM_ADAPTATION, "delta", "bias", "support", "model"),
    ]
    if recommender.leads:
        for view in (ITEM_IMAGE_EMBEDDING, ITEM_TEXT_EMBEDDING):
            features += _references(view, "embedding")
    online = [
        row
        for first in range(0, len(listed), READ_AT_ONCE)
        for row in store.online(
            features,
            [{tables.ITEM_ID: item_id} for item_id in listed[first : first + READ_AT_ONCE]],
        )
    ]
    ours = [row["item_vector__model"] == recommender.tag for row in online]
    served = [row for row, own in zip(online, ours, strict=True) if own]
    items = items[np.array(ours, bool)].reset_index(drop=True)
    vectors = [np.asarray(row["item_vector__vector"], np.float32) for row in served]
    return Standing(
        items=items,
        rows=np.stack(vectors) if vectors else np.zeros((0, 0), np.float32),
        lessons={
            item_id: _lesson(row)
            for item_id, row in zip(items[tables.ITEM_ID], served, strict=True)
            if row["item_adaptation__model"] == recommender.tag
        },
        elsewhere=frozenset(
            item_id
            for item_id, row in zip(items[tables.ITEM_ID], served, strict=True)
            if row["item_adaptation__model"] not in (None, recommender.tag)
        ),
        gone=tuple(sorted(set(asked) - set(listed))),
        image=_embeddings(served, ITEM_IMAGE_EMBEDDING),
        text=_embeddings(served, ITEM_TEXT_EMBEDDING),
    )


def _references(view: FeatureTable, *columns: str) -> list[str]:
    return [f"{view.name}:{column}" for column in columns]


def _lesson(row: Mapping[str, Any]) -> Lesson:
    return Lesson(
        np.asarray(row["item_adaptation__delta"], np.float32),
        float(row["item_adaptation__bias"]),
        int(row["item_adaptation__support"]),
    )


def _embeddings(rows: Sequence[Mapping[str, Any]], view: FeatureTable) -> Embeddings:
    """What was read of a view; a listing without a row has none."""
    found = [row.get(f"{view.name}__embedding") for row in rows]
    width = next((len(one) for one in found if one is not None), 0)
    vectors = np.zeros((len(found), width), np.float32)
    present = np.array([one is not None for one in found], bool)
    for place, one in enumerate(found):
        if one is not None:
            vectors[place] = one
    return Embeddings(vectors, present, "", "")
