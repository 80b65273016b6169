"""ResNet-50 with torchvision's ImageNet weights, its classifier removed: 2048-d.

He et al., "Deep Residual Learning for Image Recognition" (2016).
"""

from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING

from feature_repo.encoders.images import ImageInput, TorchImageEncoder
from feature_repo.encoders.weights import require_sha256
from feature_repo.errors import EncoderError

if TYPE_CHECKING:
    import torch

CACHED = {"resnet50-11ad3fa6.pth": "11ad3fa6", "resnet50-0676ba61.pth": "0676ba61"}
"""torchvision's file names, V2 before V1 → the first digits of their sha256."""
INPUT = ImageInput(size=224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
WIDTH = 2048


def resnet50(*, device: str, path: Path | None = None) -> TorchImageEncoder:
    """The encoder, with weights from a path or from torchvision's cache."""
    weights, pinned = (path, "") if path else _cached()
    if not weights.is_file():
        raise EncoderError(f"there are no ResNet-50 weights at {weights}; give a .pth state dict")
    digest = require_sha256(weights, pinned)
    return TorchImageEncoder(
        _load(weights),
        name="resnet50",
        width=WIDTH,
        licence="BSD-3-Clause",
        weights_hash=digest,
        preprocessing=INPUT,
        device=device,
    )


def _cached() -> tuple[Path, str]:
    import torch

    folder = Path(torch.hub.get_dir()) / "checkpoints"
    for name, digest in CACHED.items():
        if (folder / name).is_file():
            return folder / name, digest
    raise EncoderError(
        f"there are no ResNet-50 weights in torchvision's cache {folder}; where there is a "
        'network, run `python -c "import torchvision; '
        "torchvision.models.resnet50(weights='DEFAULT')\"` and copy the file, or give its path"
    )


def _load(weights: Path) -> "torch.nn.Module":
    import torch
    import torchvision

    network = torchvision.models.resnet50(weights=None)
    try:
        stored = torch.load(weights, map_location="cpu", weights_only=True)
        network.load_state_dict(stored, strict=True)
    except (RuntimeError, UnpicklingError, EOFError) as error:
        raise EncoderError(f"{weights} is not a ResNet-50 of torchvision: {error}") from error
    network.fc = torch.nn.Identity()
    trained: torch.nn.Module = network
    return trained
