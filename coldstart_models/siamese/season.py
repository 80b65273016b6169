"""In which season content like a listing's sells, learned from past years.

With θ the angle of a day in its year and u(θ) = (cos θ, sin θ), item i has sold at u(θ_e) at its
events e. What it sells in is how that differs from all that the shop sold while i was on offer,

    r_i = mean over its events of u(θ_e) − mean over the log since its first event of u(θ),

and a ridge regression, in which an item of n events weighs n / (n + κ), predicts r from content:
r̂ = (x − x̄) M. At the angle φ a listing suits the season by <r̂, u(φ)>: content that sold before
Christmas does so again.

Of a log of years the last whole ones are read, so that every season counts alike. A shorter log has
seen one turn of the year in part, and cannot tell a season from a fashion: there it is told by how
well content predicts r of items that it was not fitted on, the `predictability`, and by whether
past launches are ranked better with it (`siamese.dates`). Less than two months tell nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve

from coldstart_models.data.catalogue import FloatMatrix, IntArray
from coldstart_models.data.interactions import END_OF_TIME, Interactions
from coldstart_models.siamese.inputs import CONTENT

Floats = npt.NDArray[np.float64]
Values = Mapping[str, FloatMatrix]
"""Modality → (N, D_m): tower inputs, or what the tower made of them."""
YEAR_US: Final = 31_556_952_000_000
"""The mean Gregorian year."""
SHORTEST_US: Final = YEAR_US // 6
"""A log that is shorter says nothing of seasons."""
FOLDS: Final = 5
MOST_ITEMS: Final = 16_384
"""Of more, those of the most events are learned from; bounds the memory."""
RIDGE: Final = 1.0
FEW: Final = 10.0
"""κ: events at which an item counts half."""


@dataclass(frozen=True, slots=True)
class Season:
    """The learned map."""

    mean: npt.NDArray[np.float32]
    """(D,) x̄"""
    map: FloatMatrix
    """(D, 2) M; 0 where nothing could be learned."""

    def profiles(self, values: Values) -> FloatMatrix:
        """(N, 2) r̂ of modality → (N, D_m)."""
        count = len(next(iter(values.values())))
        found = np.zeros((count, 2), np.float32)
        if not self.map.any():
            return found
        start = 0
        for block in _contents(values):
            end = start + block.shape[1]
            found += block @ self.map[start:end]
            start = end
        return np.asarray(found - self.mean @ self.map, np.float32)


def content_width(widths: Mapping[str, int]) -> int:
    """D of modality → D_m."""
    return sum(width for name, width in widths.items() if name in CONTENT)


def fit_season(past: Interactions, values: Values) -> Season:
    """What the past says of modality → (num_items, D_m)."""
    found = _departed(past, values)
    if found is None:
        width = sum(block.shape[1] for block in _contents(values))
        return Season(np.zeros(width, np.float32), np.zeros((width, 2), np.float32))
    fitted = found.map(*found.products(slice(None)))
    return Season(found.mean.astype(np.float32), np.asarray(fitted, np.float32))


def predictability(past: Interactions, values: Values) -> float:
    """How well content tells when an item sells: the correlation of r̂ and r, from 0 to 1.

    Each item is predicted by a map that was fitted on others; items weigh as in the fit. 0 where
    nothing could be learned, or content tells nothing.
    """
    found = _departed(past, values)
    if found is None or len(found.content) < FOLDS:
        return 0.0
    folds = [slice(first, None, FOLDS) for first in range(FOLDS)]
    parts = [found.products(rows) for rows in folds]
    normal, right = (np.sum(each, axis=0) for each in zip(*parts, strict=True))
    predicted = np.empty_like(found.target)
    for rows, (own_normal, own_right) in zip(folds, parts, strict=True):
        predicted[rows] = found.content[rows] @ found.map(normal - own_normal, right - own_right)
    shared, of_predicted, of_target = (
        float((found.weights * one * other).sum())
        for one, other in (
            (predicted, found.target),
            (predicted, predicted),
            (found.target, found.target),
        )
    )
    return max(0.0, shared / max(float(np.sqrt(of_predicted * of_target)), 1e-12))


@dataclass(frozen=True, slots=True)
class _Departed:
    """K items that have sold, and when: what is regressed on what."""

    mean: Floats
    """(D,) x̄"""
    content: Floats
    """(K, D): x − x̄"""
    variance: float
    """Of the content."""
    weights: Floats
    """(K, 1)"""
    target: Floats
    """(K, 2): r less its mean."""

    def products(self, rows: slice) -> tuple[Floats, Floats]:
        """(D, D) and (D, 2): what some of the items add to the normal equations."""
        weighed = self.weights[rows] * self.content[rows]
        return weighed.T @ self.content[rows], weighed.T @ self.target[rows]

    def map(self, normal: Floats, right: Floats) -> Floats:
        """(D, 2) M of normal equations."""
        ridged = normal / self.variance
        ridged[np.diag_indices(len(ridged))] += RIDGE
        return np.asarray(cho_solve(cho_factor(ridged), right / self.variance), np.float64)


def _departed(past: Interactions, values: Values) -> _Departed | None:
    """None where the log is too short, or there is no content."""
    times = past.time_us
    span = int(times[-1] - times[0]) if len(times) else 0
    if span < SHORTEST_US or not sum(block.shape[1] for block in _contents(values)):
        return None
    years = span // YEAR_US
    read = past.where(times > times[-1] - years * YEAR_US) if years else past
    counts = np.bincount(read.item_index, minlength=past.num_items)
    known = np.flatnonzero(counts)
    if len(known) > MOST_ITEMS:
        known = np.sort(np.argsort(-counts, kind="stable")[:MOST_ITEMS])
    weights = (counts[known] / (counts[known] + FEW))[:, None]
    content = np.hstack([block[known] for block in _contents(values)]).astype(np.float64)
    mean = (weights * content).sum(axis=0) / weights.sum()
    content -= mean
    variance = max(float(np.square(content).sum(axis=1).mean()), 1e-6)
    target = _departures(read)[known]
    target -= (weights * target).sum(axis=0) / weights.sum()
    return _Departed(mean, content, variance, weights, target)


def _contents(values: Values) -> list[FloatMatrix]:
    return [values[name] for name in CONTENT if name in values]


def season_match(profiles: FloatMatrix, moments_us: IntArray) -> Floats:
    """(N,): <r̂, u(φ)> of profiles (N, 2) at a moment each."""
    return np.asarray((profiles * _directions(moments_us)).sum(axis=1), np.float64)


def _departures(read: Interactions) -> Floats:
    """(num_items, 2): r of the items that have events, which come in order of time."""
    directions = _directions(read.time_us)
    counts = np.maximum(np.bincount(read.item_index, minlength=read.num_items), 1)
    own = np.stack(
        [
            np.bincount(read.item_index, weights=axis, minlength=read.num_items) / counts
            for axis in directions.T
        ],
        axis=1,
    )
    since = np.cumsum(directions[::-1], axis=0)[::-1] / np.arange(len(read), 0, -1)[:, None]
    first = np.searchsorted(read.time_us, read.first_time_us())
    usual = np.zeros_like(own)
    seen = read.first_time_us() != END_OF_TIME
    usual[seen] = since[first[seen]]
    return own - usual


def _directions(moments_us: IntArray) -> Floats:
    """(N, 2): u of each moment."""
    angles = 2.0 * np.pi * (moments_us % YEAR_US) / YEAR_US
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)
