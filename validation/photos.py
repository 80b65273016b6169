"""What a photo is, and what is wrong with it: each file is opened and decoded once.

JPEGs are decoded at reduced size (the decoder still reads every byte, so a truncated
file shows), and a file whose header claims too many pixels is never decoded. At most
one decoded photo per thread is in memory, and small grey copies of the CHUNK photos that
are looked at together; a few numbers a photo are kept.
"""

import os
import stat
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final, cast

import numpy as np
from PIL import Image, UnidentifiedImageError

from validation.pixels import SIDE, Pixels, are_blurred, edges, fingerprints
from validation.watermarks import marked

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
"""What is decoded; anything else (EPS would start an interpreter) is not a photo."""
MOST_PIXELS: Final = 50_000_000
"""A photo that claims more is decoded by nobody: neither by the gate nor for an encoder, which
takes it whole, in colour, several at once."""
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
ORIENTATION: Final = 0x0112
"""EXIF tag; 1 is upright."""
WEB_FORMATS: Final = ("JPEG", "PNG", "WEBP")
CHUNK: Final = 256
"""Photos, at most, that are compared with each other and whose copies are in memory."""
BLOCK: Final = 32
"""Photos that a thread looks at together: of 16, two cores lose a tenth to handing them over."""

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
    WATERMARK = "watermark"
    """Told by the other photos alone."""

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
UNSEEN: Final = USELESS | {PhotoProblem.BLANK}


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
    """What is to be known of the photo at `path` by itself."""
    (photo,) = _inspect_together([str(path)], np.zeros((1, SIDE, SIDE), np.uint8))
    return photo


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
        started = None
        for chunk in (*_chunks(distinct), None):
            ahead = None if chunk is None else _started(chunk, pool)
            if started is not None:  # finished while the pool decodes the next
                photos.update(_finished(*started))
                if progress is not None:
                    progress(len(photos), len(distinct))
            started = ahead
    return photos


def _chunks(paths: Sequence[str]) -> Iterator[Sequence[str]]:
    """Of equal size, as few photos are too few to know a mark by."""
    count = -(-len(paths) // CHUNK)
    for number in range(count):
        yield paths[number * len(paths) // count : (number + 1) * len(paths) // count]


Started = tuple[Sequence[str], Pixels, Iterator[list[Photo]]]
"""A chunk's paths, its small grey copies and what will have been seen, a block at a time."""


def _started(paths: Sequence[str], pool: ThreadPoolExecutor) -> Started:
    pixels = np.zeros((len(paths), SIDE, SIDE), np.uint8)
    blocks = [slice(start, start + BLOCK) for start in range(0, len(paths), BLOCK)]
    found = pool.map(lambda block: _inspect_together(paths[block], pixels[block]), blocks)
    return paths, pixels, found


def _finished(
    paths: Sequence[str], pixels: Pixels, found: Iterator[list[Photo]]
) -> dict[str, Photo]:
    photos = [photo for together in found for photo in together]
    for row in np.flatnonzero(marked(pixels, [photo.fingerprint for photo in photos])):
        problems = photos[row].problems | {PhotoProblem.WATERMARK}
        photos[row] = replace(photos[row], problems=problems)
    return dict(zip(paths, photos, strict=True))


def _inspect_together(paths: Sequence[str], pixels: Pixels) -> list[Photo]:
    """What is to be known of N photos; their small grey copies are written to `pixels`."""
    seen = [_look(path, small) for path, small in zip(paths, pixels, strict=True)]
    blurred = are_blurred(edges(pixels)).tolist()
    return [
        Photo(problems)
        if problems & UNSEEN
        else Photo(problems | {PhotoProblem.BLURRED} if weak else problems, code)
        for problems, weak, code in zip(seen, blurred, fingerprints(pixels), strict=True)
    ]


def _look(path: str, small: Pixels) -> frozenset[PhotoProblem]:
    """The problems of one photo, blur apart.

    Args:
        small: (SIDE, SIDE) zeros, overwritten with the photo if it shows something.
    """
    try:
        about = os.stat(path)
        if not stat.S_ISREG(about.st_mode):
            return frozenset({PhotoProblem.MISSING})
        if about.st_size == 0:
            return frozenset({PhotoProblem.EMPTY})
        with Image.open(path, formats=FORMATS) as photo:
            return frozenset(_problems(photo, path, about.st_size, small))
    except (FileNotFoundError, NotADirectoryError):
        return frozenset({PhotoProblem.MISSING})
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return frozenset({PhotoProblem.TOO_LARGE})
    except UnidentifiedImageError:
        return frozenset({PhotoProblem.UNREADABLE})
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as error:
        truncated = "truncated" in str(error).lower() or isinstance(error, EOFError)
        return frozenset({PhotoProblem.TRUNCATED if truncated else PhotoProblem.UNREADABLE})


def _problems(photo: Image.Image, path: str, size: int, small: Pixels) -> Iterator[PhotoProblem]:
    width, height = photo.size
    if width * height > MOST_PIXELS:
        yield PhotoProblem.TOO_LARGE
        return
    kind, upright = photo.format, _is_upright(photo)
    photo.draft("L", (SIDE, SIDE))
    photo.load()
    if min(width, height) < FEWEST_PIXELS:
        yield PhotoProblem.TOO_SMALL
        return
    grey = photo if photo.mode == "L" else photo.convert("L")
    if grey.size != (SIDE, SIDE):
        grey = grey.resize((SIDE, SIDE), Image.Resampling.BOX)
    if _is_blank(photo, path, grey):
        yield PhotoProblem.BLANK
    else:
        small[:] = np.asarray(grey)
    if min(width, height) < COARSE_PIXELS:
        yield PhotoProblem.COARSE
    if max(width, height) > WIDEST * min(width, height):
        yield PhotoProblem.STRIP
    if not upright:
        yield PhotoProblem.SIDEWAYS
    if size > LARGEST_FILE:
        yield PhotoProblem.HEAVY
    if kind not in WEB_FORMATS:
        yield PhotoProblem.OTHER_FORMAT


def _is_upright(photo: Image.Image) -> bool:
    if photo.format == "JPEG" and not photo.info.keys() & {"exif", "xmp"}:
        return True  # all that Pillow would read the orientation from
    return photo.getexif().get(ORIENTATION, 1) in (0, 1)


def _is_blank(photo: Image.Image, path: str, grey: Image.Image) -> bool:
    """Whether every pixel has the same colour, or none is opaque at all."""
    if "A" in photo.getbands() and _spread(photo.getchannel("A"))[1] == 0:
        return True
    if not _is_even(grey):
        return False
    with Image.open(path, formats=FORMATS) as again:  # it was decoded small, perhaps colourless
        again.draft("RGB", DECODED_PIXELS)
        return all(map(_is_even, again.convert("RGB").split()))


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
