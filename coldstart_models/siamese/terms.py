"""The scorer's terms of one person and some candidates, computed once for all that uses them."""

from dataclasses import dataclass

import torch

from coldstart_models.data.catalogue import IntArray
from coldstart_models.siamese.scorer import Calibration


@dataclass(frozen=True, slots=True)
class Terms:
    """Raw terms of one person and C candidates."""

    values: torch.Tensor
    """(1, C, T)"""
    exists: torch.Tensor
    """(1, C, T)"""
    prior: torch.Tensor
    """(C,)"""
    calibration: Calibration

    @torch.inference_mode()
    def features(self, columns: IntArray | None = None) -> torch.Tensor:
        """(C, T + 1): what the weights weigh, of all candidates or of some."""
        chosen = slice(None) if columns is None else torch.from_numpy(columns)
        return self.calibration.features(
            self.values[:, chosen], self.exists[:, chosen], self.prior[chosen]
        )[0]
