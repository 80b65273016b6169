"""The losses of one step, on a batch of the target's rows and one of the source's.

Shapes: R rows of a batch, S of the source's batch, D of a vector.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from coldstart_models.data.catalogue import BoolArray, FloatMatrix, IntArray
from coldstart_models.domain.aims import (
    CROSS_ENTROPY,
    LABELS,
    NEIGHBOURS,
    PAIRS,
    SOURCE,
    VIEWS,
    Aims,
)
from coldstart_models.domain.alignment import CORAL, DANN, DomainCritic, coral, dann_strength
from coldstart_models.domain.contrast import (
    CONTRASTS,
    positives_contrast,
    supervised_contrast,
)
from coldstart_models.domain.towers import Tower
from coldstart_models.processes import ALONE, Processes
from coldstart_models.retrieval import nearest_others, unit

KEEP: Final = "keep"
VIEW_TEMPERATURE: Final = 0.1
LABEL_TEMPERATURE: Final = 0.1
NEAREST: Final = 5
"""Who is among each other's nearest so many are neighbours."""


@dataclass(frozen=True, slots=True)
class Teaching:
    """What is known of N rows; towers and labels share their numbers."""

    labels: IntArray
    """(N,) of the target's categories; negative without."""
    source_labels: IntArray
    """(N,) of the source's classes; negative without."""
    titles: IntArray
    """(N,) numbers of the titles: listings that share one are each other's right answer."""
    start: FloatMatrix
    """(T, D) the vectors of the target's rows that learning started from."""
    neighbours: dict[int, IntArray]
    """Row → rows; empty where no neighbours are learned from."""


