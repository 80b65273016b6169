"""Similarities of a small catalogue's items, kept from request to request.

People's histories overlap, and an item's products with all items do not depend on who chose it:
each is made when it is first needed and holds as long as the vectors do.
"""

import threading
from typing import Final

import torch
from torch import Tensor

from coldstart_models.siamese.scorer import LARGEST_LOG_TEMPERATURE, SiameseScorer, Vectors

MOST_BYTES: Final = 128 * 1024**2
"""Of what is kept: some 1,600 items of six modalities. Memory is taken as rows are filled."""
KEPT: Final = 2
"""Numbers kept of a pair and modality: s, and exp(τ s)."""
FLOAT_BYTES: Final = 4


class Similarities:
    """N × N products a modality, filled row by row. Safe to share between threads."""

    def __init__(self, vectors: Vectors, *, size: int) -> None:
        """Of N = `size` items."""
        self._vectors = vectors
        self._writing = threading.Lock()
        self._filled = torch.zeros(size, dtype=torch.bool)
        shape = (len(vectors.values), size, size)
        self.plain, self.mixed = torch.zeros(shape), torch.zeros(shape)
        self._temperatures: list[float] = []

    @classmethod
    def of(cls, vectors: Vectors) -> "Similarities | None":
        """None where the items are too many."""
        size = len(next(iter(vectors.present.values())))
        taken = KEPT * FLOAT_BYTES * len(vectors.values) * size**2
        return cls(vectors, size=size) if taken <= MOST_BYTES else None

    def require(self, scorer: SiameseScorer, rows: Tensor) -> None:
        """Fill what is missing of the rows (H,)."""
        if self._temperatures and bool(self._filled[rows].all()):
            return
        with self._writing:
            logs = scorer.log_temperature.clamp_max(LARGEST_LOG_TEMPERATURE)
            temperatures = logs.exp().tolist()
            if temperatures != self._temperatures:
                self._filled.zero_()
                self._temperatures = temperatures
            missing = rows[~self._filled[rows]]
            if not len(missing):
                return
            for place, name in enumerate(scorer.widths):
                values = self._vectors.values[name]
                found = values[missing] @ values.T
                self.plain[place, missing] = found
                self.mixed[place, missing] = (found * temperatures[place]).exp_()
            self._filled[missing] = True
