"""ResNet-50 with torchvision's ImageNet weights, its classifier removed: 2048-d.

He et al., "Deep Residual Learning for Image Recognition" (2016). Unlike ``torchvision:resnet50``
it sees the whole photo, on a white square, as EfficientNet-Lite0 does.
"""

from pathlib import Path

from feature_repo.encoders.images import ImageInput, TorchImageEncoder
from feature_repo.encoders.torchvision_models import LICENCE, cached, checked_digest, headless

NAME = "resnet50"
INPUT = ImageInput(size=224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
WIDTH = 2048


def resnet50(*, device: str, path: Path | None = None) -> TorchImageEncoder:
    """The encoder, with weights from a path or from torchvision's cache."""
    weights = path or cached(NAME)[0]
    digest = checked_digest(NAME, weights)
    return TorchImageEncoder(
        headless(NAME, weights, size=INPUT.size),
        name=NAME,
        width=WIDTH,
        licence=LICENCE,
        weights_hash=digest,
        preprocessing=INPUT,
        device=device,
    )
