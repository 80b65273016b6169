"""A batch of vectors against the catalogue's: does it come from the same place?

Shapes: N vectors of the batch, M of the reference, D numbers each.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import stats

FloatMatrix = npt.NDArray[np.float32]

COMPONENTS: Final = 16
"""Directions of the reference's largest variance that the samples are compared along."""
ENOUGH: Final = 100
"""Vectors on either side from which a comparison says something."""
SIGNIFICANT: Final = 0.001
LARGE_EFFECT: Final = 0.2
"""Kolmogorov–Smirnov distance from which drift matters: a fifth of the batch has moved."""
COLLAPSED: Final = 0.98
"""Mean cosine of two vectors of one batch from which an encoder says the same of everything."""
NEIGHBOURS: Final = 5
FAR_QUANTILE: Final = 0.999
"""A vector is far out if it is farther from its neighbours than this share of the reference."""
REFERENCE_ROWS: Final = 5_000
"""Of a larger reference an evenly spread sample is taken."""
ROWS_AT_ONCE: Final = 1_024


@dataclass(frozen=True, slots=True)
class Drift:
    """Two-sample Kolmogorov–Smirnov tests along the reference's principal directions."""

    effect: float
    """Largest distance between the two distribution functions, 0 to 1."""
    p_value: float
    """Of the most significant direction, corrected for their number (Bonferroni)."""

    @property
    def matters(self) -> bool:
        """Significant, and large enough to act on."""
        return self.p_value < SIGNIFICANT and self.effect >= LARGE_EFFECT


def drift(batch: FloatMatrix, reference: FloatMatrix) -> Drift | None:
    """Whether the batch (N, D) is drawn from what the reference (M, D) was; None for too few."""
    if min(len(batch), len(reference)) < ENOUGH:
        return None
    known = thinned(reference).astype(np.float64)
    centre = known.mean(axis=0)
    _, _, directions = np.linalg.svd(known - centre, full_matrices=False)
    along = directions[:COMPONENTS].T  # (D, P)
    ours, theirs = (batch - centre) @ along, (known - centre) @ along
    tests = [stats.ks_2samp(ours[:, one], theirs[:, one]) for one in range(along.shape[1])]
    effect = max(float(test.statistic) for test in tests)
    smallest = min(float(test.pvalue) for test in tests)
    return Drift(effect, min(1.0, smallest * len(tests)))


def mean_cosine(batch: FloatMatrix) -> float:
    """Mean cosine of two different vectors (N, D); 0 for fewer than two."""
    if len(batch) < 2:
        return 0.0
    unit = _unit(batch).astype(np.float64)
    count = len(unit)
    together = float(np.square(unit.sum(axis=0)).sum())
    return (together - count) / (count * (count - 1))


def far_out(batch: FloatMatrix, reference: FloatMatrix) -> npt.NDArray[np.float64]:
    """(N,) share of the reference that lies nearer to its neighbours than each vector does.

    The distance is one minus the mean cosine with the NEIGHBOURS nearest others (Sun et al.,
    ICML 2022, use the k-th). All zeros where the reference is too small to say.
    """
    if len(reference) < ENOUGH:
        return np.zeros(len(batch))
    known = _unit(thinned(reference))
    usual = np.sort(_distance(known, known, itself=True))
    ours = _distance(_unit(batch), known, itself=False)
    return np.searchsorted(usual, ours, side="left") / len(usual)


def thinned(reference: FloatMatrix) -> FloatMatrix:
    """An evenly spread sample of at most REFERENCE_ROWS rows."""
    return reference[:: -(-len(reference) // REFERENCE_ROWS) or 1]


def _unit(vectors: FloatMatrix) -> FloatMatrix:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)


def _distance(rows: FloatMatrix, known: FloatMatrix, *, itself: bool) -> npt.NDArray[np.float64]:
    """(N,) distance of unit rows to their nearest known ones, not counting themselves."""
    parts = []
    for start in range(0, len(rows), ROWS_AT_ONCE):
        alike = rows[start : start + ROWS_AT_ONCE] @ known.T
        if itself:
            alike[np.arange(len(alike)), np.arange(start, start + len(alike))] = -np.inf
        nearest = np.partition(alike, -NEIGHBOURS, axis=1)[:, -NEIGHBOURS:]
        parts.append(1.0 - nearest.mean(axis=1, dtype=np.float64))
    return np.concatenate(parts) if parts else np.zeros(0)
