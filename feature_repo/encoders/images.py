"""Image encoders on torch: a photo, normalised, through a backbone to one vector."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from feature_repo.encoders.content import UnreadablePhoto, open_photo
from feature_repo.encoders.encoder import FloatMatrix, Modality, checked
from feature_repo.encoders.jpegs import DeviceJpegs, Jpeg, device_jpegs, plain_jpeg
from feature_repo.encoders.photo_reading import Finished, PhotoReading, as_pixels
from feature_repo.encoders.running import Runner, Staged
from feature_repo.encoders.weights import encoder_hash

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class ImageInput:
    """How a photo becomes the model's input: padded to a white square, resized, normalised."""

    size: int
    """Side of the square in pixels."""
    mean: tuple[float, float, float]
    """Subtracted from channels in [0, 1]."""
    std: tuple[float, float, float]
    """Then divides them."""


def white_square(image: Image.Image, *, size: int) -> npt.NDArray[np.uint8]:
    """(size, size, 3): the whole photo, centred on white, bicubic."""
    square: npt.NDArray[np.uint8] = white_squares(as_pixels(image), size=size)[0].numpy()
    return square


def white_squares(photos: "torch.Tensor", *, size: int) -> "torch.Tensor":
    """(N, size, size, 3) of (N, 3, H, W), uint8 on any device.

    The filter is Pillow's: on a processor a value in a thousand is another one, by a level or two
    of 255, at a quarter of the time; on a GPU a few levels.
    """
    import torch

    height, width = photos.shape[2:]
    scale = size / max(height, width)
    high, wide = (max(1, round(side * scale)) for side in (height, width))
    here = photos.device.type == "cpu"  # where whole numbers are resized as they are
    if (high, wide) != (height, width):
        photos = torch.nn.functional.interpolate(
            photos if here else photos.float(), size=(high, wide), mode="bicubic", antialias=True
        )
        photos = photos if here else photos.round_().clamp_(0, 255).to(torch.uint8)
    pixels = photos.permute(0, 2, 3, 1)
    top, left = (size - high) // 2, (size - wide) // 2
    inner = (slice(None), slice(top, top + high), slice(left, left + wide))
    if here:  # torch would share a copy among threads of its own, and each reader has them
        whole = np.full((len(pixels), size, size, 3), 255, np.uint8)
        whole[inner] = pixels.numpy()
        return torch.from_numpy(whole)
    if high == wide:
        return pixels.contiguous()
    squares = pixels.new_full((len(pixels), size, size, 3), 255)
    squares[inner] = pixels
    return squares


class _OnRunner:
    """What image encoders share: their stages are those of their runner, and on a GPU that can,
    JPEG files are decoded there.
    """

    modality = Modality.IMAGE
    id: str
    width: int
    runner: Runner
    jpegs: DeviceJpegs | None
    reading: PhotoReading

    def prepare(self, content: Image.Image) -> npt.NDArray[Any]:
        """One photo as `stage` takes it."""
        return self.reading.prepare(content)

    def read(self, path: Path) -> "npt.NDArray[Any] | Jpeg":
        """A photo file as `decoded` takes it. Raises UnreadablePhoto."""
        jpeg = plain_jpeg(path) if self.jpegs else None
        return jpeg or self.reading.read(path)

    def decoded(self, photos: Sequence[Any]) -> list[Any]:
        """What `read` gave, as `stage` takes it, or why there is none."""
        waiting = [number for number, photo in enumerate(photos) if isinstance(photo, Jpeg)]
        found = list(photos)
        if not waiting or self.jpegs is None:
            return found
        finished = self.jpegs.finished([photos[number] for number in waiting])
        for number, one in zip(waiting, finished, strict=True):
            found[number] = self._by_pillow(one.path) if isinstance(one, Jpeg) else one
        return found

    def _by_pillow(self, path: Path) -> "npt.NDArray[Any] | UnreadablePhoto":
        try:
            return self.prepare(open_photo(path))
        except UnreadablePhoto as error:
            return error

    @property
    def lag(self) -> int:
        return self.runner.lag

    def stage(self, prepared: Sequence[Any]) -> Staged:
        """The photos as one batch on the device."""
        import torch

        if any(isinstance(one, torch.Tensor) for one in prepared):
            return self.runner.gather(
                [
                    one if isinstance(one, torch.Tensor) else torch.from_numpy(np.array(one))
                    for one in prepared
                ]
            )
        given: Any = prepared  # of processes it is one array already
        batch = given if isinstance(given, np.ndarray) else np.stack(prepared)
        return self.runner.stage(torch.from_numpy(batch))

    def launch(self, staged: Staged) -> "torch.Tensor":
        """(N, D), which a GPU may not have finished."""
        return self.runner.launch(staged)

    def fetch(self, launched: "torch.Tensor") -> FloatMatrix:
        """(N, D)"""
        output = self.runner.fetch(launched)
        return checked(output, encoder=self.id, count=len(launched), width=self.width)

    def forward(self, prepared: Sequence[Any]) -> FloatMatrix:
        """(N, D)"""
        if not len(prepared):
            return np.zeros((0, self.width), np.float32)
        return self.fetch(self.launch(self.stage(prepared)))


