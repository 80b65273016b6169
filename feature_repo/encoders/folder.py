"""Encoder artifacts: a plain folder that adapts a named encoder, saved here, loaded by path.

``config.json`` names the base encoder, the artifact's id and its licence; beside it stand
``backbone.safetensors`` (the base's weights, retrained), ``head.safetensors`` (`weight`
(D, B) and `bias` (D,), applied to the base's B outputs), or both. ``learning.json``, where there
is one, tells how it was learned; it is no part of the encoder.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from feature_repo.encoders.content import open_photo
from feature_repo.encoders.encoder import Encoder, FloatMatrix, Modality, checked, stages_of
from feature_repo.encoders.photo_reading import PhotoReading
from feature_repo.encoders.weights import encoder_hash, folder_hash
from feature_repo.errors import EncoderError
from validation.whole_files import replacing

if TYPE_CHECKING:
    import torch

CONFIG, BACKBONE, HEAD = "config.json", "backbone.safetensors", "head.safetensors"
RECORD = "learning.json"


@dataclass(frozen=True, slots=True)
class FolderConfig:
    """What ``config.json`` holds."""

    id: str
    base: str
    """Name of the encoder it adapts, as `load_encoder` knows it."""
    licence: str
    unit_length: bool = False
    """Whether the output is normalised."""
    space: str | None = None
    """What a photo and a text artifact that were learned together have in common."""


class FolderEncoder:
    """A base encoder with retrained weights, a linear head, or both."""

    def __init__(
        self, base: Encoder, *, config: FolderConfig, digest: str, head: Mapping[str, Any]
    ) -> None:
        self.base, self.config = base, config
        self.id, self.licence = config.id, config.licence
        self.modality: Modality = base.modality
        self.weight = np.asarray(head["weight"], np.float32) if head else None
        self.bias = np.asarray(head["bias"], np.float32) if head else None
        self.width = base.width if self.weight is None else self.weight.shape[0]
        self.hash = encoder_hash(digest, {"base": base.hash})
        self.space = config.space or self.hash
        self._stages = stages_of(base)

    def prepare(self, content: Any) -> Any:
        """As the base does."""
        return self.base.prepare(content)

    def forward(self, prepared: Sequence[Any]) -> FloatMatrix:
        """(N, D)"""
        return self._adapted(self.base.forward(prepared))

    @property
    def lag(self) -> int:
        return self._stages.lag

    def stage(self, prepared: Sequence[Any]) -> Any:
        """As the base does."""
        return self._stages.stage(prepared)

    def launch(self, staged: Any) -> Any:
        """As the base does."""
        return self._stages.launch(staged)

    def fetch(self, launched: Any) -> FloatMatrix:
        """(N, D)"""
        return self._adapted(self._stages.fetch(launched))

    @property
    def reading(self) -> PhotoReading | None:
        """As the base does, in other processes, where it can."""
        return getattr(self.base, "reading", None)

    def read(self, path: Path) -> Any:
        """A photo file as `decoded` takes it, where the base has a way of its own."""
        own = getattr(self.base, "read", None)
        return own(path) if own else self.prepare(open_photo(path))

    def decoded(self, photos: Sequence[Any]) -> list[Any]:
        """As the base does."""
        own = getattr(self.base, "decoded", None)
        return own(photos) if own else list(photos)

    def _adapted(self, output: FloatMatrix) -> FloatMatrix:
        """(N, B) of the base to (N, D)."""
        count = len(output)
        if self.weight is not None and self.bias is not None:
            output = output @ self.weight.T + self.bias
        if self.config.unit_length:
            output = output / np.maximum(np.linalg.norm(output, axis=1, keepdims=True), 1e-12)
        return checked(output, encoder=self.id, count=count, width=self.width)

    def encode(self, batch: Sequence[Any]) -> FloatMatrix:
        """(N, D)"""
        return self.forward([self.prepare(content) for content in batch])


def save_folder_encoder(
    folder: Path,
    *,
    config: FolderConfig,
    backbone: Mapping[str, "torch.Tensor"] | None = None,
    head: Mapping[str, "torch.Tensor"] | None = None,
) -> None:
    """Write an artifact in place of one that may have been there; nothing of that one is left.

    Until the last file is written the folder is no artifact: a reader never meets a mixture of two.
    Raises EncoderError where it would change nothing of its base.
    """
    from safetensors.torch import save_file

    if backbone is None and head is None:
        raise EncoderError("an encoder artifact needs a backbone, a head or both")
    for name in (CONFIG, RECORD):
        (folder / name).unlink(missing_ok=True)
    for name, tensors in ((BACKBONE, backbone), (HEAD, head)):
        if tensors is None:
            (folder / name).unlink(missing_ok=True)
            continue
        with replacing(folder / name) as partial:
            save_file({key: value.contiguous() for key, value in tensors.items()}, partial)
    with replacing(folder / CONFIG) as partial:
        partial.write_text(json.dumps(asdict(config), indent=2) + "\n")


def load_folder_encoder(
    folder: Path, *, device: str, load_base: Callable[..., Encoder]
) -> FolderEncoder:
    """Read an artifact; `load_base(name, device=…)` loads what it adapts."""
    from safetensors.torch import load_file

    config = read_config(folder)
    base = load_base(config.base, device=device)
    if (folder / BACKBONE).exists():
        module = getattr(base, "module", None)
        if module is None:
            raise EncoderError(
                f"{folder} replaces weights, but {config.base!r} has no torch module"
            )
        try:
            module.load_state_dict(load_file(folder / BACKBONE, device=device), strict=True)
        except RuntimeError as error:
            raise EncoderError(f"{folder / BACKBONE} does not fit {config.base!r}: {error}") from (
                error
            )
    head = load_file(folder / HEAD) if (folder / HEAD).exists() else {}
    if head and (set(head) != {"weight", "bias"} or head["weight"].shape[1] != base.width):
        raise EncoderError(
            f"{folder / HEAD} must hold weight (D, {base.width}) and bias (D,); it holds "
            + ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in head.items())
        )
    digest = folder_hash(folder, but=(RECORD,))
    return FolderEncoder(base, config=config, digest=digest, head=head)


def read_config(folder: Path) -> FolderConfig:
    """What an artifact says of itself. Raises EncoderError where it is none."""
    path = folder / CONFIG
    if not path.is_file():
        raise EncoderError(f"{folder} is not an encoder artifact: it has no {CONFIG}")
    try:
        return FolderConfig(**json.loads(path.read_text()))
    except (json.JSONDecodeError, TypeError) as error:
        raise EncoderError(f"{path} does not describe an encoder artifact: {error}") from error
