"""What there is to encode: each item's photo or text with the hash that says if it changed."""

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.encoders.content import listing_text, text_hash
from feature_repo.encoders.encoder import Modality
from feature_repo.feature_tables import CONTENT_HASH, UNDATED
from validation import tables
from validation.tables import TIMESTAMP
from validation.whole_files import file_hash

PHOTO_CHECK: Final = "photo_readable"
ITEMS_AT_ONCE: Final = 4_096
"""Listings whose contents are looked at together."""
TOGETHER: Final = 32
"""Photos that a thread hashes at a time: to hand over a single small one takes as long as it."""
READ_BUFFER: Final = 1 << 20
"""Bytes of a column that are read at once: a whole column would not fit everywhere."""
VALUE: Final = "value"
"""Path of the photo, or the text itself."""

CONTENTS: Final = pa.schema(
    [
        pa.field(tables.ITEM_ID, pa.string()),
        pa.field(VALUE, pa.string()),
        pa.field(CONTENT_HASH, pa.string()),
        pa.field(tables.EVENT_TIMESTAMP, TIMESTAMP),
        pa.field(tables.SOURCE, pa.string()),
    ]
)
"""One row for each item that has the photo or text."""
_COLUMNS: Final = (
    tables.ITEM_ID,
    tables.TITLE,
    tables.DESCRIPTION,
    tables.IMAGE_PATH,
    tables.LISTED_AT,
    tables.SOURCE,
)


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


def catalogue_parts(
    path: Path, *, item_ids: Collection[str] | None = None, rows: int = ITEMS_AT_ONCE
) -> Iterator[pd.DataFrame]:
    """What extraction reads of the catalogue, part by part: all items, or some."""
    with pq.ParquetFile(path, buffer_size=READ_BUFFER, pre_buffer=False) as file:
        held = [name for name in _COLUMNS if name in file.schema_arrow.names]
        for batch in file.iter_batches(rows, columns=held):
            part = batch.to_pandas().reindex(columns=list(_COLUMNS))
            if item_ids is not None:
                part = part[part[tables.ITEM_ID].isin(item_ids)]
            if len(part):
                yield part


def contents_of(
    items: pd.DataFrame, *, modality: Modality, pool: Executor
) -> tuple[pa.Table, list[Refusal]]:
    """The items' contents (columns `CONTENTS`) in order, and the photos that are not there.

    Args:
        items: canonical items.
        pool: hashes the photo files.
    """
    items = items.reset_index(drop=True)
    values = _values(items, modality)
    given = items[values.notna()]
    values = values.dropna()
    if modality is Modality.IMAGE:
        # A photo that many items have, as a link to it, is read once.
        paths = values.drop_duplicates().tolist()
        some = [paths[first : first + TOGETHER] for first in range(0, len(paths), TOGETHER)]
        found = (one for hashes in pool.map(_photo_hashes, some) for one in hashes)
        digests = dict(zip(paths, found, strict=True))
        hashes = values.map(digests).astype(object)
    else:
        hashes = values.map(text_hash).astype(object)
    absent = given[hashes.isna()]
    refused = [
        Refusal(
            item_id,
            PHOTO_CHECK,
            values[index],
            source,
            f"the photo {values[index]} is not there; restore it or ingest the item again",
        )
        for index, item_id, source in zip(
            absent.index, absent[tables.ITEM_ID], absent[tables.SOURCE], strict=True
        )
    ]
    there = given[hashes.notna()]
    listed = pd.to_datetime(there[tables.LISTED_AT], utc=True).fillna(UNDATED)
    columns = (
        there[tables.ITEM_ID],
        values[there.index],
        hashes[there.index],
        listed,
        there[tables.SOURCE],
    )
    arrays = [
        pa.Array.from_pandas(column, type=field.type, safe=False)
        for column, field in zip(columns, CONTENTS, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=CONTENTS), refused


def _values(items: pd.DataFrame, modality: Modality) -> pd.Series:
    if modality is Modality.IMAGE:
        paths = items[tables.IMAGE_PATH].astype(object)
        return paths.where(paths.notna() & (paths != ""))
    texts = [
        listing_text(title, description)
        for title, description in zip(items[tables.TITLE], items[tables.DESCRIPTION], strict=True)
    ]
    return pd.Series(texts, index=items.index, dtype=object)


def _photo_hashes(paths: Sequence[str]) -> list[str | None]:
    return [_photo_hash(path) for path in paths]


def _photo_hash(path: str) -> str | None:
    try:
        return file_hash(Path(path))
    except OSError:
        return None
