"""Any Hugging Face image model by folder or hub name."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from feature_repo.encoders.encoder import FloatMatrix, Modality, checked
from feature_repo.encoders.texts import hugging_face_folder
from feature_repo.encoders.weights import encoder_hash, folder_hash
from feature_repo.errors import EncoderError

if TYPE_CHECKING:
    import torch


class HuggingFaceImageEncoder:
    """The model's own preprocessing; its image projection, pooled output or mean of tokens."""

    modality = Modality.IMAGE
    licence = "see the model's card"

    def __init__(self, name: str, *, device: str) -> None:
        from transformers import AutoImageProcessor, AutoModel
        from transformers.utils import logging

        logging.disable_progress_bar()
        folder = hugging_face_folder(name)
        try:
            self.processor: Any = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
            self.module: Any = AutoModel.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise EncoderError(
                f"{folder} is not an image model transformers can load: {error}"
            ) from error
        self.id = f"hf-image:{folder.name if Path(name).is_dir() else name}"
        self.device = device
        self.module.eval().to(device)
        self.hash = encoder_hash(folder_hash(folder), {"preprocessing": "the model's own"})
        probe = self.prepare(Image.new("RGB", (64, 64), "white"))
        self.width = self._pooled([probe]).shape[1]

    def prepare(self, content: Image.Image) -> npt.NDArray[np.float32]:
        """(3, H, W)"""
        pixels = self.processor(images=content.convert("RGB"), return_tensors="np")["pixel_values"]
        return np.asarray(pixels[0], dtype=np.float32)

    def forward(self, prepared: Sequence[npt.NDArray[np.float32]]) -> FloatMatrix:
        """(N, D)"""
        if not len(prepared):
            return np.zeros((0, self.width), np.float32)
        pooled = self._pooled(prepared).float().cpu().numpy()
        return checked(pooled, encoder=self.id, count=len(prepared), width=self.width)

    def encode(self, batch: Sequence[Image.Image]) -> FloatMatrix:
        """(N, D)"""
        return self.forward([self.prepare(image) for image in batch])

    def _pooled(self, prepared: Sequence[npt.NDArray[np.float32]]) -> "torch.Tensor":
        import torch

        with torch.inference_mode():
            pixels = torch.from_numpy(np.stack(prepared)).to(self.device)
            if hasattr(self.module, "get_image_features"):
                output = self.module.get_image_features(pixel_values=pixels)
                vectors = getattr(output, "pooler_output", output)
            else:
                output = self.module(pixel_values=pixels)
                vectors = getattr(output, "pooler_output", None)
                if vectors is None:
                    vectors = output.last_hidden_state.mean(dim=1)
            return torch.as_tensor(vectors).flatten(1)
