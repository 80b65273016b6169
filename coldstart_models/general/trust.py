"""How far a shop's own training is trusted: less, the less its log says of what goes together.

A shop whose items were chosen beside n others on average, counted person by person, keeps

    θ = θ₀ + n / (n + κ) · (θ_trained − θ₀)

of what its training moved, with θ₀ the general start. On a tenth of a small log, held-out items of
the same few people are too easy to fit: on two cuts of a furniture catalogue, training to their
liking lost a sixth to a fifth of the untrained NDCG@10 on the items that were really new. It is the
closed form of a quadratic pull towards the start (L2-SP, Li et al., ICML 2018) whose strength κ
counts in choices.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from torch import Tensor

from coldstart_models.data.interactions import Interactions

HALF: Final = 10.0
"""κ; chosen by looking at a furniture catalogue with all, a third and a tenth of its events."""


def companions_per_item(log: Interactions) -> float:
    """n: how many choices of others an item was chosen beside, a mean over the chosen items."""
    chosen = log.matrix()
    per_user = np.asarray(chosen.getnnz(axis=1), np.float64)
    items = int((chosen.getnnz(axis=0) > 0).sum())
    return float((per_user * (per_user - 1)).sum() / max(1, items))


def trust(log: Interactions, *, half: float = HALF) -> float:
    """n / (n + κ), from 0 to below 1."""
    companions = companions_per_item(log)
    return companions / (companions + half)


def drawn_back(
    start: Mapping[str, Tensor], trained: Mapping[str, Tensor], *, share: float
) -> dict[str, Tensor]:
    """The scorer's parameters that far from the start; all else of a network as trained."""
    return {
        name: start[name] + share * (values - start[name]) if name.startswith("scorer.") else values
        for name, values in trained.items()
    }
