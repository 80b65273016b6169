"""Whether learning helped, on items that were not learned from, and what it cost elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from coldstart_models.data.catalogue import FloatMatrix, IntArray
from coldstart_models.domain.aims import LABELS, Aims
from coldstart_models.domain.examples import Examples
from coldstart_models.domain.towers import Tower
from coldstart_models.errors import NotEnoughData
from coldstart_models.metrics import FloatArray
from coldstart_models.retrieval import (
    DEPTHS,
    likeness_agreement,
    nearest_others,
    own_ranks,
    same_category,
    unit,
)

PRECISION: Final = "precision@10"
SOURCE_PRECISION: Final = "source precision@10"
TITLE_RANK: Final = "title → photo, mean reciprocal rank"
TITLES_NEAR: Final = "likeness of the titles of a photo's 10 nearest"
LEAST_LIKENESS: Final = 0.01
"""What is no more alike than titles at random, of which gains are no ratio."""
VIEW_RANK: Final = "view → photo, mean reciprocal rank"
AGREEMENT: Final = "agreement with the base"


@dataclass(frozen=True, slots=True)
class Score:
    """What a check found."""

    told: Mapping[str, float]
    """Measure → value, all of them."""
    judged: tuple[str, ...]
    """Those that decide."""

    def or_better(self, other: "Score") -> "Score":
        """The larger value of each measure."""
        told = {name: max(value, other.told[name]) for name, value in self.told.items()}
        return Score(told, self.judged)

    def gain(self, start: "Score") -> float:
        """Mean ratio of the deciding measures to those at the start; 1 is no change."""
        ratios = [self.told[name] / max(start.told[name], 1e-9) for name in self.judged]
        return float(np.mean(ratios))

    def forgotten(self, start: "Score") -> float:
        """Share of the source's precision that is lost; 0 where there is no source."""
        before = start.told.get(SOURCE_PRECISION)
        return 0.0 if not before else 1.0 - self.told[SOURCE_PRECISION] / before


def standing(gain: float, forgotten: float, *, most_forgotten: float) -> tuple[bool, float]:
    """What is compared: whether not too much is forgotten, and then the gain."""
    return forgotten <= most_forgotten, gain


@dataclass(frozen=True, slots=True)
class Judge:
    """Measures the towers on the validation items."""

    aims: Aims
    examples: Examples
    """The target's, then the source's."""
    rows: IntArray
    """(V,) of the target."""
    source_rows: IntArray
    """Of the source; none where it takes no part."""
    photo: Tower | None
    text: Tower | None
    start: dict[str, FloatMatrix] = field(default_factory=dict)
    """The items' vectors, and their titles', at the first check."""

    def __call__(self) -> Score:
        """Measure them as they are now. Raises NotEnoughData where nothing can be judged."""
        first, asked = self.photo or self.text, self.aims.objectives
        assert first is not None
        if not len(self.rows):
            raise NotEnoughData(
                "no items are left to judge by; give a larger --validate, or more items"
            )
        vectors = first.vectors(self.rows)
        told: dict[str, float] = {}
        judged = []
        if self.aims.needs_text and self.text is not None:
            told[TITLE_RANK] = _mean_reciprocal_rank(self.text.vectors(self.rows), vectors)
            told[TITLES_NEAR] = self._likeness(vectors, self.text)
            judged += [TITLE_RANK, TITLES_NEAR]
        if LABELS in asked:
            precision = _precision(vectors, self.examples, self.rows)
            if precision is not None:
                told[PRECISION] = precision
                judged.append(PRECISION)
        if self.aims.needs_views and first.inputs.views > 1:
            told[VIEW_RANK] = _mean_reciprocal_rank(first.vectors(self.rows, view=1), vectors)
            judged.append(VIEW_RANK)
        if len(self.source_rows):
            of_source = first.vectors(self.source_rows)
            precision = _precision(of_source, self.examples, self.source_rows)
            if precision is not None:
                told[SOURCE_PRECISION] = precision  # of what was forgotten: the target decides
        if not judged:
            raise NotEnoughData(
                f"{len(self.rows)} validation items cannot judge {', '.join(asked) or 'nothing'}: "
                "no category has five of them; give more items, or a larger --validate"
            )
        told[AGREEMENT] = self._agreement(vectors)
        return Score(told, tuple(judged))

    def _likeness(self, vectors: FloatMatrix, text: Tower) -> float:
        """Mean cosine of an item's title with those of its nearest by photo.

        Of centred vectors, the titles' as they were at the first check. It is to a category's
        precision what titles are to categories, and needs none. At least LEAST_LIKENESS.
        """
        depth = min(max(DEPTHS), len(vectors) - 1)
        if depth < 1:
            return LEAST_LIKENESS
        if TITLES_NEAR not in self.start:
            titles = text.all_features(self.rows)
            self.start[TITLES_NEAR] = unit(titles - titles.mean(axis=0))
        titles, near = self.start[TITLES_NEAR], unit(vectors - vectors.mean(axis=0))
        nearest = nearest_others(near, depth)
        likeness = float(np.einsum("vd,vkd->vk", titles, titles[nearest]).mean())
        return max(likeness, LEAST_LIKENESS)

    def _agreement(self, vectors: FloatMatrix) -> float:
        """Correlation of the items' similarities with those at the first check."""
        near = unit(vectors - vectors.mean(axis=0))
        return likeness_agreement(near, self.start.setdefault(AGREEMENT, near))


@dataclass(frozen=True, slots=True)
class Held:
    """What is measured of items that were neither learned from nor chosen by."""

    precision: FloatArray
    """(Q, 2) at 1 and 10, of each item with a label."""
    recall: FloatArray
    """(P, 2) at 1 and 10, of each title; empty without a shared space."""

    def as_dict(self) -> dict[str, float]:
        """Means; what was not measured is left out."""
        return {
            f"{name}@{depth}": float(column.mean())
            for name, values in (("precision", self.precision), ("recall", self.recall))
            for depth, column in zip(DEPTHS, values.T, strict=True)
            if len(values)
        }


def held_out(examples: Examples, rows: IntArray, photo: Tower | None, text: Tower | None) -> Held:
    """Same-category precision among the items, and how their titles find their photos.

    Recall is that of the towers' shared space, among all the items' photos.
    """
    first = photo or text
    assert first is not None
    nothing = np.zeros((0, len(DEPTHS)))
    if not len(rows):
        return Held(nothing, nothing)
    vectors = first.vectors(rows)
    precision = same_category(vectors, [examples.categories[row] for row in rows])
    if photo is None or text is None:
        return Held(precision, nothing)
    ranks = own_ranks(text.vectors(rows), vectors)
    return Held(precision, np.column_stack([ranks < depth for depth in DEPTHS]).astype(np.float64))


def _precision(vectors: FloatMatrix, examples: Examples, rows: IntArray) -> float | None:
    found = same_category(vectors, [examples.categories[row] for row in rows])
    return float(found[:, 1].mean()) if len(found) else None


def _mean_reciprocal_rank(queries: FloatMatrix, answers: FloatMatrix) -> float:
    return float((1 / (1 + own_ranks(queries, answers))).mean())
