"""A photo's file as an encoder's input, on a processor: what threads and other processes do of it.

It knows nothing of the encoder's network, so that it can be sent to a process that only reads.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from feature_repo.encoders.content import open_photo
from feature_repo.encoders.jpegs import jpeg_pixels

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class PhotoReading:
    """How one encoder wants its photos. Safe to call from several threads, and to be pickled."""

    prepare: Callable[[Image.Image], npt.NDArray[Any]]
    """Of an upright RGB photo."""
    finish: "Callable[[torch.Tensor], torch.Tensor] | None" = None
    """The same of photos of one shape (N, 3, H, W), uint8, wherever they are; None where the
    preprocessing takes opened photos alone."""

    def read(self, path: Path) -> npt.NDArray[Any]:
        """A photo's file as `prepare` makes it. Raises UnreadablePhoto."""
        pixels = jpeg_pixels(path) if self.finish else None
        if pixels is None or self.finish is None:
            return self.prepare(open_photo(path))
        found: npt.NDArray[Any] = self.finish(pixels)[0].numpy()
        return found


def as_pixels(photo: Image.Image) -> "torch.Tensor":
    """(1, 3, H, W), uint8, of a photo, in memory as a decoded JPEG's are."""
    import torch

    rgb = photo if photo.mode == "RGB" else photo.convert("RGB")
    return torch.from_numpy(np.array(rgb)).permute(2, 0, 1)[None]


@dataclass(frozen=True, slots=True)
class Finished:
    """`PhotoReading.prepare` by what finishes decoded photos."""

    finish: "Callable[[torch.Tensor], torch.Tensor]"

    def __call__(self, photo: Image.Image) -> npt.NDArray[Any]:
        found: npt.NDArray[Any] = self.finish(as_pixels(photo))[0].numpy()
        return found