class TorchImageEncoder(_OnRunner):
    """A torch module that maps (N, 3, S, S) to (N, D), run in inference mode."""

    def __init__(
        self,
        module: "torch.nn.Module",
        *,
        name: str,
        width: int,
        licence: str,
        weights_hash: str,
        preprocessing: ImageInput,
        device: str,
    ) -> None:
        import torch

        self.id, self.width, self.licence = name, width, licence
        self.input = preprocessing
        self.hash = encoder_hash(weights_hash, {"padding": "white square", **asdict(preprocessing)})
        self.space = self.hash
        self.device = device
        self.module = module.eval().to(device).to(memory_format=torch.channels_last)
        self._mean, self._std = (
            torch.tensor(values, device=device)
            for values in (preprocessing.mean, preprocessing.std)
        )
        finish = partial(white_squares, size=preprocessing.size)
        self.reading = PhotoReading(Finished(finish), finish)
        self.jpegs = device_jpegs(finish, device=device)
        self.runner = Runner(self._vectors, device=device)

    def encode(self, batch: Sequence[Image.Image]) -> FloatMatrix:
        """(N, D)"""
        return self.forward([self.prepare(image) for image in batch])

    def pixels(self, squares: "torch.Tensor") -> "torch.Tensor":
        """Staged photos (N, S, S, 3), which seen as (N, 3, S, S) are channels_last already, as the
        module takes them.
        """
        return ((squares.float() / 255 - self._mean) / self._std).permute(0, 3, 1, 2)

    def _vectors(self, squares: "torch.Tensor") -> "torch.Tensor":
        """(N, S, S, 3) to (N, D)."""
        output: torch.Tensor = self.module(self.pixels(squares))
        return output


class PixelEncoder(_OnRunner):
    """A torch module with preprocessing of its own; a probe finds its width."""

    def __init__(
        self,
        module: "torch.nn.Module",
        *,
        name: str,
        licence: str,
        digest: str,
        reading: PhotoReading,
        vectors: Callable[[Any, "torch.Tensor"], "torch.Tensor"],
        device: str,
        space: str | None = None,
    ) -> None:
        """`reading` makes (3, H, W) of a photo, `vectors` (N, D) of the module and pixels.

        `digest` becomes the hash, and the space where none is given.
        """
        self.id, self.licence, self.hash, self.space = name, licence, digest, space or digest
        self.device = device
        self.module = module.eval().to(device)
        self.reading = reading
        self.jpegs = device_jpegs(reading.finish, device=device) if reading.finish else None
        self.runner = Runner(lambda pixels: vectors(self.module, pixels), device=device)
        probe = self.prepare(Image.new("RGB", (64, 64), "white"))
        self.width = self.launch(self.stage([probe])).shape[1]

    def pixels(self, staged: "torch.Tensor") -> "torch.Tensor":
        """Staged photos (N, 3, H, W) as the module takes them: as they are."""
        return staged

    def encode(self, batch: Sequence[Image.Image]) -> FloatMatrix:
        """(N, D)"""
        return self.forward([self.prepare(image) for image in batch])
