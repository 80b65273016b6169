"""A feed of new listings, some of them broken on purpose: what the gate is shown to hold back."""

import io
import json
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from PIL import Image

from feature_repo.catalogs.marketplace.generation import utc
from feature_repo.catalogs.marketplace.listings import has_photo, listing_frame
from feature_repo.catalogs.marketplace.photos import render, replace_file
from feature_repo.catalogs.marketplace.products import HOME, PRODUCTS
from feature_repo.catalogs.marketplace.size import SIZES
from feature_repo.catalogs.marketplace.sketch import SIDE
from feature_repo.catalogs.marketplace.stock import Listing, make_listing
from feature_repo.catalogs.source import SourceError
from validation import tables

FEED: Final = "items.jsonl"


class Defect(StrEnum):
    """What is wrong with a planted listing."""

    NOTHING_TO_SHOW = "no title, no description, no photo"
    UNREADABLE_PHOTO = "photo is not an image"
    TRUNCATED_PHOTO = "photo is cut off"
    EMPTY_PHOTO = "photo has 0 bytes"
    ABSENT_PHOTO = "photo does not exist"
    BOMB = "photo claims 3,600 million pixels"
    BLANK_PHOTO = "photo is one colour"
    NAN_PRICE = "price is NaN"
    NEGATIVE_PRICE = "price is negative"
    WORD_PRICE = "price is a word"
    UNKNOWN_CURRENCY = "currency does not exist"
    FUTURE = "listed in the future"
    BROKEN_ATTRIBUTES = "attributes are not JSON"
    DUPLICATE_ID = "id is used twice"
    EMPTY_ID = "id is empty"


MERELY_WARNED: Final = frozenset({Defect.BLANK_PHOTO})
"""Planted defects that leave a listing usable, so that a gate only warns of them."""


def new_listings(
    *, photos: Path, as_of: datetime, seed: int = 0, count: int = 40
) -> tuple[pd.DataFrame, dict[str, Defect]]:
    """New home listings of the week before `as_of`, one of each defect among good ones.

    Args:
        photos: folder for the photos, broken ones included.
        as_of: time-zone aware.
        count: rows in all.

    Returns:
        A raw items frame of objects (absent values are None), and the defect planted under
        each id: ``""`` is the empty one, and of a duplicate id's two rows the first is good.

    Raises:
        SourceError: `count` has no room for every defect and as many good listings, or
            `as_of` has no time zone.
    """
    if count < 2 * len(Defect):
        raise SourceError(
            f"a feed of {count} rows has no room for {len(Defect)} defects beside as many good "
            f"listings; ask for at least {2 * len(Defect)}"
        )
    end, stock = utc(as_of), _new_stock(count, seed=seed)
    broken = {row: defect for defect, row in zip(Defect, _rows(count, seed), strict=True)}
    recipes = {
        one.item_id: one.recipe
        for row, one in enumerate(stock)
        if row in broken or has_photo(one, seed=seed)
    }
    paths = render(recipes, folder=photos)
    frame = _complete(stock, paths, end, seed)
    rows = _records(frame.astype(object).where(frame.notna(), None))
    for row, defect in broken.items():
        _plant(rows, row, defect, end=end, broken=broken)
    defects = {str(rows[row][tables.ITEM_ID]): defect for row, defect in broken.items()}
    objects = {
        name: pd.Series([row[name] for row in rows], dtype=object) for name in tables.ITEMS.names
    }
    return pd.DataFrame(objects), defects


def write_feed(
    folder: Path, *, as_of: datetime, seed: int = 0, count: int = 40
) -> tuple[Path, dict[str, Defect]]:
    """Write :func:`new_listings` as ``items.jsonl`` beside its ``photos``.

    Photos are named relative to the folder, times as ISO 8601; absent values are left out.
    Returns the file's path and the planted defects.
    """
    frame, defects = new_listings(photos=folder / "photos", as_of=as_of, seed=seed, count=count)
    lines = [json.dumps(_json_row(row, folder), sort_keys=True) for row in _records(frame)]
    path = folder / FEED
    replace_file(path, "".join(f"{line}\n" for line in lines).encode())
    return path, defects


def _records(frame: pd.DataFrame) -> list[dict[str, object]]:
    return [
        dict(zip(tables.ITEMS.names, values, strict=True))
        for values in frame[tables.ITEMS.names].itertuples(index=False, name=None)
    ]


