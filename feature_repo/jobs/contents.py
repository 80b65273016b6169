"""What there is to encode: each item's photo or text with the hash that says if it changed."""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from feature_repo.encoders.content import (
    UnreadablePhoto,
    file_hash,
    listing_text,
    open_photo,
    text_hash,
)
from feature_repo.encoders.encoder import Modality
from feature_repo.feature_tables import UNDATED
from validation import tables

PHOTO_CHECK: Final = "photo_readable"


@dataclass(frozen=True, slots=True)
class Content:
    """One item's photo or text."""

    item_id: str
    value: str
    """Path of the photo, or the text itself."""
    hash: str
    event_timestamp: pd.Timestamp
    source: str

    def opened(self, modality: Modality) -> Any:
        """The decoded photo or the text. Raises UnreadablePhoto."""
        return open_photo(Path(self.value)) if modality is Modality.IMAGE else self.value


@dataclass(frozen=True, slots=True)
class Refusal:
    """An item whose photo or vector is of no use, and why."""

    item_id: str
    check: str
    """Name of what it failed."""
    value: str
    """Path of the photo; empty for a vector."""
    source: str
    reason: str


def contents_of(
    items: pd.DataFrame, *, modality: Modality, pool: Executor
) -> tuple[list[Content], list[Refusal]]:
    """The items' contents in order, and the photos that are not there.

    Args:
        items: canonical items.
        pool: hashes the photo files.
    """
    values = _values(items, modality)
    hashes = pool.map(_photo_hash if modality is Modality.IMAGE else text_hash, values.dropna())
    found, refused = [], []
    given = items[values.notna()]
    listed = given[tables.LISTED_AT].fillna(UNDATED)
    for item_id, value, digest, moment, source in zip(
        given[tables.ITEM_ID], values.dropna(), hashes, listed, given[tables.SOURCE], strict=True
    ):
        if digest is None:
            reason = f"the photo {value} is not there; restore it or ingest the item again"
            refused.append(Refusal(item_id, PHOTO_CHECK, value, source, reason))
        else:
            found.append(Content(item_id, value, digest, moment, source))
    return found, refused


def prepared(
    contents: Sequence[Content], *, encoder: Any, pool: Executor
) -> tuple[list[Content], list[Any], list[Refusal]]:
    """Open and prepare contents in threads: those that could be read, and those that not."""
    outcomes = list(pool.map(lambda content: _prepare(content, encoder), contents))
    readable = [
        (content, outcome)
        for content, outcome in zip(contents, outcomes, strict=True)
        if not isinstance(outcome, Refusal)
    ]
    refused = [outcome for outcome in outcomes if isinstance(outcome, Refusal)]
    return [content for content, _ in readable], [inputs for _, inputs in readable], refused


def _prepare(content: Content, encoder: Any) -> Any:
    try:
        return encoder.prepare(content.opened(encoder.modality))
    except UnreadablePhoto as error:
        return Refusal(content.item_id, PHOTO_CHECK, content.value, content.source, str(error))


def _values(items: pd.DataFrame, modality: Modality) -> pd.Series:
    if modality is Modality.IMAGE:
        paths = items[tables.IMAGE_PATH]
        return paths.where(paths.notna() & (paths != ""))
    texts = [
        listing_text(title, description)
        for title, description in zip(items[tables.TITLE], items[tables.DESCRIPTION], strict=True)
    ]
    return pd.Series(texts, index=items.index, dtype=object)


def _photo_hash(path: str) -> str | None:
    try:
        return file_hash(Path(path))
    except OSError:
        return None
