"""Other views of a photo, as another seller might have taken it: cut, mirrored, lit otherwise."""

from typing import Final

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

SMALLEST: Final = 0.45
"""Of a cut, as a share of the photo's area."""
LIGHT: Final = 0.3
"""Brightness, contrast and saturation are changed by up to this share."""


def view(photo: Image.Image, *, generator: np.random.Generator) -> Image.Image:
    """Another view of an RGB photo: a random cut, half of the time mirrored, in another light."""
    photo = _cut(photo, generator=generator)
    if generator.random() < 0.5:
        photo = ImageOps.mirror(photo)
    for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        photo = change(photo).enhance(float(generator.uniform(1 - LIGHT, 1 + LIGHT)))
    return photo


def _cut(photo: Image.Image, *, generator: np.random.Generator) -> Image.Image:
    """A part of the photo of about its proportions."""
    share, stretch = generator.uniform(SMALLEST, 1.0), generator.uniform(0.8, 1.25)
    width = min(photo.width, max(1, round(photo.width * np.sqrt(share * stretch))))
    height = min(photo.height, max(1, round(photo.height * np.sqrt(share / stretch))))
    left = int(generator.integers(photo.width - width + 1))
    top = int(generator.integers(photo.height - height + 1))
    return photo.crop((left, top, left + width, top + height))
