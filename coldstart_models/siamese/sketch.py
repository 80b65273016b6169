"""Finding the few listings of very many that may be a person's best, before these are scored.

A score is a sum over history events and modalities. Each item's vectors, stretched by what their
modality weighs and laid side by side, x, are kept as a few numbers on the leading axes of such
vectors, beside which modalities it has and its expected popularity. The events, grouped into
`QUERIES` groups g, give one linear score each,

    ŷ_g(c) = Σ_m (w_avg <p, z_c> / σ + w_near (<z_g, z_c> + 1/τ log ω_g) / σ − presence · w μ / σ)

of which an item's largest counts: the nearest term is a soft maximum over events, so the group an
item is nearest to stands for the others. All sketches are multiplied, none is skipped by an index:
filters hold as they do elsewhere, and a new listing is one row more. What is found so is scored
exactly.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from coldstart_models.data.catalogue import FloatMatrix, IntArray
from coldstart_models.siamese.scorer import Calibration, SiameseScorer
from coldstart_models.siamese.sight import Past

LARGE: Final = 20_000
"""Candidates above which the best are looked for among sketches first."""
AXES: Final = 96
QUERIES: Final = 8
"""Groups of a history's events."""
MOST: Final = 3_000
"""Candidates that are scored exactly, at least."""
SAMPLE: Final = 8_192
"""Items that the axes are fitted on."""
BLOCK: Final = 65_536
ROUNDS: Final = 5
"""Of grouping events."""


