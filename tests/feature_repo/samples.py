"""Tiny catalogues and logs for the tests of this package."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from feature_repo.encoders.encoder import FloatMatrix, Modality
from feature_repo.home import Home
from validation import tables

NOW = datetime(2024, 6, 1, tzinfo=UTC)


def at(text: str) -> pd.Timestamp:
    """A UTC time."""
    return pd.Timestamp(text, tz="UTC")


def write_items(home: Home, *rows: Mapping[str, Any]) -> None:
    """The catalogue, each row completed by a source."""
    whole = [{"source": "shop", **row} for row in rows]
    home.items.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(whole, schema=tables.ITEMS.schema), home.items)


def events_frame(*rows: tuple[str, str, str, str], **columns: Sequence[Any]) -> pd.DataFrame:
    """Events of (user, item, type, time), in the log's order, with further columns."""
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "event_type", "event_timestamp"])
    frame["event_timestamp"] = pd.to_datetime(frame["event_timestamp"], utc=True, format="ISO8601")
    return frame.assign(
        event_id=[f"e{number}" for number in range(len(frame))], source="shop", **columns
    )


def write_events(home: Home, frame: pd.DataFrame) -> None:
    """The log."""
    home.events.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(tables.EVENTS.to_arrow(frame), home.events)


def photo(path: Path, colour: str) -> Path:
    """A photo of two colours."""
    image = Image.new("RGB", (32, 24), colour)
    image.paste("white", (4, 4, 12, 12))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


def write_chairs(home: Home, colours: Mapping[str, str], *others: Mapping[str, Any]) -> None:
    """The catalogue: an item with a one-coloured photo for each colour, by id, then the others."""
    rows = [
        {
            "item_id": item_id,
            "title": f"Chair {item_id}",
            "image_path": str(photo(home.photos / f"{item_id}.png", colour)),
            "listed_at": at("2024-01-01"),
        }
        for item_id, colour in colours.items()
    ]
    write_items(home, *rows, *others)


class CountingEncoder:
    """A real tiny encoder: mean colour of a photo, or letter counts of a text.

    It counts what it encodes, and can be told to die at a batch.
    """

    licence = "Apache-2.0"

    def __init__(self, modality: Modality, *, version: str = "1", dies_at: int = 0) -> None:
        self.modality, self.id = modality, f"counting-{modality}"
        self.hash = self.space = f"hash-{modality}-{version}"
        self.width = 3
        self.encoded = 0
        self.batches = 0
        self.dies_at = dies_at

    def prepare(self, content: Any) -> npt.NDArray[np.float32]:
        if self.modality is Modality.IMAGE:
            return np.asarray(content, dtype=np.float32).mean(axis=(0, 1)) + 1
        return np.array([content.count(letter) for letter in "abc"], np.float32) + 1

    def forward(self, prepared: Sequence[npt.NDArray[np.float32]]) -> FloatMatrix:
        self.batches += 1
        if self.batches == self.dies_at:
            raise KeyboardInterrupt("killed")
        self.encoded += len(prepared)
        return np.stack(prepared) if len(prepared) else np.zeros((0, 3), np.float32)

    def encode(self, batch: Sequence[Any]) -> FloatMatrix:
        return self.forward([self.prepare(content) for content in batch])
