"""What a photo is, and what is wrong with it: each file is opened and decoded once.

JPEGs are decoded at reduced size (the decoder still reads every byte, so a truncated
file shows), and a file whose header claims too many pixels is never decoded. At most
one decoded photo per thread is in memory; a few numbers a photo are kept.
"""

import os
import stat
import struct
import warnings
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, cast

import numpy as np
from PIL import Image, UnidentifiedImageError
from scipy.fft import dct

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
LARGEST_FILE: Final = 20_000_000
"""Bytes above which a photo is slow to serve for no gain."""
WIDEST: Final = 4.0
"""Longer side over shorter; beyond it a photo is a banner or a strip."""
SMALL_SIDE: Final = 128
"""Longer side, about, at which a photo is looked at."""
BLURRED: Final = 10
"""Sharpness below which nothing has an edge. Of 900 photos of a furniture shop none lies below;
blurred by 3 % of their shorter side all do, by 2 % two thirds of them."""
ORIENTATION: Final = 0x0112
"""EXIF tag; 1 is upright."""
WEB_FORMATS: Final = ("JPEG", "PNG", "WEBP")
CHUNK: Final = 256
COSINES: Final = dct(np.eye(32), axis=0)[:9].astype(np.float32)
"""(9, 32): the first rows of the discrete cosine transform."""

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
    BLURRED = "blurred"
    STRIP = "strip"
    SIDEWAYS = "sideways"
    HEAVY = "heavy"
    OTHER_FORMAT = "other format"

    @property
    def bit(self) -> int:
        """The problem's bit in a row's set of problems."""
        return 1 << list(PhotoProblem).index(self)


USELESS: Final = frozenset(
    {
        PhotoProblem.MISSING,
        PhotoProblem.EMPTY,
        PhotoProblem.UNREADABLE,
        PhotoProblem.TRUNCATED,
        PhotoProblem.TOO_LARGE,
        PhotoProblem.TOO_SMALL,
    }
)
"""Problems that leave nothing to show; a photo has one of them alone, or any of the others."""


@dataclass(frozen=True, slots=True)
class Photo:
    """What one look at a photo's file told."""

    problems: frozenset[PhotoProblem] = frozenset()
    fingerprint: int | None = None
    """64 bits of a perceptual hash; None where the photo is of no use or blank."""

    @property
    def bits(self) -> int:
        """The problems as a set of bits."""
        return sum(problem.bit for problem in self.problems)


def inspect(path: Path) -> Photo:
    """What is to be known of the photo at `path`."""
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            return _useless(PhotoProblem.MISSING)
        if about.st_size == 0:
            return _useless(PhotoProblem.EMPTY)
        with Image.open(path, formats=FORMATS) as photo:
            return _inspect_open(photo, path, about.st_size)
    except (FileNotFoundError, NotADirectoryError):
        return _useless(PhotoProblem.MISSING)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return _useless(PhotoProblem.TOO_LARGE)
    except UnidentifiedImageError:
        return _useless(PhotoProblem.UNREADABLE)
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as error:
        truncated = "truncated" in str(error).lower() or isinstance(error, EOFError)
        return _useless(PhotoProblem.TRUNCATED if truncated else PhotoProblem.UNREADABLE)


def inspect_all(
    paths: Sequence[str], *, threads: int | None = None, progress: Progress | None = None
) -> dict[str, Photo]:
    """Path → what is to be known of it; each distinct path is inspected once.

    Decoding releases the interpreter lock, so threads (one a core unless given) use all
    cores at flat memory.
    """
    distinct = sorted(set(paths))
    photos: dict[str, Photo] = {}
    with warnings.catch_warnings(), ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for start in range(0, len(distinct), CHUNK):
            chunk = distinct[start : start + CHUNK]
            photos.update(zip(chunk, pool.map(inspect, map(Path, chunk)), strict=True))
            if progress is not None:
                progress(start + len(chunk), len(distinct))
    return photos


def _useless(problem: PhotoProblem) -> Photo:
    return Photo(frozenset({problem}))


