"""Trust in few customers: it rises with their number, whatever is learned."""

from typing import Final

import torch
from torch import Tensor, nn

INITIAL: Final = 15.0
"""Customers at which an adaptation counts 1/√2 of what it would with endlessly many."""
STIFFNESS: Final = 0.01


class Trust(nn.Module):
    """√(k / (k + κ)): from 0 without a customer toward 1, for any κ > 0."""

    def __init__(self, initial: float = INITIAL) -> None:
        super().__init__()
        self.start = float(torch.tensor(initial).log())
        self.log_trust = nn.Parameter(torch.tensor(self.start))

    def forward(self, count: Tensor) -> Tensor:
        """Of numbers of customers, in their shape."""
        shares = count / (count + self.log_trust.exp())
        return torch.where(count > 0, shares.clamp_min(1e-12).sqrt(), torch.zeros_like(shares))

    def penalty(self) -> Tensor:
        """Of a κ far from where it started: rehearsals are too few to say much of it."""
        return STIFFNESS * (self.log_trust - self.start).square()
