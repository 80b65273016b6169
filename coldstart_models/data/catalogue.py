"""The catalogue as arrays: one row an item, every modality beside its mask."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.parquet as pq

from coldstart_models.errors import NotEnoughData, UnknownItem
from feature_repo.encoder_tables import require_one_encoder
from feature_repo.home import Home
from validation import tables

FloatMatrix = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

IMAGE_VIEW = "item_image_embedding"
TEXT_VIEW = "item_text_embedding"
LEAST_CODE = 4
"""Characters of a value that an id does not contain by chance."""


@dataclass(frozen=True, slots=True)
class Embeddings:
    """One modality of N items: an encoder's output and who has one."""

    vectors: FloatMatrix
    """(N, D); rows without the modality are zero and masked."""
    present: BoolArray
    """(N,)"""
    encoder: str
    """The encoder's id; empty where nothing was extracted."""
    encoder_hash: str

    def take(self, item_index: IntArray) -> "Embeddings":
        return replace(self, vectors=self.vectors[item_index], present=self.present[item_index])


@dataclass(frozen=True)
class Catalogue:
    """N items in ascending `item_id`; a row's number is its ``item_index``."""

    item_ids: npt.NDArray[np.object_]
    frame: pd.DataFrame
    """The canonical items table, one row an item, in the same order."""
    image: Embeddings
    text: Embeddings

    def __len__(self) -> int:
        return len(self.item_ids)

    @cached_property
    def position(self) -> dict[str, int]:
        """item_id → item_index."""
        return {item_id: index for index, item_id in enumerate(self.item_ids)}

    @cached_property
    def words(self) -> list[str]:
        """Each item's title, category, brand, attribute values and description, joined."""
        return [
            " ".join(
                text
                for text in (title, category, brand, *attribute_values(attributes, item_id), about)
                if isinstance(text, str)
            )
            for item_id, title, category, brand, attributes, about in zip(
                self.item_ids,
                *(self.frame[name] for name in (tables.TITLE, tables.CATEGORY, tables.BRAND)),
                *(self.frame[name] for name in (tables.ATTRIBUTES, tables.DESCRIPTION)),
                strict=True,
            )
        ]

    @cached_property
    def listed_us(self) -> IntArray:
        """When each item was first offered, µs since 1970 UTC; the smallest int64 if unknown."""
        return moments_us(self.frame[tables.LISTED_AT])

    def index(self, item_ids: Sequence[str]) -> IntArray:
        """Row numbers of the ids. Raises UnknownItem naming the first few unknown ones."""
        unknown = [item_id for item_id in item_ids if item_id not in self.position]
        if unknown:
            raise UnknownItem(
                f"{len(unknown)} of {len(item_ids)} items are not in the catalogue of "
                f"{len(self)}: {', '.join(unknown[:5])}; ingest and extract them first"
            )
        return np.array([self.position[item_id] for item_id in item_ids], dtype=np.int64)

    def take(self, item_index: IntArray) -> "Catalogue":
        """The named rows, which must keep ascending ids."""
        return Catalogue(
            item_ids=self.item_ids[item_index],
            frame=self.frame.iloc[item_index].reset_index(drop=True),
            image=self.image.take(item_index),
            text=self.text.take(item_index),
        )


def attribute_values(attributes: str | None, item_id: str) -> list[str]:
    """The values of an item's JSON attributes as text, without those its id contains.

    A shop's article number often encodes the product line (``79323P`` and family ``79323``).
    A model that reads it learns the shop's filing, not the item, so such values are left out; not
    shorter ones, which an id may contain by chance, as ``SKU-1203`` does the size S.
    """
    if not isinstance(attributes, str) or not attributes:
        return []
    values = (str(value) for value in json.loads(attributes).values() if value is not None)
    return [value for value in values if len(value) < LEAST_CODE or value not in item_id]


def load_catalogue(home: Home) -> Catalogue:
    """Read the accepted items and their extracted features from the state folder."""
    if not home.items.exists():
        raise NotEnoughData(f"no catalogue at {home.items}; run `coldstart ingest SOURCE` first")
    frame = pq.read_table(home.items).to_pandas()
    frame = frame.sort_values(tables.ITEM_ID).reset_index(drop=True)
    return Catalogue(
        item_ids=frame[tables.ITEM_ID].to_numpy(dtype=object),
        frame=frame,
        image=read_embeddings(home.feature_table(IMAGE_VIEW), frame[tables.ITEM_ID]),
        text=read_embeddings(home.feature_table(TEXT_VIEW), frame[tables.ITEM_ID]),
    )


def read_embeddings(path: Path, item_ids: "pd.Series[str]") -> Embeddings:
    """Align one embedding table with the items; items without a row are masked.

    Raises StoreError where the table mixes encoders.
    """
    require_one_encoder(path)
    count = len(item_ids)
    columns = [tables.ITEM_ID, "embedding", "encoder", "encoder_hash"]
    stored = pq.read_table(path, columns=columns) if path.exists() else None
    if stored is None or stored.num_rows == 0:
        return Embeddings(np.zeros((count, 0), np.float32), np.zeros(count, bool), "", "")
    flat = stored["embedding"].combine_chunks()
    values = np.asarray(flat.flatten(), dtype=np.float32).reshape(stored.num_rows, -1)
    row_of = pd.Series(np.arange(stored.num_rows), index=stored[tables.ITEM_ID].to_pandas())
    rows = row_of[~row_of.index.duplicated(keep="last")].reindex(item_ids).to_numpy()
    present = ~np.isnan(rows)
    vectors = np.zeros((count, values.shape[1]), np.float32)
    vectors[present] = values[rows[present].astype(np.int64)]
    return Embeddings(vectors, present, str(stored["encoder"][0]), str(stored["encoder_hash"][0]))


def moments_us(moments: pd.Series) -> IntArray:
    """(N,) µs since 1970 UTC; the smallest int64 where one is null."""
    naive = pd.to_datetime(moments, utc=True).dt.tz_localize(None)
    return np.asarray(naive.to_numpy(dtype="datetime64[us]").astype(np.int64), np.int64)