class Objectives(nn.Module):
    """The losses, with the parameters that they have of their own."""

    def __init__(
        self,
        aims: Aims,
        teaching: Teaching,
        *,
        photo: Tower | None,
        text: Tower | None,
        generator: torch.Generator,
    ) -> None:
        """`photo` learns from everything, `text` from pairs, or from labels where it is alone."""
        super().__init__()
        self.aims, self.teaching = aims, teaching
        self.photo, self.text = photo, text
        first = photo or text
        assert first is not None
        assert first.head is not None
        self.first = first
        self.contrast = CONTRASTS[aims.contrast]() if PAIRS in aims.objectives else None
        width = first.head.out_features
        self.classes: nn.Linear | None = None
        self.source_classes: nn.Linear | None = None
        if aims.supervision == CROSS_ENTROPY:
            if LABELS in aims.objectives:
                self.classes = _classifier(width, teaching.labels, generator)
            if SOURCE in aims.objectives:
                self.source_classes = _classifier(width, teaching.source_labels, generator)
        self.critic = DomainCritic(width, generator=generator) if aims.align == DANN else None
        self.start: Tensor
        self.first_coral: Tensor
        self.register_buffer("start", torch.from_numpy(unit(teaching.start)))
        self.register_buffer("first_coral", torch.zeros(()))

    def losses(
        self,
        rows: IntArray,
        source_rows: IntArray,
        *,
        progress: float,
        generator: np.random.Generator,
        processes: Processes = ALONE,
    ) -> Iterator[tuple[str, Tensor]]:
        """Each loss by name, weighted; their sum is what is learned.

        It is that of the whole batch, of whose rows each process runs its part through the towers.

        Args:
            rows: (R,) of the target, a neighbour of some among them where those are learned from.
            source_rows: (S,); none where no source takes part.
            progress: of the learning, 0 to 1.
            generator: draws the views; alike in all processes.
        """
        asked = self.aims.objectives
        views = _views(self.first, len(rows), generator)
        vectors = _vectors(self.first, rows, views, processes)
        near = functional.normalize(vectors, dim=1)
        if self.contrast is not None and self.text is not None:
            titles = functional.normalize(_vectors(self.text, rows, None, processes), dim=1)
            shared = self._tensor(self.teaching.titles[rows])
            yield PAIRS, self.contrast(near, titles, shared[:, None] == shared[None])
        if LABELS in asked:
            labels = self.teaching.labels[rows]
            yield LABELS, self._supervised(vectors, labels, self.classes)
        if VIEWS in asked or NEIGHBOURS in asked:
            again = _views(self.first, len(rows), generator, but=views)
            others = functional.normalize(_vectors(self.first, rows, again, processes), dim=1)
            both, numbers = torch.cat([near, others]), np.concatenate([rows, rows])
            if VIEWS in asked:
                same = self._tensor(numbers[:, None] == numbers[None])
                yield VIEWS, positives_contrast(both, same, temperature=VIEW_TEMPERATURE)
            if NEIGHBOURS in asked:
                together = self._tensor(self._together(numbers))
                yield NEIGHBOURS, positives_contrast(both, together, temperature=VIEW_TEMPERATURE)
        if self.aims.keep:
            kept = 1 - (near * self.start[rows]).sum(1)
            yield KEEP, self.aims.keep * kept.mean()
        if len(source_rows):
            seen = _views(self.first, len(source_rows), generator)
            of_source = _vectors(self.first, source_rows, seen, processes)
            yield from self._source_losses(vectors, of_source, source_rows, progress)

    def _source_losses(
        self, vectors: Tensor, of_source: Tensor, rows: IntArray, progress: float
    ) -> Iterator[tuple[str, Tensor]]:
        if SOURCE in self.aims.objectives:
            labels = self.teaching.source_labels[rows]
            yield SOURCE, self._supervised(of_source, labels, self.source_classes)
        if self.aims.align == CORAL:
            distance = coral(of_source, vectors)
            if not self.first_coral:  # its scale is the features': it starts at 1
                self.first_coral.copy_(distance.detach())
            yield CORAL, self.aims.align_weight * distance / self.first_coral.clamp_min(1e-12)
        if self.critic is not None:
            found = self.critic.loss(of_source, vectors, strength=dann_strength(progress))
            yield DANN, self.aims.align_weight * found

    def _supervised(
        self, vectors: Tensor, labels: IntArray, classifier: nn.Linear | None
    ) -> Tensor:
        targets = self._tensor(labels)
        near = functional.normalize(vectors, dim=1)
        if classifier is None:
            return supervised_contrast(near, targets, temperature=LABEL_TEMPERATURE)
        if not (labels >= 0).any():
            return vectors.sum() * 0.0
        logits = classifier(near / LABEL_TEMPERATURE)
        return functional.cross_entropy(logits, targets.masked_fill(targets < 0, -100))

    def _together(self, numbers: IntArray) -> BoolArray:
        """(2R, 2R) whether two rows are neighbours, or one photo."""
        found = np.asarray(numbers[:, None] == numbers[None], dtype=np.bool_)
        for place, row in enumerate(numbers):
            found[place] |= np.isin(numbers, self.teaching.neighbours.get(int(row), ()))
        return found

    def _tensor(self, values: npt.NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.first.device)


def _vectors(tower: Tower, rows: IntArray, views: IntArray | None, processes: Processes) -> Tensor:
    """(R, D) of all rows, each computed by the process whose part it is in."""
    own = processes.part(rows)
    return processes.gathered(
        tower(own, None if views is None else processes.part(views)), len(rows)
    )


def mutual_neighbours(vectors: FloatMatrix, rows: IntArray) -> dict[int, IntArray]:
    """Row → the rows that are among its NEAREST by cosine of centred vectors, and it among theirs.

    `vectors` (M, D) are of the rows (M,).
    """
    nearest = nearest_others(unit(vectors - vectors.mean(axis=0)), NEAREST)
    places = np.arange(len(rows))[:, None, None]
    mutual = (nearest[nearest] == places).any(axis=2)
    return {
        int(row): rows[np.sort(nearest[place][mutual[place]])]
        for place, row in enumerate(rows)
        if mutual[place].any()
    }


def _views(
    tower: Tower, count: int, generator: np.random.Generator, *, but: IntArray | None = None
) -> IntArray:
    """(R,) a view of each row at random; another one than those named, where there are several."""
    views = tower.inputs.views
    if but is not None and views > 1:
        return (but + generator.integers(1, views, count)) % views
    return generator.integers(0, views, count)


def _classifier(width: int, labels: IntArray, generator: torch.Generator) -> nn.Linear:
    layer = nn.Linear(width, int(labels.max(initial=0)) + 1, bias=False)
    nn.init.normal_(layer.weight, std=width**-0.5, generator=generator)
    return layer
