"""The inner loop that MAML, ANIL and Reptile share: a listing's own parameters and their descent.

A listing is seen through θ = (a, g, u), a and g starting at what is shared and u at zero:

    h = a ∘ ζ + u                what its content ζ leads to expect of its customers, and more
    v = g ∘ h                    the vector, through gates g: how much each axis tells
    f_θ(ψ) = <ψ, v>

The support loss contrasts the k customers with everybody, whose whitened profiles are taken as
standard normal, so that the log of the softmax's sum over everybody is known in closed form:

    L(θ) = − mean_s log ( exp<ψ_s, v> / E_u exp<ψ_u, v> ) = ½|v|² − <ψ̄, v>

Where nothing is known of a modality, its part is missing. The scorer stands for f at the start:
what support adds is the change f_θ' − f_θ.
"""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from coldstart_models.siamese.learners.evidence import Evidence

INNER_STEPS: Final = 3
LARGEST: Final = 3.0
"""Gradients are cut there: one customer with a short history may stand far from everybody."""


@dataclass(frozen=True, slots=True)
class Start:
    """What is shared: where every listing begins."""

    expected: Tensor
    """(M, R): a."""
    gates: Tensor
    """(M, R): g."""


@dataclass(frozen=True, slots=True)
class Slope:
    """Of C listings: the sums of the inner loop's gradients, each (C, M, R)."""

    expected: Tensor
    gates: Tensor
    head: Tensor


@torch.no_grad()
def slope_along(
    start: Start,
    evidence: Evidence,
    *,
    rates: Tensor,
    body: bool,
    steps: int = INNER_STEPS,
) -> Slope:
    """Descend on each listing's support and sum up the gradients met.

    Args:
        rates: (C, M) of each listing and modality.
        body: whether a and g move too (MAML), or the head u alone (ANIL).
    """
    rate, known = rates[..., None], (evidence.known > 0)[..., None]
    zero = torch.zeros_like(evidence.profile)
    total = {name: zero.clone() for name in ("expected", "gates", "head")}
    for _ in range(steps):
        expected = start.expected - rate * total["expected"]
        gates = start.gates - rate * total["gates"]
        inside = expected * evidence.content - rate * total["head"]
        residual = (gates * inside - evidence.profile) * known  # ∂L/∂v
        total["head"] += (gates * residual).clamp(-LARGEST, LARGEST)
        if body:
            total["expected"] += (gates * residual * evidence.content).clamp(-LARGEST, LARGEST)
            total["gates"] += (inside * residual).clamp(-LARGEST, LARGEST)
    return Slope(total["expected"], total["gates"], total["head"])


def moved(start: Start, slope: Slope, evidence: Evidence, rates: Tensor) -> Tensor:
    """(C, M, R): v after the inner loop less v before; the slope is a constant."""
    rate = rates[..., None]
    inside = (start.expected - rate * slope.expected) * evidence.content - rate * slope.head
    after = (start.gates - rate * slope.gates) * inside
    return after - start.gates * start.expected * evidence.content
