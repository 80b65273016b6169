"""Where a listing's photo may come from: an allowed folder, or the request itself."""

import base64
import binascii
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from feature_repo.home import Home
from validation.whole_files import replacing

if TYPE_CHECKING:
    from bentos.recommender.payloads import Listing, ListingChange

ROOT_VARIABLE: Final = "COLDSTART_PHOTO_ROOT"
MAX_BYTES: Final = 10_000_000
UPLOADS: Final = "listings"


class PhotoRefused(ValueError):  # noqa: N818 - reads as the fact it states
    """A photo that may not or cannot be read. The message is the listing's reason."""


def photo_root(home: Home) -> Path:
    """The folder photos named by path must lie in: COLDSTART_PHOTO_ROOT, or the home's."""
    named = os.environ.get(ROOT_VARIABLE)
    return Path(named).expanduser().resolve() if named else home.photos.resolve()


def given_photo(listing: "Listing | ListingChange", *, home: Home) -> Path | None:
    """The photo that a listing brings or names; None where it does neither. Raises PhotoRefused."""
    if listing.photo_base64 is not None:
        return keep_photo(listing.photo_base64, home=home)
    if listing.photo_path is not None:
        return resolve_photo(listing.photo_path, root=photo_root(home))
    return None


def resolve_photo(named: str, *, root: Path) -> Path:
    """The file a listing names, which after following every link lies under the root.

    Raises PhotoRefused for anything else; the message does not tell whether a file outside
    the root exists.
    """
    if "\0" in named:
        raise PhotoRefused("photo_path holds a NUL character")
    path = (root / named).resolve()
    if not path.is_relative_to(root):
        raise PhotoRefused(f"photo_path {named!r} is outside the allowed photo folder")
    if not path.is_file():
        raise PhotoRefused(f"photo_path {named!r} is not a file in the allowed photo folder")
    return path


def keep_photo(encoded: str, *, home: Home) -> Path:
    """Write a base64 photo under the home, named by its content. Raises PhotoRefused.

    Whether it is an image at all is for the gate to say; the suffix only follows its first
    bytes.
    """
    if len(encoded) > MAX_BYTES * 4 // 3 + 4:
        raise PhotoRefused(f"photo_base64 is longer than {MAX_BYTES} bytes")
    try:
        content = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise PhotoRefused(f"photo_base64 is not base64: {error}") from error
    path = home.photos / UPLOADS / f"{hashlib.sha256(content).hexdigest()}{_suffix(content)}"
    if not path.exists():
        with replacing(path, durable=True) as partial:
            partial.write_bytes(content)
    return path


def _suffix(content: bytes) -> str:
    for start, suffix in ((b"\xff\xd8", ".jpg"), (b"\x89PNG", ".png"), (b"GIF8", ".gif")):
        if content.startswith(start):
            return suffix
    return ".webp" if content[8:12] == b"WEBP" else ".bin"
