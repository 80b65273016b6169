"""JPEG photos decoded on the device that encodes them: nvJPEG, by torchvision, on a GPU.

What it makes of a photo is what `white_square` makes, up to a few levels of 255: another decoder
and another implementation of the same bicubic filter. Photos of other formats, turned ones, and
files that end early are left to Pillow.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from PIL import Image

from feature_repo.encoders.content import MAX_PIXELS

if TYPE_CHECKING:
    import torch

ORIENTATION: Final = 0x0112
"""The EXIF tag; 1 is upright."""
START: Final = b"\xff\xd8"
END: Final = b"\xff\xd9"
"""What a JPEG file begins with, and a whole one ends with."""
SCAN: Final = 0xDA
EXIF: Final = 0xE1
ADOBE: Final = 0xEE
"""Markers of a JPEG file's segments: the compressed data begin, and what programs left."""
FRAMES: Final = (0xC0, 0xC1, 0xC2)
"""Markers of photos compressed in the ways that every decoder knows."""
OTHER_FRAMES: Final = (0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
AT_ONCE: Final = 100_000_000
"""Pixels on the device at once, and one photo more: 300 MB, and four times that as floats."""


@dataclass(frozen=True, slots=True)
class Jpeg:
    """A photo that waits to be decoded."""

    path: Path
    data: "torch.Tensor"
    """(B,) the file's bytes."""
    pixels: int


class DeviceJpegs:
    """Reads JPEG files in threads and decodes a batch of them on the device."""

    def __init__(self, *, size: int, device: str) -> None:
        """`size` is the side of the square in pixels."""
        self.size, self.device = size, device

    def read(self, path: Path) -> Jpeg | None:
        """The file, or None where Pillow is to open it."""
        import torch

        try:
            data = path.read_bytes()
        except OSError:
            return None
        pixels = plain_pixels(data)
        if pixels is None:
            return None
        return Jpeg(path, torch.frombuffer(bytearray(data), dtype=torch.uint8), pixels)

    def squares(self, jpegs: Sequence[Jpeg]) -> "list[torch.Tensor | Jpeg]":
        """(S, S, 3) uint8 on the device of each, or the photo itself where it fails."""
        ends = np.cumsum([one.pixels for one in jpegs]) // AT_ONCE
        cuts = [0, *(np.flatnonzero(np.diff(ends)) + 1).tolist(), len(jpegs)]
        return [
            one for first, last in pairwise(cuts) for one in self._squares_of(jpegs[first:last])
        ]

    def _squares_of(self, jpegs: Sequence[Jpeg]) -> "list[torch.Tensor | Jpeg]":
        """Of so many as fit on the device."""
        try:
            found: list[torch.Tensor | Jpeg] = [*self._decoded([one.data for one in jpegs])]
        except RuntimeError:
            found = [self._alone(jpeg) for jpeg in jpegs]
        shapes: dict[tuple[int, ...], list[int]] = {}
        for place, photo in enumerate(found):
            if not isinstance(photo, Jpeg):
                shapes.setdefault(tuple(photo.shape), []).append(place)
        for places in shapes.values():
            photos = [cast("torch.Tensor", found[place]) for place in places]
            for place, square in zip(places, self._resized(photos), strict=True):
                found[place] = square
        return found

    def _alone(self, jpeg: Jpeg) -> "torch.Tensor | Jpeg":
        try:
            return self._decoded([jpeg.data])[0]
        except RuntimeError:
            return jpeg

    def _decoded(self, data: "list[torch.Tensor]") -> "list[torch.Tensor]":
        from torchvision.io import ImageReadMode, decode_jpeg

        found: list[torch.Tensor] = decode_jpeg(data, mode=ImageReadMode.RGB, device=self.device)
        return found

    def _resized(self, photos: "list[torch.Tensor]") -> "torch.Tensor":
        """Whole photos (3, H, W) of one shape, centred on white: (N, S, S, 3)."""
        import torch

        height, width = photos[0].shape[1:]
        scale = self.size / max(height, width)
        high, wide = (max(1, round(side * scale)) for side in (height, width))
        levels = torch.stack(photos)
        if (high, wide) != (height, width):
            resized = torch.nn.functional.interpolate(
                levels.float(), size=(high, wide), mode="bicubic", antialias=True
            )
            levels = resized.round_().clamp_(0, 255).to(torch.uint8)
        levels = levels.permute(0, 2, 3, 1)
        if high == wide:
            return levels.contiguous()
        squares = levels.new_full((len(photos), self.size, self.size, 3), 255)
        top, left = (self.size - high) // 2, (self.size - wide) // 2
        squares[:, top : top + high, left : left + wide] = levels
        return squares


def plain_pixels(data: bytes) -> int | None:
    """Pixels of a whole, upright JPEG in colour or grey of a size that is decoded; else None.

    Reads the segments before the compressed data, of which few files have more than ten; Pillow,
    which does it at a tenth of the pace, is asked where there is EXIF.
    """
    if not data.startswith(START) or not data.rstrip(b"\0").endswith(END):
        return None
    at, pixels = len(START), None
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == SCAN:
            return pixels
        if marker == 0xFF:  # filling
            at += 1
            continue
        size = int.from_bytes(data[at + 2 : at + 4])
        segment = data[at + 4 : at + 2 + size]
        if (
            marker in OTHER_FRAMES
            or (marker == EXIF and not _is_upright(segment))
            or (marker == ADOBE and segment[:5] == b"Adobe" and segment[11:12] != b"\1")
        ):
            return None
        if marker in FRAMES:
            pixels = _usual_pixels(segment)
        at += 2 + size
    return None


def _usual_pixels(frame: bytes) -> int | None:
    """Pixels by a frame's header, where it has 8 bits of one colour or three, and a usual size."""
    height, width = int.from_bytes(frame[1:3]), int.from_bytes(frame[3:5])
    usual = len(frame) > 5 and frame[0] == 8 and frame[5] in (1, 3)
    return height * width if usual and 0 < height * width <= MAX_PIXELS else None


def _is_upright(segment: bytes) -> bool:
    if not segment.startswith(b"Exif\0\0"):
        return True
    exif = Image.Exif()
    try:
        exif.load(segment)
        return bool(exif.get(ORIENTATION, 1) == 1)
    except (OSError, SyntaxError, ValueError, KeyError, struct.error):
        return False


def device_jpegs(*, size: int, device: str) -> DeviceJpegs | None:
    """A decoder on a GPU whose torchvision has nvJPEG; None elsewhere, where Pillow is as fast."""
    if not device.startswith("cuda"):
        return None
    import torch

    probe = BytesIO()
    Image.new("RGB", (16, 16), "white").save(probe, "JPEG")
    jpegs = DeviceJpegs(size=size, device=device)
    data = torch.from_numpy(np.frombuffer(probe.getvalue(), np.uint8).copy())
    found: Any = jpegs.squares([Jpeg(Path("probe"), data, pixels=16 * 16)])[0]
    return None if isinstance(found, Jpeg) else jpegs
