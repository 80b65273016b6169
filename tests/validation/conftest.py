"""Small tables and photos whose every defect is planted by hand."""

import io
import struct
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

Listings = Callable[..., pd.DataFrame]


def encoded(image: Image.Image, kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def noise(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def png_claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header claims any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.fixture
def photos(tmp_path: Path) -> dict[str, Path]:
    """One file for each way a photo can be, by name."""
    good = encoded(noise(300, 200))
    contents = {
        "good": good,
        "good_png": encoded(noise(80, 80), "PNG"),
        "truncated": good[: len(good) * 2 // 3],
        "truncated_png": encoded(noise(80, 80), "PNG")[:9000],
        "empty": b"",
        "text": b"<html>404 not found</html>",
        "bomb": png_claiming(50_000, 50_000),
        "bomb_below_pillows_limit": png_claiming(9_000, 9_000),
        "tiny": encoded(noise(4, 400), "PNG"),
        "coarse": encoded(noise(40, 40), "PNG"),
        "blank": encoded(Image.new("RGB", (300, 200), (200, 190, 180))),
    }
    folder = tmp_path / "photos"
    folder.mkdir()
    paths = {name: folder / f"{name}.jpg" for name in [*contents, "missing"]}
    for name, content in contents.items():
        paths[name].write_bytes(content)
    return paths


@pytest.fixture
def listings() -> Listings:
    """Sound listings, raw, with columns replaced as asked."""

    def make(*item_ids: object, **columns: list[object]) -> pd.DataFrame:
        count = len(item_ids)
        frame = {
            "item_id": list(item_ids),
            "title": [f"Lamp {number}" for number in range(count)],
            "price": ["12.50"] * count,
            "currency": ["EUR"] * count,
            "category": ["Home > Lamps"] * count,
            "listed_at": ["2026-01-05T10:00:00Z"] * count,
            "source": ["shop"] * count,
            **columns,
        }
        return pd.DataFrame(frame, dtype=object)

    return make


@pytest.fixture
def log() -> Listings:
    """Sound events, raw, one of each user named, with columns replaced as asked."""

    def make(*user_ids: object, **columns: list[object]) -> pd.DataFrame:
        count = len(user_ids)
        frame = {
            "event_id": [f"e{number}" for number in range(count)],
            "user_id": list(user_ids),
            "item_id": ["a"] * count,
            "event_type": ["click"] * count,
            "event_timestamp": ["2026-02-01T10:00:00"] * count,
            "source": ["shop"] * count,
            **columns,
        }
        return pd.DataFrame(frame, dtype=object)

    return make
