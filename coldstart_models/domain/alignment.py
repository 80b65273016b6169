"""Alignment of two domains without labels of the second: CORAL, DANN, AdaBN.

Shapes: S source and T target examples, B numbers of a feature.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from coldstart_models.errors import ConfigError

CORAL: Final = "coral"
DANN: Final = "dann"
ADABN: Final = "adabn"
ALIGNMENTS: Final = (CORAL, DANN, ADABN)


def coral(source: Tensor, target: Tensor) -> Tensor:
    """Squared distance of the covariances of source (S, B) and target (T, B), over 4 B².

    Sun and Saenko, "Deep CORAL" (2016), equation 1.
    """
    difference = _covariance(source) - _covariance(target)
    return difference.square().sum() / (4 * source.shape[1] ** 2)


def _covariance(features: Tensor) -> Tensor:
    centred = features - features.mean(0)
    return centred.T @ centred / max(len(features) - 1, 1)


class _Reversal(torch.autograd.Function):
    """The identity; its gradient is turned around."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradients[0], None


def reversed_gradient(features: Tensor, strength: float) -> Tensor:
    """The features themselves, whose gradient is multiplied by −`strength` on its way back."""
    found: Tensor = _Reversal.apply(features, strength)
    return found


class DomainCritic(nn.Module):
    """Tells source from target; through a reversed gradient the features learn to hide it.

    Ganin et al., "Domain-Adversarial Training of Neural Networks" (JMLR 2016), section 4. Features
    are judged at unit length.
    """

    def __init__(self, width: int, *, generator: torch.Generator, hidden: int = 128) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(width, hidden), nn.Linear(hidden, 1)
        for layer in (self.first, self.second):
            bound = layer.in_features**-0.5
            for parameter in layer.parameters():
                nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def forward(self, features: Tensor) -> Tensor:
        """(N,) logits of being of the source."""
        hidden = functional.relu(self.first(functional.normalize(features, dim=1)))
        found: Tensor = self.second(hidden).squeeze(1)
        return found

    def loss(self, source: Tensor, target: Tensor, *, strength: float) -> Tensor:
        """What it gets wrong on (S, B) and (T, B), both domains with equal weight.

        Args:
            strength: of the reversed gradient; :func:`dann_strength` says how it grows.
        """
        of_source, of_target = (
            self(reversed_gradient(features, strength)) for features in (source, target)
        )
        return 0.5 * (
            functional.softplus(-of_source).mean() + functional.softplus(of_target).mean()
        )


def dann_strength(progress: float) -> float:
    """From 0 towards 1 as learning goes on, 0 to 1: 2 / (1 + exp(−10 p)) − 1 (section 5.2.2)."""
    return float(2 / (1 + torch.tensor(-10 * progress).exp()) - 1)


def estimate_norms(
    backbone: nn.Module, compute: Callable[[Any], Tensor], batches: Iterable[Any]
) -> int:
    """Replace the statistics of every batch norm by the target's; how many norms it were.

    Each batch is normalised by its own statistics on its way through, and those of all batches,
    equally weighted, are kept. Li et al., "Revisiting Batch Normalization For Practical Domain
    Adaptation" (2017). Give batches of one size, as large as fit.

    Args:
        compute: runs a batch through the backbone.
        batches: of the target's photos, in an order that does not follow their kinds.

    Raises:
        ConfigError: the backbone has no batch norm.
    """
    norms = [one for one in backbone.modules() if isinstance(one, nn.modules.batchnorm._BatchNorm)]
    norms = [norm for norm in norms if norm.track_running_stats]
    if not norms:
        raise ConfigError(
            "AdaBN re-estimates batch norms, and this encoder has none; choose coral or dann"
        )
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
        norm.train()
    try:
        with torch.no_grad():
            for batch in batches:
                compute(batch)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()
    return len(norms)
