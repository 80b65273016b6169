"""Screenshots, decoded: their size, that something is on them, and which photo is where."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

FEW: Final = 64
"""Colours; a page of text alone has more, as the edges of letters are shades."""
MOST: Final = 0.97
"""Of a page, that one colour may cover."""
MIDDLE: Final = 0.4
"""Of a photo's width and height, that no badge lies upon."""
ALIKE: Final = 12.0
"""Mean difference, of 255, that scaling leaves between a photo and what is shown of it."""


def screenshot(page: Any, path: Path, *, full_page: bool = False) -> None:
    """Take and keep one; it is as wide as the window, not blank, and nothing lies beside it.

    Args:
        full_page: with what lies below the window.
    """
    shown = _decoded(page.screenshot(path=path, full_page=full_page))
    width, height = page.viewport_size["width"], page.viewport_size["height"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width, path.name
    assert shown.width == width, path.name
    assert shown.height >= height if full_page else shown.height == height, path.name
    colours = shown.getcolors(shown.width * shown.height) or []
    assert len(colours) > FEW, path.name
    assert max(count for count, _ in colours) < MOST * shown.width * shown.height, path.name


def assert_photo_is_shown(page: Any, image: Any, photo: bytes, others: Sequence[bytes]) -> None:
    """The pixels where a page has an image are those of a photo, and not those of others.

    Args:
        image: the locator of the image.
        photo: the file's bytes; likewise `others`.
    """
    image.scroll_into_view_if_needed()
    image.evaluate("one => one.decode()")
    box = image.bounding_box()
    left, top = round(box["x"]), round(box["y"])
    size = (round(box["width"]), round(box["height"]))
    window = _decoded(page.screenshot())
    found = _middle(window.crop((left, top, left + size[0], top + size[1])))
    own, *rest = (
        float(np.abs(found - _middle(ImageOps.fit(_decoded(one), size))).mean())
        for one in (photo, *others)
    )
    assert own < ALIKE, (own, rest)
    assert own < min(rest), (own, rest)


def _decoded(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content)).convert("RGB")


def _middle(image: Image.Image) -> npt.NDArray[np.float64]:
    """(H, W, 3) the middle part."""
    side, edge = round((1 - MIDDLE) / 2 * image.width), round((1 - MIDDLE) / 2 * image.height)
    part = image.crop((side, edge, image.width - side, image.height - edge))
    return np.asarray(part, np.float64)
