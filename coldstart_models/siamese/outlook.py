"""What a person's past is to one kind of listings.

With the names of `siamese.scorer`, and c the mean of a kind's vectors in one modality, T events are
kept, first those that are of this kind themselves or nearly, then those nearest to c. The others N
become one term that is linear in z:

    Σ_h ω_h exp(τ s_h(z)) ≈ Σ_{h in T} ω_h exp(τ s_h(z)) + exp(τ (<g, z> + b))
    g = Σ_{h in N} p_h z_h,    p_h ∝ ω_h exp(τ s_h(c)),    b so that it is right at z = c

so that a listing is multiplied with T + 2 vectors, however long the past is: with those events, g
and the past's average. What is nearly one of the past's items is of its kind, and is seen beside
the item itself.
"""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from coldstart_models.siamese.scorer import Calibration, SiameseScorer
from coldstart_models.siamese.shelves import Kinds
from coldstart_models.siamese.sight import Past

LEAST: Final = 1e-30
"""What a sum is taken for where nothing is left to add."""
OWN: Final = 2
"""Kinds that an event counts as one of: its own, and the next."""
FIRST: Final = 1_000.0
"""Above what any event's weight and similarity come to."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """One modality's part of the scores, kind by kind."""

    directions: Tensor
    """(K, T + 2, D): T events and g, times τ, and the past's average times its weight."""
    offsets: Tensor
    """(T + 1, K): what is added to the products with events and g: log ω_h and τ b."""
    level: float
    """What the usual terms take from every listing."""
    nearest: float
    """Weight of the nearest term, over its deviation and τ."""

    @classmethod
    def of(
        cls,
        scorer: SiameseScorer,
        past: Past,
        calibration: Calibration,
        *,
        place: int,
        kinds: Kinds,
        near: int,
    ) -> "Outlook":
        """Of the modality at a place, about the means of its kinds.

        Args:
            near: T, at most.
        """
        terms = slice(2 * place, 2 * place + 2)
        average, nearest = (
            scorer.term_weights[terms] / calibration.deviation[0, 0, terms]
        ).tolist()
        usual = calibration.mean[0, 0, terms].tolist()
        temperature = float(scorer.temperatures[place])
        values, weights = past.values[place], past.weights[place]
        centres = kinds.centres
        similar = centres @ values.T  # (K, H)
        mixed = weights * (temperature * similar).exp()
        first = FIRST * kinds.near(values, OWN).T + mixed.log()
        events = first.topk(min(near, len(values)), dim=1).indices
        rest = mixed.scatter(1, events, 0.0)
        total = rest.sum(dim=1, keepdim=True)
        share = rest / total.clamp_min(LEAST)
        bend = total.clamp_min(LEAST).log()
        bend -= temperature * (share * similar).sum(dim=1, keepdim=True)
        seen = temperature * torch.cat([values[events], (share @ values)[:, None]], dim=1)
        profile = (average * weights @ values).expand(len(centres), 1, -1)
        return cls(
            torch.cat([seen, profile], dim=1),
            torch.cat([weights[events].log(), bend], dim=1).T.contiguous(),
            nearest * usual[1] + average * usual[0],
            nearest / temperature,
        )

    def part(self, products: Tensor, counts: Tensor) -> Tensor:
        """(n,) of listings that stand kind by kind.

        Args:
            products: (T + 2, n) with their kinds' directions; written into.
            counts: (K,) how many are of each kind.
        """
        near = products[:-1].add_(self.offsets.repeat_interleave(counts, dim=1))
        found = near.exp_().sum(dim=0).clamp_min_(LEAST).log_()
        return found.mul_(self.nearest).add_(products[-1]).sub_(self.level)