def _inspect_open(photo: Image.Image, path: Path, size: int) -> Photo:
    width, height = photo.size
    if width * height > MOST_PIXELS:
        return _useless(PhotoProblem.TOO_LARGE)
    kind, upright = photo.format, photo.getexif().get(ORIENTATION, 1) in (0, 1)
    photo.draft("L", DECODED_PIXELS)
    photo.load()
    if min(width, height) < FEWEST_PIXELS:
        return _useless(PhotoProblem.TOO_SMALL)
    grey = photo if photo.mode == "L" else photo.convert("L")
    small = grey.reduce(max(1, round(max(grey.size) / SMALL_SIDE)))
    blank = _is_blank(photo, path, grey, small)
    problems = {
        PhotoProblem.BLANK: blank,
        PhotoProblem.COARSE: min(width, height) < COARSE_PIXELS,
        PhotoProblem.BLURRED: not blank and sharpness(small) < BLURRED,
        PhotoProblem.STRIP: max(width, height) > WIDEST * min(width, height),
        PhotoProblem.SIDEWAYS: not upright,
        PhotoProblem.HEAVY: size > LARGEST_FILE,
        PhotoProblem.OTHER_FORMAT: kind not in WEB_FORMATS,
    }
    found = frozenset(problem for problem, has in problems.items() if has)
    return Photo(found, None if blank else fingerprint(small))


def sharpness(small: Image.Image) -> int:
    """How strong the strongest edges are: 99th percentile of the Laplacian, 0 to 255.

    A percentile rather than the usual variance (Pertuz et al., 2013), because a sharp piece on
    an empty background has few edges.

    Args:
        small: grey, some SMALL_SIDE pixels on its longer side, so that it does not depend on
            the photo's size.
    """
    grey = np.asarray(small, dtype=np.int16)
    if min(grey.shape) < 3:
        return 0
    edges = 4 * grey[1:-1, 1:-1]
    for neighbour in (grey[:-2, 1:-1], grey[2:, 1:-1], grey[1:-1, :-2], grey[1:-1, 2:]):
        edges -= neighbour
    counts = np.bincount(np.minimum(np.abs(edges), 255).ravel(), minlength=256)
    return int(np.searchsorted(np.cumsum(counts), 0.99 * edges.size))


def fingerprint(grey: Image.Image) -> int:
    """A 64-bit perceptual hash: which of the lowest spatial frequencies are above their median.

    Copies that were recompressed, resized or lightened differ in few bits (Zauner, 2010). Half
    of the bits are set, so two hashes differ in an even number of them.
    """
    fields = np.asarray(grey.resize((32, 32), Image.Resampling.BOX), dtype=np.float32)
    frequencies = (COSINES @ fields @ COSINES.T).ravel()[1:65]
    bits = frequencies > np.sort(frequencies)[31:33].mean()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _is_blank(photo: Image.Image, path: Path, grey: Image.Image, small: Image.Image) -> bool:
    """Whether every pixel has the same colour, or none is opaque at all."""
    if "A" in photo.getbands() and _spread(photo.getchannel("A"))[1] == 0:
        return True
    if not (_is_even(small) and _is_even(grey)):
        return False
    if photo.mode == "L":  # perhaps decoded without its colours
        with Image.open(path) as again:
            again.draft("RGB", DECODED_PIXELS)
            bands = again.convert("RGB").split()
    else:
        bands = photo.convert("RGB").split()
    return all(map(_is_even, bands))


def _is_even(band: Image.Image) -> bool:
    """Whether one channel hardly varies."""
    darkest, lightest = _spread(band)
    return lightest - darkest <= BLANK_SPREAD


def _spread(band: Image.Image) -> tuple[int, int]:
    """The darkest and the lightest value of one 8-bit channel."""
    return cast(tuple[int, int], band.getextrema())


def thumbnail(path: Path) -> Image.Image | None:
    """A small RGB copy of a photo for a report, or None if it cannot be decoded safely."""
    if inspect(path).problems & (USELESS - {PhotoProblem.TOO_SMALL}):
        return None
    with Image.open(path, formats=FORMATS) as photo:
        photo.draft("RGB", THUMBNAIL)
        small = photo.convert("RGB")
    small.thumbnail(THUMBNAIL)
    return small
