"""Any Hugging Face image model by folder or hub name: ViT, DINOv2, and CLIP's and SigLIP's photos.

Dosovitskiy et al., "An Image is Worth 16x16 Words" (2021); Oquab et al., "DINOv2" (2023);
Radford et al., "CLIP" (2021); Zhai et al., "SigLIP" (2023).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
from PIL import Image

from feature_repo.encoders.images import PixelEncoder
from feature_repo.encoders.model_folders import (
    load_model,
    model_folder,
    model_hash,
    model_licence,
    shared_space,
)
from feature_repo.encoders.photo_reading import PhotoReading
from feature_repo.encoders.weights import encoder_hash

if TYPE_CHECKING:
    import torch


def hugging_face_image(name: str, *, device: str) -> PixelEncoder:
    """The model's own preprocessing; its image projection, pooled output, or class token."""
    from transformers import AutoImageProcessor

    folder = model_folder(name)
    processor, model, missing = load_model(folder, AutoImageProcessor, kind="photo")
    digest = model_hash(folder)

    on_tensors = getattr(processor, "backend", "") == "torchvision"
    return PixelEncoder(
        model,
        name=f"hf-image:{folder.name if Path(name).is_dir() else name}",
        licence=model_licence(folder),
        digest=encoder_hash(digest, {"preprocessing": "the model's own"}),
        reading=PhotoReading(_OfPhoto(processor), _OfDecoded(processor) if on_tensors else None),
        vectors=_from_tokens if missing else _from_model,
        device=device,
        space=shared_space(model, digest),
    )


@dataclass(frozen=True, slots=True)
class _OfPhoto:
    """(3, H, W) of an opened photo, by the model's own preprocessing."""

    processor: Any

    def __call__(self, photo: Image.Image) -> npt.NDArray[np.float32]:
        rgb = photo.convert("RGB")
        found = self.processor(images=rgb, return_tensors="np")["pixel_values"][0]
        return np.asarray(found, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class _OfDecoded:
    """(N, 3, H, W) of decoded photos, likewise."""

    processor: Any

    def __call__(self, photos: "torch.Tensor") -> "torch.Tensor":
        found = self.processor(images=list(photos), return_tensors="pt")["pixel_values"]
        return cast("torch.Tensor", found)


def _from_model(model: Any, pixels: "torch.Tensor") -> "torch.Tensor":
    """(N, D) as the model itself puts a photo into one vector."""
    if hasattr(model, "get_image_features"):
        output = model.get_image_features(pixel_values=pixels)
        vectors = getattr(output, "pooler_output", output)
    else:
        output = model(pixel_values=pixels)
        vectors = getattr(output, "pooler_output", None)
        if vectors is None:
            return _pooled(model, output.last_hidden_state)
    flat: torch.Tensor = vectors.flatten(1)
    return flat


def _from_tokens(model: Any, pixels: "torch.Tensor") -> "torch.Tensor":
    """(N, D) of a model whose file has no pooler, such as a classifier's."""
    return _pooled(model, model(pixel_values=pixels).last_hidden_state)


def _pooled(model: Any, tokens: "torch.Tensor") -> "torch.Tensor":
    """(N, T, D) tokens → (N, D): the class token, or the mean where there is none."""
    with_class = hasattr(getattr(model, "embeddings", None), "cls_token")
    return tokens[:, 0] if with_class else tokens.mean(dim=1)
