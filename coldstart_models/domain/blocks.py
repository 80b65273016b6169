"""A backbone as a chain of blocks, so that the first ones can be computed once and kept.

A block is a module with weights and what follows it without weights of its own to learn from
(norms, activations, pooling): EfficientNet-Lite0 has 18, ResNet50 has 17. Sequences are opened;
whether the chain computes what the backbone does is tried on a probe, not assumed.
"""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from coldstart_models.errors import ConfigError

TOLERANCE = 1e-3
"""Largest difference from the backbone's output, as a share of its largest number."""
NO_CHAIN: Final = (RuntimeError, AssertionError, AttributeError, TypeError, ValueError)
"""What modules raise for an input that is none of theirs."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """The blocks of a backbone in order; they share their weights with it."""

    blocks: tuple[nn.Sequential, ...]

    def __len__(self) -> int:
        return len(self.blocks)

    def cut(self, last: int) -> tuple[nn.Sequential, nn.Sequential]:
        """All but the last so many blocks, and those: (stem, tail).

        Raises ConfigError where there are not so many.
        """
        if not 0 <= last <= len(self):
            raise ConfigError(
                f"{last} blocks are to be learned, but the backbone has {len(self)}; "
                f"give 0 to {len(self)}"
            )
        border = len(self) - last
        return nn.Sequential(*self.blocks[:border]), nn.Sequential(*self.blocks[border:])


def split(backbone: nn.Module, probe: Tensor) -> Blocks | None:
    """The backbone's blocks; None where its children in order do not compute what it does.

    Args:
        backbone: maps (N, …) to (N, D) or (N, D, 1, 1).
        probe: (N, …), best of random numbers.
    """
    backbone.eval()
    blocks = _grouped(_opened(backbone))
    with torch.no_grad():
        try:
            expected = backbone(probe)
            if not isinstance(expected, Tensor):  # a model of transformers
                return None
            expected, found = expected.flatten(1), nn.Sequential(*blocks)(probe).flatten(1)
        except NO_CHAIN:  # it asks for more than a photo, or what lies between children is missing
            return None
    if found.shape != expected.shape:
        return None
    largest = expected.abs().max().clamp_min(1e-6)
    return Blocks(blocks) if (found - expected).abs().max() <= TOLERANCE * largest else None


def _opened(module: nn.Module) -> list[nn.Module]:
    """The module's children in order, sequences among them opened."""
    found: list[nn.Module] = []
    for child in module.children():
        found += _opened(child) if isinstance(child, nn.Sequential) else [child]
    return found


def _grouped(modules: list[nn.Module]) -> tuple[nn.Sequential, ...]:
    """Each module with weights together with the norms and weightless ones that follow it."""
    groups: list[list[nn.Module]] = []
    for module in modules:
        if not groups or _has_weights(module):
            groups.append([])
        groups[-1].append(module)
    return tuple(nn.Sequential(*group) for group in groups)


def _has_weights(module: nn.Module) -> bool:
    """Whether it has a matrix or a filter: a norm has vectors alone."""
    return any(parameter.ndim > 1 for parameter in module.parameters())
