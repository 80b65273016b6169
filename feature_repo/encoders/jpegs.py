"""JPEG photos decoded by torchvision, straight into tensors: on a processor, or nvJPEG on a GPU.

On a processor the pixels are those that Pillow finds, without its copies; nvJPEG's are off by a few
levels of 255: another decoder. Photos of other formats, turned ones, and files that end early are
left to Pillow.
"""

import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from PIL import Image

from validation.photos import MOST_PIXELS

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
TURNED_BY_XMP: Final = re.compile(rb"tiff:Orientation(=[\"']|>)[02-9]")
"""What Pillow asks where EXIF does not say how a photo stands."""
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
    """Decodes a batch of JPEG files on the device."""

    def __init__(self, finish: "Callable[[torch.Tensor], torch.Tensor]", *, device: str) -> None:
        """`finish` makes of photos of one shape (N, 3, H, W), uint8, what an encoder stages."""
        import torch

        self.finish, self.device = finish, torch.device(device)
        self._stream: Any = None
        if self.device.type == "cuda":
            self._stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]

    def finished(self, jpegs: Sequence[Jpeg]) -> "list[torch.Tensor | Jpeg]":
        """Each as `finish` makes it, there on the device, or the photo itself where it fails."""
        import torch

        ends = np.cumsum([one.pixels for one in jpegs]) // AT_ONCE
        cuts = [0, *(np.flatnonzero(np.diff(ends)) + 1).tolist(), len(jpegs)]
        # torchvision's decoder writes on a stream of its own, as soon as it is asked. Memory that
        # it is given may be free only once what the asking stream still has to do is done: what a
        # model was computing there would be overwritten. A stream apart has memory of its own.
        with torch.cuda.stream(self._stream):
            found = [one for first, last in pairwise(cuts) for one in self._some(jpegs[first:last])]
        self._wait()
        return found

    def _some(self, jpegs: Sequence[Jpeg]) -> "list[torch.Tensor | Jpeg]":
        """Of so many as fit on the device."""
        import torch

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
            for place, one in zip(places, self.finish(torch.stack(photos)), strict=True):
                found[place] = one
        return found

    def _alone(self, jpeg: Jpeg) -> "torch.Tensor | Jpeg":
        try:
            return self._decoded([jpeg.data])[0]
        except RuntimeError:
            return jpeg

    def _decoded(self, data: "list[torch.Tensor]") -> "list[torch.Tensor]":
        from torchvision.io import ImageReadMode, decode_jpeg

        self._wait()
        found: list[torch.Tensor] = decode_jpeg(data, mode=ImageReadMode.RGB, device=self.device)
        return found

    def _wait(self) -> None:
        if self._stream is not None:
            self._stream.synchronize()


def plain_jpeg(path: Path) -> Jpeg | None:
    """The file of a whole, upright JPEG, or None where Pillow is to open it."""
    from torchvision.io import read_file

    try:
        data = read_file(str(path))  # in one call that other threads need not wait for
    except RuntimeError:
        return None
    pixels = plain_pixels(data.numpy().tobytes())
    return None if pixels is None else Jpeg(path, data, pixels)


def jpeg_pixels(path: Path) -> "torch.Tensor | None":
    """(1, 3, H, W), uint8, of a JPEG that this processor decodes; None where Pillow is to."""
    from torchvision.io import ImageReadMode, decode_jpeg

    jpeg = plain_jpeg(path)
    try:
        return None if jpeg is None else decode_jpeg(jpeg.data, mode=ImageReadMode.RGB)[None]
    except RuntimeError:
        return None


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
    return height * width if usual and 0 < height * width <= MOST_PIXELS else None


def _is_upright(segment: bytes) -> bool:
    if not segment.startswith(b"Exif\0\0"):
        return TURNED_BY_XMP.search(segment) is None
    exif = Image.Exif()
    try:
        exif.load(segment)
        return bool(exif.get(ORIENTATION, 1) == 1)
    except (OSError, SyntaxError, ValueError, KeyError, struct.error):
        return False


def device_jpegs(
    finish: "Callable[[torch.Tensor], torch.Tensor]", *, device: str
) -> DeviceJpegs | None:
    """A decoder on a GPU whose torchvision has nvJPEG; None elsewhere."""
    if not device.startswith("cuda"):
        return None
    import torch

    probe = BytesIO()
    Image.new("RGB", (16, 16), "white").save(probe, "JPEG")
    jpegs = DeviceJpegs(finish, device=device)
    data = torch.from_numpy(np.frombuffer(probe.getvalue(), np.uint8).copy())
    found: Any = jpegs.finished([Jpeg(Path("probe"), data, pixels=16 * 16)])[0]
    return None if isinstance(found, Jpeg) else jpegs
