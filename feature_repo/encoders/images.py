"""Image encoders on torch: a photo, normalised, through a backbone to one vector."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from feature_repo.encoders.encoder import FloatMatrix, Modality, checked
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
    scale = size / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    square = Image.new("RGB", (size, size), "white")
    resized = image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    square.paste(resized, ((size - width) // 2, (size - height) // 2))
    return np.asarray(square)


class TorchImageEncoder:
    """A torch module that maps (N, 3, S, S) to (N, D), run in inference mode."""

    modality = Modality.IMAGE

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

    def prepare(self, content: Image.Image) -> npt.NDArray[np.uint8]:
        """(S, S, 3)"""
        return white_square(content, size=self.input.size)

    def forward(self, prepared: Sequence[npt.NDArray[np.uint8]]) -> FloatMatrix:
        """(N, D)"""
        import torch

        if not len(prepared):
            return np.zeros((0, self.width), np.float32)
        mean, std = (torch.tensor(v, device=self.device) for v in (self.input.mean, self.input.std))
        with torch.inference_mode():
            # (N, S, S, 3) seen as (N, 3, S, S) is channels_last already.
            pixels = torch.from_numpy(np.stack(prepared)).to(self.device).float() / 255
            output: Any = self.module(((pixels - mean) / std).permute(0, 3, 1, 2))
        return checked(
            output.float().cpu().numpy(), encoder=self.id, count=len(prepared), width=self.width
        )

    def encode(self, batch: Sequence[Image.Image]) -> FloatMatrix:
        """(N, D)"""
        return self.forward([self.prepare(image) for image in batch])


class PixelEncoder:
    """A torch module with preprocessing of its own; a probe finds its width."""

    modality = Modality.IMAGE

    def __init__(
        self,
        module: "torch.nn.Module",
        *,
        name: str,
        licence: str,
        digest: str,
        preprocess: Callable[[Image.Image], npt.NDArray[np.float32]],
        vectors: Callable[[Any, "torch.Tensor"], "torch.Tensor"],
        device: str,
        space: str | None = None,
    ) -> None:
        """`preprocess` makes (3, H, W) of an RGB photo, `vectors` (N, D) of the module and pixels.

        `digest` becomes the hash, and the space where none is given.
        """
        self.id, self.licence, self.hash, self.space = name, licence, digest, space or digest
        self.device = device
        self.module = module.eval().to(device)
        self._preprocess, self._vectors = preprocess, vectors
        self.width = self._run([self.prepare(Image.new("RGB", (64, 64), "white"))]).shape[1]

    def prepare(self, content: Image.Image) -> npt.NDArray[np.float32]:
        """(3, H, W)"""
        return np.asarray(self._preprocess(content.convert("RGB")), dtype=np.float32)

    def forward(self, prepared: Sequence[npt.NDArray[np.float32]]) -> FloatMatrix:
        """(N, D)"""
        if not len(prepared):
            return np.zeros((0, self.width), np.float32)
        output = self._run(prepared)
        return checked(output, encoder=self.id, count=len(prepared), width=self.width)

    def encode(self, batch: Sequence[Image.Image]) -> FloatMatrix:
        """(N, D)"""
        return self.forward([self.prepare(image) for image in batch])

    def _run(self, prepared: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        import torch

        with torch.inference_mode():
            pixels = torch.from_numpy(np.stack(prepared)).to(self.device)
            output: npt.NDArray[np.float32] = (
                self._vectors(self.module, pixels).float().cpu().numpy()
            )
        return output