@dataclass(frozen=True, slots=True)
class Sketch:
    """N items in few numbers."""

    widths: tuple[int, ...]
    """M: D_m."""
    axes: Tensor
    """(ΣD_m, AXES) orthonormal columns,"""
    stretch: Tensor
    """(ΣD_m,) and what each number is multiplied by before."""
    matrix: FloatMatrix
    """(N, AXES + M + 1): on the axes, which modalities there are, the expected popularity."""

    @classmethod
    @torch.inference_mode()
    def fit(cls, scorer: SiameseScorer, rows: FloatMatrix) -> "Sketch":
        """Of rows (N, ΣD_m + 1) of `item_vector`."""
        sample = np.ascontiguousarray(rows[:: max(1, len(rows) // SAMPLE), :-1])
        stretch = _stretch(scorer, torch.from_numpy(sample))
        stretched = torch.from_numpy(sample) * stretch
        _, vectors = torch.linalg.eigh(stretched.T @ stretched)
        axes = vectors[:, -min(AXES, vectors.shape[1]) :].contiguous()
        widths = tuple(scorer.widths.values())
        fitted = cls(widths, axes, stretch, np.zeros((0, 0), np.float32))
        return replace(fitted, matrix=fitted.of(rows))

    @torch.inference_mode()
    def of(self, rows: FloatMatrix) -> FloatMatrix:
        """The sketches of rows of `item_vector`."""
        bounds = np.cumsum([0, *self.widths])
        count, width = len(self.widths), self.axes.shape[1]
        made = np.empty((len(rows), width + count + 1), np.float32)
        turned = self.stretch[:, None] * self.axes
        for first in range(0, len(rows), BLOCK):
            block = np.ascontiguousarray(rows[first : first + BLOCK])
            to = made[first : first + BLOCK]
            to[:, :width] = (torch.from_numpy(block[:, :-1]) @ turned).numpy()
            for place, (start, end) in enumerate(pairwise(bounds.tolist())):
                to[:, width + place] = (block[:, start:end] != 0).any(axis=1)
            to[:, -1] = block[:, -1]
        return made

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
        queries, offsets = self._queries(scorer, past, calibration)
        some = 4 * len(rows) < len(self.matrix)
        matrix = self.matrix[rows] if some else self.matrix
        scores = np.empty(len(matrix), np.float32)
        for first in range(0, len(matrix), BLOCK):
            block = torch.from_numpy(matrix[first : first + BLOCK])
            found = (block @ queries.T + offsets).amax(dim=1)
            scores[first : first + BLOCK] = found.numpy()
        if not some and len(rows) < len(matrix):
            scores = scores[rows]
        scores[lifted[1]] += lifted[0].numpy()
        return np.sort(rows[np.argpartition(scores, -most)[-most:]])

    def _queries(
        self, scorer: SiameseScorer, past: Past, calibration: Calibration
    ) -> tuple[Tensor, Tensor]:
        """(G, AXES + M + 1) linear scores and what each adds (G,)."""
        weights = scorer.term_weights / calibration.deviation[0, 0]
        average, nearest = weights.reshape(-1, 2).T
        mean = (weights * calibration.mean[0, 0]).reshape(-1, 2).sum(dim=1)
        temperatures = torch.stack([scorer.temperature(name) for name in scorer.widths])
        known = torch.tensor(past.known)
        groups = _groups(torch.cat(past.values, dim=1) * self.stretch, past.weights.mean(dim=0))
        linear, offsets = [], []
        for group in groups:
            parts, added = [], 0.0
            for place, values in enumerate(past.values):
                own = past.weights[place]
                inside = own[group]
                mass = float(inside.sum())
                middle = inside @ values[group] / mass if mass > 0 else values[0] * 0.0
                parts.append(average[place] * (own @ values) + nearest[place] * middle)
                if mass > 0:
                    added += float(nearest[place] / temperatures[place]) * float(np.log(mass))
            linear.append(torch.cat(parts))
            offsets.append(added)
        turned = (torch.stack(linear) / self.stretch.clamp_min(1e-12)) @ self.axes
        presence = (-mean * known).expand(len(turned), -1)
        popular = scorer.prior_weight / calibration.prior_deviation
        queries = torch.cat([turned, presence, popular.expand(len(turned), 1)], dim=1)
        return queries, torch.tensor(offsets)

    def rearranged(
        self, stay: npt.NDArray[np.bool_], added: FloatMatrix, order: IntArray
    ) -> "Sketch":
        """Of the items that stay and of added rows of `item_vector`, in an order."""
        return replace(self, matrix=np.concatenate([self.matrix[stay], self.of(added)])[order])

    def where(self, stay: npt.NDArray[np.bool_]) -> "Sketch":
        """Of the items that stay."""
        return replace(self, matrix=self.matrix[stay])


def _stretch(scorer: SiameseScorer, sample: Tensor) -> Tensor:
    """(ΣD_m,) √a_m, with a_m what a unit of a modality's similarity is worth in a score."""
    blocks = []
    weights = scorer.term_weights.reshape(-1, 2).abs().sum(dim=1)
    for place, block in enumerate(torch.split(sample, list(scorer.widths.values()), dim=1)):
        present = block[(block != 0).any(dim=1)]
        some, others = present[::2][:512], present[1::2][:512]
        spread = float((some @ others.T).std()) if min(len(some), len(others)) > 1 else 1.0
        worth = float(weights[place]) / max(spread, 1e-3)
        blocks.append(torch.full((block.shape[1],), max(worth, 1e-6) ** 0.5))
    return torch.cat(blocks)


def _groups(events: Tensor, weights: Tensor) -> list[Tensor]:
    """Up to `QUERIES` groups of similar events: places of the events in each.

    Centres begin at the heaviest event and then at whichever is farthest from those before.
    """
    if len(events) <= QUERIES:
        return [torch.tensor([place]) for place in range(len(events))]
    chosen = [int(weights.argmax())]
    nearest = (events - events[chosen[0]]).square().sum(dim=1)
    for _ in range(QUERIES - 1):
        chosen.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, (events - events[chosen[-1]]).square().sum(dim=1))
    centres = events[chosen]
    labels = torch.cdist(events, centres).argmin(dim=1)
    for _ in range(ROUNDS):
        centres = torch.stack(
            [
                events[labels == group].mean(dim=0) if (labels == group).any() else centres[group]
                for group in range(QUERIES)
            ]
        )
        labels = torch.cdist(events, centres).argmin(dim=1)
    found = [torch.nonzero(labels == group)[:, 0] for group in range(QUERIES)]
    return [group for group in found if len(group)]
