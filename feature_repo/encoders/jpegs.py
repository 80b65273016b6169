"""JPEG photos decoded on the device that encodes them: nvJPEG, by torchvision, on a GPU.

What it makes of a photo is what `white_square` makes, up to a few levels of 255: another decoder
and another implementation of the same bicubic filter. Photos of other formats, turned ones, and
files that end early are left to Pillow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image

from feature_repo.encoders.content import MAX_PIXELS

if TYPE_CHECKING:
    import torch

ORIENTATION: Final = 0x0112
"""The EXIF tag; 1 is upright."""
END: Final = b"\xff\xd9"
"""What a whole JPEG file ends with."""


@dataclass(frozen=True, slots=True)
class Jpeg:
    """A photo that waits to be decoded."""

    path: Path
    data: "torch.Tensor"
    """(B,) the file's bytes."""


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
            with Image.open(BytesIO(data)) as photo:
                plain = (
                    photo.format == "JPEG"
                    and photo.mode in ("RGB", "L")
                    and photo.getexif().get(ORIENTATION, 1) == 1
                    and photo.width * photo.height <= MAX_PIXELS
                )
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            return None
        if not plain or not data.rstrip(b"\0").endswith(END):
            return None
        return Jpeg(path, torch.frombuffer(bytearray(data), dtype=torch.uint8))

    def squares(self, jpegs: Sequence[Jpeg]) -> "list[torch.Tensor | Jpeg]":
        """(S, S, 3) uint8 on the device of each, or the photo itself where it fails."""
        try:
            return [self._square(photo) for photo in self._decoded([one.data for one in jpegs])]
        except RuntimeError:
            found: list[torch.Tensor | Jpeg] = []
            for jpeg in jpegs:
                try:
                    found.append(self._square(self._decoded([jpeg.data])[0]))
                except RuntimeError:
                    found.append(jpeg)
            return found

    def _decoded(self, data: "list[torch.Tensor]") -> "list[torch.Tensor]":
        from torchvision.io import ImageReadMode, decode_jpeg

        found: list[torch.Tensor] = decode_jpeg(data, mode=ImageReadMode.RGB, device=self.device)
        return found

    def _square(self, photo: "torch.Tensor") -> "torch.Tensor":
        """The whole photo (3, H, W), centred on white: (S, S, 3)."""
        import torch

        height, width = photo.shape[1:]
        scale = self.size / max(height, width)
        high, wide = (max(1, round(side * scale)) for side in (height, width))
        resized = torch.nn.functional.interpolate(
            photo[None].float(), size=(high, wide), mode="bicubic", antialias=True
        )
        square = torch.full((self.size, self.size, 3), 255, dtype=torch.uint8, device=photo.device)
        top, left = (self.size - high) // 2, (self.size - wide) // 2
        levels = resized[0].round().clamp(0, 255).to(torch.uint8)
        square[top : top + high, left : left + wide] = levels.permute(1, 2, 0)
        return square


def device_jpegs(*, size: int, device: str) -> DeviceJpegs | None:
    """A decoder on a GPU whose torchvision has nvJPEG; None elsewhere, where Pillow is as fast."""
    if not device.startswith("cuda"):
        return None
    import torch

    probe = BytesIO()
    Image.new("RGB", (16, 16), "white").save(probe, "JPEG")
    jpegs = DeviceJpegs(size=size, device=device)
    data = torch.from_numpy(np.frombuffer(probe.getvalue(), np.uint8).copy())
    found: Any = jpegs.squares([Jpeg(Path("probe"), data)])[0]
    return None if isinstance(found, Jpeg) else jpegs
