"""Finding the few listings of very many that may be a person's best, before these are scored.

Each modality's vectors are kept a second time on their leading axes, in a few numbers instead of
hundreds. A person is scored against all of them by the formula that scores listings, with these
short vectors in place of the whole ones; what comes out best is then scored exactly. No index skips
any listing: filters hold as they do elsewhere, and a new listing is one row more.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from coldstart_models.data.catalogue import FloatMatrix, IntArray
from coldstart_models.siamese.packing import unpack
from coldstart_models.siamese.scorer import Calibration, SiameseScorer, Vectors
from coldstart_models.siamese.sight import Past, Sight

LARGE: Final = 20_000
"""Candidates above which the best are looked for among sketches first."""
AXES: Final = 32
"""Of each modality; a narrower one keeps its width."""
MOST: Final = 3_000
"""Candidates that are scored exactly, at least."""
SAMPLE: Final = 8_192
"""Items that the axes are fitted on."""
BLOCK: Final = 8_192
"""Listings looked at together: what is made of them stays in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Sketch:
    """N items in few numbers."""

    widths: dict[str, int]
    """Modality → D_m."""
    axes: dict[str, Tensor]
    """Modality → (D_m, A_m) orthonormal columns."""
    vectors: Vectors
    """Modality → (N, A_m) on the axes."""
    prior: npt.NDArray[np.float32]
    """(N,) expected log popularity."""

    @classmethod
    @torch.inference_mode()
    def fit(cls, widths: dict[str, int], rows: FloatMatrix) -> "Sketch":
        """Of rows (N, ΣD_m + 1) of `item_vector`."""
        sample, _ = unpack(np.ascontiguousarray(rows[:: max(1, len(rows) // SAMPLE)]), widths)
        axes = {}
        for name, values in sample.values.items():
            _, found = torch.linalg.eigh(values.T @ values)
            axes[name] = found[:, -min(AXES, found.shape[1]) :].contiguous()
        empty = cls(widths, axes, Vectors({}, {}), np.zeros(0, np.float32))
        return empty.of(rows)

    @property
    def nbytes(self) -> int:
        return sum(values.nbytes for values in self.vectors.values.values())

    @torch.inference_mode()
    def of(self, rows: FloatMatrix) -> "Sketch":
        """Of other rows, on the same axes."""
        vectors, prior = unpack(rows, self.widths)
        values = {
            name: torch.cat([part @ self.axes[name] for part in torch.split(whole, BLOCK)])
            for name, whole in vectors.values.items()
        }
        return replace(self, vectors=Vectors(values, vectors.present), prior=prior)

    @torch.inference_mode()
    def best(
        self,
        scorer: SiameseScorer,
        past: Past,
        calibration: Calibration,
        rows: IntArray,
        *,
        most: int,
        lifted: tuple[Tensor, IntArray],
    ) -> IntArray:
        """The candidates among rows (C,), ascending, that may be the best, ascending.

        Args:
            lifted: (L,) what first customers add to scores, and to which of the C.
        """
        events = [
            values @ self.axes[name] for name, values in zip(past.names, past.values, strict=True)
        ]
        scores = np.empty(len(rows), np.float32)
        for first in range(0, len(rows), BLOCK):
            at = rows[first : first + BLOCK]
            block, prior = self._between(at)
            values, exists = Sight.of(scorer, past, block, events=events).batch()
            found = scorer.combine(values, exists, prior, calibration)
            scores[first : first + BLOCK] = found[0].numpy()
        scores[lifted[1]] += lifted[0].numpy()
        return np.sort(rows[np.argpartition(scores, -most)[-most:]])

    def _between(self, rows: IntArray) -> tuple[Vectors, Tensor]:
        """Vectors and priors of rows, ascending; of a gapless run of rows no copy is made."""
        first, last = int(rows[0]), int(rows[-1])
        if last - first + 1 == len(rows):
            run = slice(first, last + 1)
            block = Vectors(
                {name: values[run] for name, values in self.vectors.values.items()},
                {name: present[run] for name, present in self.vectors.present.items()},
            )
            return block, torch.from_numpy(self.prior[run])
        return self.vectors.take(torch.from_numpy(rows)), torch.from_numpy(self.prior[rows])

    @torch.inference_mode()
    def rearranged(
        self, stay: npt.NDArray[np.bool_], added: FloatMatrix, order: IntArray
    ) -> "Sketch":
        """Of the items that stay and of added rows of `item_vector`, in an order."""
        kept, new = self.where(stay), self.of(added)
        at = torch.from_numpy(order)
        values = {
            name: torch.cat([old, new.vectors.values[name]])[at]
            for name, old in kept.vectors.values.items()
        }
        present = {
            name: torch.cat([old, new.vectors.present[name]])[at]
            for name, old in kept.vectors.present.items()
        }
        prior = np.concatenate([kept.prior, new.prior])[order]
        return replace(self, vectors=Vectors(values, present), prior=prior)

    @torch.inference_mode()
    def where(self, stay: npt.NDArray[np.bool_]) -> "Sketch":
        """Of the items that stay."""
        rows = np.flatnonzero(stay)
        kept = self.vectors.take(torch.from_numpy(rows))
        return replace(self, vectors=kept, prior=self.prior[rows])
