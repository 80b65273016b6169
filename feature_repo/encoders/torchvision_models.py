"""Any classification network of torchvision, its classifier removed.

The weights are a state dict by path or a file of torchvision's cache; preprocessing is the
weights' own (resize, centre crop, normalise), and the width is found by a probe.
"""

import difflib
import re
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, Final

from feature_repo.encoders.images import PixelEncoder
from feature_repo.encoders.photo_reading import Finished, PhotoReading
from feature_repo.encoders.weights import encoder_hash, require_sha256
from feature_repo.errors import EncoderError

if TYPE_CHECKING:
    import torch

PINNED: Final = re.compile(r"-([0-9a-f]{8,})\.pth$")
"""torchvision's file names end in the first digits of the file's sha256."""
SETTINGS: Final = ("resize_size", "crop_size", "mean", "std", "interpolation", "antialias")
"""What a preprocessing of torchvision is made of."""
AUXILIARY: Final = ("googlenet", "inception_v3")
"""Networks that classify in the middle as well while they learn."""
LICENCE: Final = "BSD-3-Clause"
"""Of weights whose metadata name no other."""
OLD_DENSENET: Final = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")
"""Names that torchvision's DenseNet files still have, and its networks no longer."""


def torchvision_model(name: str, *, device: str, path: Path | None = None) -> PixelEncoder:
    """The encoder ``torchvision:NAME``, with weights from a path or torchvision's cache."""
    import torch

    file, entry = (path, published(name, path)) if path else cached(name)
    digest = checked_digest(name, file)
    preprocess = entry.transforms()
    settings = {key: str(getattr(preprocess, key)) for key in SETTINGS}
    network = headless(name, file, size=preprocess.crop_size[0])
    return PixelEncoder(
        network.to(memory_format=torch.channels_last),
        name=f"torchvision:{name}",
        licence=entry.meta.get("license", LICENCE) if is_published(name, file) else "not stated",
        digest=encoder_hash(digest, {"network": name, **settings}),
        reading=PhotoReading(Finished(preprocess), preprocess),
        vectors=lambda module, pixels: module(pixels).flatten(1),
        device=device,
    )


def names() -> list[str]:
    """The classification networks that torchvision has."""
    import torchvision

    found: list[str] = torchvision.models.list_models(module=torchvision.models)
    return found


def cached(name: str) -> tuple[Path, Any]:
    """The weights of a network in torchvision's cache, its default ones first.

    Returns the file and torchvision's entry of it. Raises EncoderError saying how to fetch it.
    """
    for entry in _entries(name):
        if (_cache() / _file_name(entry)).is_file():
            return _cache() / _file_name(entry), entry
    raise EncoderError(
        f"there are no weights of {name} in torchvision's cache {_cache()}; where there is a "
        f'network, run `python -c "import torchvision; torchvision.models.{name}'
        "(weights='DEFAULT')\"` and copy the file, or give its path"
    )


def cached_networks() -> list[str]:
    """The networks whose weights are in torchvision's cache."""
    held = {path.name for path in _cache().glob("*.pth")}
    return [name for name in names() if held & {_file_name(entry) for entry in _entries(name)}]


def published(name: str, file: Path) -> Any:
    """torchvision's entry of a weights file, by the file's name; else the default entry."""
    entries = _entries(name)
    return next((entry for entry in entries if _file_name(entry) == file.name), entries[0])


def is_published(name: str, file: Path) -> bool:
    """Whether the file has the name of one that torchvision publishes for the network."""
    return any(_file_name(entry) == file.name for entry in _entries(name))


def checked_digest(name: str, file: Path) -> str:
    """The file's sha256; where torchvision publishes the file, it must be as its name says."""
    if not file.is_file():
        raise EncoderError(f"there are no {name} weights at {file}; give a .pth state dict")
    pinned = PINNED.search(file.name) if is_published(name, file) else None
    return require_sha256(file, pinned.group(1) if pinned else "")


def headless(name: str, weights: Path, *, size: int) -> "torch.nn.Module":
    """The trained network without its last layer: (N, 3, S, S) → (N, D) or (N, D, 1, 1)."""
    import torch
    import torchvision

    try:
        stored = torch.load(weights, map_location="cpu", weights_only=True)
        classes = len(next(reversed(stored.values())))
        options = {"image_size": size} if name.startswith("vit_") else {}
        if name in AUXILIARY:
            # Their weights expect inputs rescaled within, and random starts take a minute.
            options |= {"transform_input": True, "init_weights": False}
        network: torch.nn.Module = torchvision.models.get_model(
            name, weights=None, num_classes=classes, **options
        )
        network.load_state_dict({_present_name(key): stored[key] for key in stored}, strict=True)
    except (RuntimeError, UnpicklingError, EOFError, AttributeError, TypeError) as error:
        raise EncoderError(f"{weights} is not a {name} of torchvision: {error}") from error
    network.set_submodule(last_layer(network), torch.nn.Identity())
    return network


def untrained(name: str, *, classes: int) -> "torch.nn.Module":
    """The network with random weights, by torch's generator: (N, 3, S, S) → (N, classes)."""
    import torchvision

    _entries(name)  # an unknown name is told with the nearest
    options = {"transform_input": True, "init_weights": True} if name in AUXILIARY else {}
    network: Any = torchvision.models.get_model(name, weights=None, num_classes=classes, **options)
    if name in AUXILIARY:
        network.aux_logits = False  # what learns sees one output; the others keep their start
    found: torch.nn.Module = network
    return found


def last_layer(network: "torch.nn.Module") -> str:
    """Name of a network's classifier: linear, or SqueezeNet's convolution."""
    import torch

    layers = (torch.nn.Linear, torch.nn.Conv2d)
    named = [name for name, module in network.named_modules() if isinstance(module, layers)]
    return str(named[-1])


def _present_name(key: str) -> str:
    return OLD_DENSENET.sub(r"\1\2", key)


def _entries(name: str) -> list[Any]:
    """torchvision's published weights of a network, the default first."""
    import torchvision

    if name not in names():
        close = difflib.get_close_matches(name, names(), n=1)
        hint = f"did you mean {close[0]!r}?" if close else "see torchvision.models"
        raise EncoderError(f"torchvision has no classification network {name!r}; {hint}")
    weights = torchvision.models.get_model_weights(name)
    return [weights.DEFAULT, *(entry for entry in weights if entry is not weights.DEFAULT)]


def _cache() -> Path:
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints"


def _file_name(entry: Any) -> str:
    return str(entry.url).rpartition("/")[2]
