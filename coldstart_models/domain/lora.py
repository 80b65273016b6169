"""Low-rank changes of linear layers: W + (α/r) B A, with W kept and A, B learned.

Hu et al., "LoRA" (ICLR 2022), section 4.1: A starts random and B at zero, so that learning starts
at the pretrained model. :func:`merge` adds the product to W: a saved encoder has no trace of it.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from coldstart_models.errors import ConfigError

SCALE = 2.0
"""α/r"""


class LowRank(nn.Module):
    """A linear layer with a change of low rank."""

    def __init__(self, linear: nn.Linear, *, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        self.linear = linear.requires_grad_(False)
        bound = 1 / math.sqrt(linear.in_features)
        start = torch.empty(rank, linear.in_features).uniform_(-bound, bound, generator=generator)
        weight = linear.weight
        self.down = nn.Parameter(start.to(weight.device))  # A: (r, in)
        self.up = nn.Parameter(torch.zeros(linear.out_features, rank, device=weight.device))  # B

    @property
    def weight(self) -> Tensor:
        """(out, in): as attention reads it that does not call its layers."""
        return self.linear.weight + SCALE * self.up @ self.down

    @property
    def bias(self) -> Tensor | None:
        """(out,)"""
        return self.linear.bias

    def forward(self, inputs: Tensor) -> Tensor:
        """(…, in) to (…, out)"""
        change = nn.functional.linear(nn.functional.linear(inputs, self.down), self.up)
        found: Tensor = self.linear(inputs) + SCALE * change
        return found

    def merged(self) -> nn.Linear:
        """The linear layer with the change added to its weight."""
        with torch.no_grad():
            self.linear.weight.copy_(self.weight)
        return self.linear


def add_low_rank(
    module: nn.Module, *, rank: int, generator: torch.Generator, layers: Sequence[str] = ()
) -> list[str]:
    """Replace the module's linear layers by ones that learn a change; the names of those.

    Everything else in the module is frozen.

    Args:
        layers: parts of names, such as ``query``; all linear layers where none is given.

    Raises:
        ConfigError: the module has no such layer.
    """
    named = [
        name
        for name, one in module.named_modules()
        if isinstance(one, nn.Linear) and (not layers or any(part in name for part in layers))
    ]
    if not named:
        raise ConfigError(
            f"the encoder has no linear layer{' named ' + ', '.join(layers) if layers else ''} "
            "that a low-rank change could be learned for; unfreeze blocks instead"
        )
    module.requires_grad_(False)
    for name in named:
        linear = module.get_submodule(name)
        assert isinstance(linear, nn.Linear)
        module.set_submodule(name, LowRank(linear, rank=rank, generator=generator))
    return named


def merge(module: nn.Module) -> None:
    """Put linear layers back in place of the changed ones, their changes added."""
    for name, one in list(module.named_modules()):
        if isinstance(one, LowRank):
            module.set_submodule(name, one.merged())
