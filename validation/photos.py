"""What is wrong with a photo: each file is opened and decoded once.

JPEGs are decoded at reduced size (the decoder still reads every byte, so a truncated
file shows), and a file whose header claims too many pixels is never decoded. At most
one decoded photo per thread is in memory.
"""

import os
import struct
import warnings
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from pathlib import Path
from typing import Final, cast

from PIL import Image, UnidentifiedImageError

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
"""What is decoded; anything else (EPS would start an interpreter) is not a photo."""
MOST_PIXELS: Final = 64_000_000
FEWEST_PIXELS: Final = 16
"""Shorter side below which nothing can be recognised."""
COARSE_PIXELS: Final = 64
"""Shorter side below which a photo is worth replacing."""
DECODED_PIXELS: Final = (256, 256)
THUMBNAIL: Final = (96, 96)
BLANK_SPREAD: Final = 8
"""A photo whose every channel varies by no more than this is one colour (JPEG noise apart)."""
CHUNK: Final = 256

Progress = Callable[[int, int], None]


class PhotoProblem(StrEnum):
    """Why a photo is of no use, or of little."""

    MISSING = "missing"
    EMPTY = "empty"
    UNREADABLE = "unreadable"
    TRUNCATED = "truncated"
    TOO_LARGE = "too large"
    TOO_SMALL = "too small"
    BLANK = "blank"
    COARSE = "coarse"


def inspect(path: Path) -> PhotoProblem | None:
    """The first problem found with the photo at `path`, or None."""
    try:
        if not path.is_file():
            return PhotoProblem.MISSING
        if path.stat().st_size == 0:
            return PhotoProblem.EMPTY
        with Image.open(path, formats=FORMATS) as photo:
            return _inspect_open(photo)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return PhotoProblem.TOO_LARGE
    except UnidentifiedImageError:
        return PhotoProblem.UNREADABLE
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as error:
        truncated = "truncated" in str(error).lower() or isinstance(error, EOFError)
        return PhotoProblem.TRUNCATED if truncated else PhotoProblem.UNREADABLE


def inspect_all(
    paths: Sequence[str], *, threads: int | None = None, progress: Progress | None = None
) -> dict[str, PhotoProblem]:
    """The problem of each path that has one; each distinct path is inspected once.

    Decoding releases the interpreter lock, so threads (one a core unless given) use all
    cores at flat memory.
    """
    distinct = sorted(set(paths))
    problems: dict[str, PhotoProblem] = {}
    with warnings.catch_warnings(), ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for start in range(0, len(distinct), CHUNK):
            chunk = distinct[start : start + CHUNK]
            for path, problem in zip(chunk, pool.map(inspect, map(Path, chunk)), strict=True):
                if problem is not None:
                    problems[path] = problem
            if progress is not None:
                progress(start + len(chunk), len(distinct))
    return problems


def _inspect_open(photo: Image.Image) -> PhotoProblem | None:
    width, height = photo.size
    if width * height > MOST_PIXELS:
        return PhotoProblem.TOO_LARGE
    photo.draft("RGB", DECODED_PIXELS)
    photo.load()
    if min(width, height) < FEWEST_PIXELS:
        return PhotoProblem.TOO_SMALL
    if _is_blank(photo):
        return PhotoProblem.BLANK
    return PhotoProblem.COARSE if min(width, height) < COARSE_PIXELS else None


def _is_blank(photo: Image.Image) -> bool:
    """Whether every pixel has the same colour, or none is opaque at all."""
    if "A" in photo.getbands() and _spread(photo.getchannel("A"))[1] == 0:
        return True
    bands = photo.convert("RGB").split()
    return all(high - low <= BLANK_SPREAD for low, high in map(_spread, bands))


def _spread(band: Image.Image) -> tuple[int, int]:
    """The darkest and the lightest value of one 8-bit channel."""
    return cast(tuple[int, int], band.getextrema())


def thumbnail(path: Path) -> Image.Image | None:
    """A small RGB copy of a photo for a report, or None if it cannot be decoded safely."""
    if inspect(path) not in (None, PhotoProblem.BLANK, PhotoProblem.COARSE, PhotoProblem.TOO_SMALL):
        return None
    with Image.open(path, formats=FORMATS) as photo:
        photo.draft("RGB", THUMBNAIL)
        small = photo.convert("RGB")
    small.thumbnail(THUMBNAIL)
    return small
