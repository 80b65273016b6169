"""Similarities of a small catalogue's items, kept from request to request.

People's histories overlap, and an item's products with all items do not depend on who chose it:
each is made when it is first needed and holds as long as the vectors do.
"""

import threading
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from coldstart_models.siamese.scorer import SiameseScorer, Vectors

MOST_BYTES: Final = 128 * 1024**2
"""Of what is kept: some 1,600 items of six modalities. Memory is taken as rows are filled."""
KEPT: Final = 2
"""Numbers kept of a pair and modality: s, and exp(τ s); one for each of its terms."""
FLOAT_BYTES: Final = 4


class Similarities:
    """N × N products a modality, filled row by row. Safe to share between threads."""

    def __init__(self, vectors: Vectors, *, size: int) -> None:
        """Of N = `size` items."""
        self._vectors = vectors
        self._writing = threading.Lock()
        self._filled = torch.zeros(size, dtype=torch.bool)
        self._products = torch.zeros(len(vectors.values), KEPT, size, size)
        self._starts = torch.arange(KEPT * len(vectors.values))[:, None] * size
        self._temperatures: list[float] = []

    @property
    def plain(self) -> Tensor:
        """(M, N, N): s"""
        return self._products[:, 0]

    @classmethod
    def of(cls, vectors: Vectors) -> "Similarities | None":
        """None where the items are too many."""
        size = len(next(iter(vectors.present.values())))
        taken = KEPT * FLOAT_BYTES * len(vectors.values) * size**2
        return cls(vectors, size=size) if taken <= MOST_BYTES else None

    def summed(self, rows: Tensor, weights: Tensor) -> Tensor:
        """(T, N): Σ_h ω_h s_h and Σ_h ω_h exp(τ s_h) of each modality, in the order of the terms.

        Args:
            rows: (H,) of events that are filled.
            weights: (M, H) ω.
        """
        return functional.embedding_bag(
            self._starts + rows,
            self._products.flatten(0, 2),
            per_sample_weights=weights.repeat_interleave(KEPT, dim=0),
            mode="sum",
        )

    def require(self, scorer: SiameseScorer, rows: Tensor) -> None:
        """Fill what is missing of the rows (H,)."""
        if self._temperatures and bool(self._filled[rows].all()):
            return
        with self._writing:
            temperatures = scorer.temperatures.tolist()
            if temperatures != self._temperatures:
                self._filled.zero_()
                self._temperatures = temperatures
            missing = rows[~self._filled[rows]]
            if not len(missing):
                return
            for place, name in enumerate(scorer.widths):
                values = self._vectors.values[name]
                found = values[missing] @ values.T
                self._products[place, 0, missing] = found
                self._products[place, 1, missing] = (found * temperatures[place]).exp_()
            self._filled[missing] = True
