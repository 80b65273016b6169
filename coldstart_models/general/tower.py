"""The general tower: from an encoder's space to one in which people of many shops choose together.

    z = unit(x + gelu(x U) V),    x = unit(A unit(e − μ))

with e an encoder's output, μ the mean over the shop's own warm items, which takes out what all of a
shop's listings share, and A the general metric at the shop (`metric`). V = 0 at the start: the
untrained tower is content similarity in that metric, so training starts no worse, and decay pulls
it back there.
"""

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

TEXT: Final = "text"
PHOTO: Final = "photo"
HIDDEN: Final = 128
"""Numbers of the inner layer."""


class GeneralTower(nn.Module):
    """One residual layer a modality. Shapes: N items, D_m width of modality m."""

    def __init__(self, widths: dict[str, int], *, generator: torch.Generator | None = None) -> None:
        """
        Args:
            widths: modality → width of its encoder's output.
            generator: draws U; by default U is 0, to be loaded.
        """
        super().__init__()
        self.widths = dict(widths)
        self.inner = nn.ParameterDict()
        self.outer = nn.ParameterDict()
        for name, width in self.widths.items():
            scale = width**-0.5
            drawn = torch.zeros(width, HIDDEN)
            if generator is not None:
                drawn = torch.randn(width, HIDDEN, generator=generator) * scale
            self.inner[name] = nn.Parameter(drawn)
            self.outer[name] = nn.Parameter(torch.zeros(HIDDEN, width))

    def forward(self, name: str, centred: Tensor) -> Tensor:
        """(N, D_m) unit rows from centred unit rows; a zero row stays zero."""
        moved = centred + functional.gelu(centred @ self.inner[name]) @ self.outer[name]
        return functional.normalize(moved, dim=1, eps=1e-8)