def _json_row(row: Mapping[str, object], folder: Path) -> dict[str, object]:
    found = {name: value for name, value in row.items() if value is not None}
    listed = found[tables.LISTED_AT]
    if isinstance(listed, datetime):
        found[tables.LISTED_AT] = listed.isoformat()
    if tables.IMAGE_PATH in found:
        photo = Path(str(found[tables.IMAGE_PATH]))
        found[tables.IMAGE_PATH] = photo.relative_to(folder.absolute()).as_posix()
    return found


def _new_stock(count: int, *, seed: int) -> list[Listing]:
    rng = np.random.default_rng([seed, 43])
    home = [number for number, product in enumerate(PRODUCTS) if product.domain == HOME]
    stock = []
    for number in range(count):
        week, product = float(rng.random()), int(rng.choice(home))
        stock.append(
            make_listing(f"mk-new-{number:03d}", product, rng, week=week, of=SIZES["demo"])
        )
    return stock


def _rows(count: int, seed: int) -> list[int]:
    """Where the defects stand: any rows but the first, which a duplicate may repeat."""
    chosen = np.random.default_rng([seed, 47]).permutation(np.arange(1, count))
    return [int(row) for row in chosen[: len(Defect)]]


def _complete(
    stock: Sequence[Listing], paths: Mapping[str, Path], end: datetime, seed: int
) -> pd.DataFrame:
    """The stock's frame, with every photo that was rendered."""
    frame = listing_frame(stock, photos=paths, start=end - timedelta(weeks=1), end=end, seed=seed)
    frame[tables.IMAGE_PATH] = [
        str(paths[one.item_id]) if one.item_id in paths else None for one in stock
    ]
    return frame


def _plant(
    rows: list[dict[str, object]],
    row: int,
    defect: Defect,
    *,
    end: datetime,
    broken: Mapping[int, Defect],
) -> None:
    """Break one row."""
    here = rows[row]
    if defect in _BROKEN_PHOTOS:
        path = Path(str(here[tables.IMAGE_PATH]))
        broken_path = path.with_name(f"{path.stem}-broken{path.suffix}")
        replace_file(broken_path, _BROKEN_PHOTOS[defect](path.read_bytes()))
        here[tables.IMAGE_PATH] = str(broken_path)
    elif defect is Defect.NOTHING_TO_SHOW:
        for name in (tables.TITLE, tables.DESCRIPTION, tables.IMAGE_PATH, tables.PRICE):
            here[name] = None
    elif defect is Defect.ABSENT_PHOTO:
        here[tables.IMAGE_PATH] = str(Path(str(here[tables.IMAGE_PATH])).with_name("absent.jpg"))
    elif defect is Defect.DUPLICATE_ID:
        first = next(other for other in range(row) if other not in broken)
        here[tables.ITEM_ID] = rows[first][tables.ITEM_ID]
    else:
        here.update(_wrong_values(end)[defect])


def _wrong_values(end: datetime) -> dict[Defect, dict[str, object]]:
    return {
        Defect.NAN_PRICE: {tables.PRICE: float("nan")},
        Defect.NEGATIVE_PRICE: {tables.PRICE: -49.0},
        Defect.WORD_PRICE: {tables.PRICE: "on request"},
        Defect.UNKNOWN_CURRENCY: {tables.CURRENCY: "EURO"},
        Defect.FUTURE: {tables.LISTED_AT: pd.Timestamp(end + timedelta(days=400))},
        Defect.BROKEN_ATTRIBUTES: {tables.ATTRIBUTES: '{"colour": "red"'},
        Defect.EMPTY_ID: {tables.ITEM_ID: ""},
    }


def bomb() -> bytes:
    """A PNG of under a hundred bytes whose header claims 60,000 × 60,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(16))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def blank() -> bytes:
    """A JPEG of one grey."""
    buffer = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), (200, 200, 200)).save(buffer, "JPEG")
    return buffer.getvalue()


_BROKEN_PHOTOS: Final[dict[Defect, Callable[[bytes], bytes]]] = {
    Defect.UNREADABLE_PHOTO: lambda photo: b"<html><body>404 Not Found</body></html>",
    Defect.TRUNCATED_PHOTO: lambda photo: photo[: len(photo) // 2],
    Defect.EMPTY_PHOTO: lambda photo: b"",
    Defect.BOMB: lambda photo: bomb(),
    Defect.BLANK_PHOTO: lambda photo: blank(),
}
