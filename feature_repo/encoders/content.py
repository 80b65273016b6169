"""What an encoder is given of a listing: its opened photo, its text, and their hashes."""

import hashlib
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from feature_repo.errors import EncoderError
from validation.photos import FORMATS, MOST_PIXELS


class UnreadablePhoto(EncoderError):  # noqa: N818 - reads as the fact it states
    """A photo file cannot be decoded."""


def open_photo(path: Path) -> Image.Image:
    """The decoded photo, upright and RGB; transparency becomes white. Raises UnreadablePhoto."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise UnreadablePhoto(
                    f"{path} has {image.width} × {image.height} pixels; "
                    f"at most {MOST_PIXELS:,} are decoded"
                )
            ImageOps.exif_transpose(image, in_place=True)
            if image.format == "JPEG" and image.mode == "RGB":
                return image  # a copy of many pixels takes longer than to decode them
            if not image.has_transparency_data:
                return image.convert("RGB")
            layer = image.convert("RGBA")
            upright = Image.new("RGBA", layer.size, "white")
            upright.alpha_composite(layer)
            return upright.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, UnidentifiedImageError):
            raise UnreadablePhoto(f"{path} is not a photo Pillow knows") from error
        raise UnreadablePhoto(f"{path} cannot be decoded: {error}") from error


def listing_text(title: str | None, description: str | None) -> str | None:
    """Title and description as one text; None where the listing has neither."""
    parts = [part.strip() for part in (title, description) if isinstance(part, str)]
    return ". ".join(part for part in parts if part) or None


def text_hash(text: str) -> str:
    """sha256 of the text's UTF-8 bytes."""
    return hashlib.sha256(text.encode()).hexdigest()
