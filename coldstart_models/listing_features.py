"""What is made of listings that come or change, and what goes with one that went."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from coldstart_models.adapting import known_from
from coldstart_models.feature_rows import item_profile_rows
from coldstart_models.listing_encoders import Encoded, ListingEncoders, encode
from feature_repo.erasure.feature_rows import drop_rows
from feature_repo.feature_tables import (
    FEATURE_TABLES,
    ITEM_IMAGE_EMBEDDING,
    ITEM_PROFILE,
    ITEM_TEXT_EMBEDDING,
    ITEM_VECTOR,
    FeatureTable,
)
from feature_repo.home import Home
from validation import tables

if TYPE_CHECKING:
    from coldstart_models.recommending import Recommender
    from feature_repo.store import Store
    from validation.result import GateResult

ITEM_TABLES: Final = tuple(
    table for table in FEATURE_TABLES.values() if table.key == tables.ITEM_ID
)

PUSHED: Final = (ITEM_IMAGE_EMBEDDING, ITEM_TEXT_EMBEDDING, ITEM_VECTOR, ITEM_PROFILE)
"""Those that a listing has as soon as it is taken in."""


@dataclass(frozen=True, slots=True)
class ListingFeatures:
    """N listings, and what the encoders make of them."""

    items: pd.DataFrame
    """Canonical columns, in ascending `item_id`."""
    image: Encoded
    text: Encoded

    @classmethod
    def of(
        cls, items: pd.DataFrame, *, encoders: ListingEncoders, now: datetime
    ) -> "ListingFeatures":
        """Encode them."""
        return cls(
            items,
            encode(items, encoder=encoders.image, now=now),
            encode(items, encoder=encoders.text, now=now),
        )

    def push(self, *, store: "Store", recommender: "Recommender", now: datetime) -> None:
        """Into the feature store, and into what is ranked. Raises StoreLost."""
        for table, encoded in (
            (ITEM_IMAGE_EMBEDDING, self.image),
            (ITEM_TEXT_EMBEDDING, self.text),
        ):
            if len(encoded.rows):
                store.push(table.name, encoded.rows, now=now)
        vectors = recommender.add_listings(self.items, self.image.embeddings, self.text.embeddings)
        store.push(ITEM_VECTOR.name, known_from(vectors, now), now=now)
        store.push(ITEM_PROFILE.name, item_profile_rows(self.items, now=now), now=now)

    def pairs(self, item_ids: Collection[str], *, home: Home, now: datetime) -> "GateResult | None":
        """What the gate says of some of them, of their photo beside their text; None where it
        knows nothing of these.
        """
        from feature_repo.jobs.photo_text import check_new_pairs

        image, text = self.image.embeddings, self.text.embeddings
        asked = self.items[tables.ITEM_ID].isin(item_ids).to_numpy(bool)
        both = np.flatnonzero(asked & image.present & text.present)
        return check_new_pairs(
            self.items.iloc[both],
            image.vectors[both],
            text.vectors[both],
            made_by=(image.encoder_hash, text.encoder_hash),
            home=home,
            now=now,
        )


def drop_features(
    item_ids: Collection[str],
    *,
    home: Home,
    store: "Store",
    views: Collection[FeatureTable] = ITEM_TABLES,
) -> dict[str, int]:
    """Take listings out of feature tables and the online store; rows that went, by table."""
    rows = {table.name: drop_rows(home, table, item_ids) for table in views}
    store.remove_online([table.name for table in views], sorted(item_ids))
    return rows
