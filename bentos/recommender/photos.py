"""Where a listing's photo may come from: an allowed folder, or the request itself."""

import base64
import binascii
import hashlib
import io
import logging
import os
import re
import time
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
from PIL import Image

from feature_repo.errors import FeatureError
from feature_repo.home import Home
from feature_repo.jobs.sent_photos import SentPhotos, sweep
from validation.photos import FORMATS, MOST_PIXELS
from validation.reasons import shown_value

if TYPE_CHECKING:
    from bentos.recommender import payloads

logger = logging.getLogger("bentoml.coldstart")

ROOT_VARIABLE: Final = "COLDSTART_PHOTO_ROOT"
ADDRESS: Final = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]*:(?=[/\\])|\s*data:|\s*[/\\]{2}")
SUFFIXES: Final = {
    "JPEG": ".jpg",
    "MPO": ".jpg",
    "PNG": ".png",
    "WEBP": ".webp",
    "GIF": ".gif",
    "BMP": ".bmp",
    "TIFF": ".tiff",
}


class PhotoRefused(ValueError):  # noqa: N818 - reads as the fact it states
    """A photo that may not or cannot be read. The message is the listing's reason."""


@dataclass(frozen=True, slots=True)
class PhotoLimits:
    """How much a photo that is sent may be."""

    largest: int = 10_000_000
    """Bytes."""
    most_pixels: int = MOST_PIXELS


DEFAULT_LIMITS: Final = PhotoLimits()


def photo_root(home: Home) -> Path:
    """The folder photos named by path must lie in: COLDSTART_PHOTO_ROOT, or the home's."""
    named = os.environ.get(ROOT_VARIABLE)
    return Path(named).expanduser().resolve() if named else home.photos.resolve()


def resolve_photo(named: str, *, root: Path) -> Path:
    """The file a listing names, which after following every link lies under the root.

    Raises PhotoRefused for anything else; the message does not tell whether a file outside
    the root exists.
    """
    if "\0" in named:
        raise PhotoRefused("photo_path holds a NUL character")
    if ADDRESS.match(named):
        raise PhotoRefused("photo_path is an address; send the photo itself as photo_base64")
    try:
        path = (root / named).resolve()
        if not path.is_relative_to(root):
            raise PhotoRefused(f"photo_path {named!r} is outside the allowed photo folder")
        if not path.is_file():
            raise PhotoRefused(f"photo_path {named!r} is not a file in the allowed photo folder")
    except (OSError, RuntimeError, ValueError) as error:  # too long a name, or links in a circle
        if isinstance(error, PhotoRefused):
            raise
        raise PhotoRefused(f"photo_path {named[:80]!r} cannot be a file's name") from error
    return path


def as_given(reasons: Iterable[str], names: Mapping[str, str]) -> list[str]:
    """The gate's reasons without the places of photos' files, which are our own affair.

    Args:
        names: a file's path → what it is called instead.
    """
    told = list(reasons)
    for path, name in names.items():
        told = [one.replace(shown_value(path), shown_value(name)) for one in told]
    return told


def told_name(
    path: Path, listing: "payloads.Listing | payloads.ListingChange | None" = None, *, home: Home
) -> str:
    """What a caller is told of a photo: the field that brought it, or its place below the root."""
    if listing is not None and listing.photo_base64 is not None:
        return "photo_base64"
    root = photo_root(home)
    return str(path.relative_to(root)) if path.is_relative_to(root) else path.name


def keep_photo(encoded: str, *, into: SentPhotos, limits: PhotoLimits = DEFAULT_LIMITS) -> Path:
    """Write a base64 photo under the home, named by its content. Raises PhotoRefused.

    Its header is read and nothing decoded: what is no photo, or would have too many pixels, is
    never written. Whether the rest can be decoded is for the gate to say.
    """
    if len(encoded) > limits.largest * 4 // 3 + 4:
        raise PhotoRefused(f"photo_base64 is longer than {limits.largest} bytes")
    try:
        content = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise PhotoRefused(f"photo_base64 is not base64: {error}") from error
    suffix = _suffix(content, limits)
    return into.keep(content, f"{hashlib.sha256(content).hexdigest()}{suffix}")


def sweep_sent_photos(home: Home) -> None:
    """Remove what killed processes left of photos that were sent; no reason not to start."""
    try:
        removed = sweep(home, now=time.time())
    except (OSError, FeatureError, pa.ArrowException) as error:
        logger.warning("photos that no listing names are not removed: %s", error)
        return
    if removed:
        logger.info("removed %d photos that no listing names", removed)


def _suffix(content: bytes, limits: PhotoLimits) -> str:
    """By what the header says the content is, of the formats that the gate decodes."""
    kinds = ", ".join(FORMATS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sizes and of broken metadata: both are refused
            with Image.open(io.BytesIO(content), formats=FORMATS) as photo:
                width, height = photo.size
                kind = str(photo.format)
    except Image.DecompressionBombError as error:
        raise PhotoRefused(f"the photo has more than {limits.most_pixels} pixels") from error
    except Exception as error:  # whatever a decoder makes of bytes that somebody thought out
        raise PhotoRefused(f"photo_base64 is no photo that can be read ({kinds})") from error
    if width * height > limits.most_pixels:
        raise PhotoRefused(
            f"the photo has {width} × {height} pixels; at most {limits.most_pixels} are taken"
        )
    return SUFFIXES[kind]
