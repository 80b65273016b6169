"""A closed-form map from listings' content to whatever is known of listings that were chosen.

A kernel ridge regression of several targets at once. The kernel of two listings' contents a and b
is half a line and half a neighbourhood,

    k(a, b) = ½ <a − ā, b − ā> / v + ½ exp(β (cos(a, b) − 1)),   v the contents' variance.

The line finds what a trait of the content means everywhere; the neighbourhood finds what only
listings close by share. On four shops each half alone lost on some.

A target that n people's choices tell has a variance of its own beside what content cannot tell,
so the regression trusts it by 1 / (r + s / n).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.linalg import LinAlgError, cho_solve, cholesky, solve_triangular

from coldstart_models.data.catalogue import FloatMatrix, IntArray
from coldstart_models.siamese.inputs import CONTENT, ItemInputs, unit_rows

RIDGE: Final = 0.03
"""r: variance of a target about its prediction that no number of choices removes."""
SAMPLING: Final = 0.5
"""s: the further variance of a target that one person tells, and over n of one that n tell."""
SHARPNESS: Final = 4.0
"""β"""
ANCHORS: Final = 4_096
"""Warm items whose neighbourhood counts; of more, those that most people chose (Nyström)."""
BLOCK: Final = 4_096
JITTERS: Final = (1e-6, 1e-5, 1e-4, 1e-3)
"""Shares of the mean diagonal of the normal equations that are added to it, the least that does."""
MOST_OWN: Final = 0.99
"""Share of an item's prediction that may be its own target's; rounding can make it one."""


@dataclass(frozen=True, slots=True)
class ContentMap:
    """The learned map: of content to unit factors and to log popularity."""

    mean: npt.NDArray[np.float32]
    """(D,) ā"""
    line: FloatMatrix
    """(D, R + 1): centred content to factors, last column to log popularity."""
    anchors: FloatMatrix
    """(A, D): unit contents of the warm items that neighbourhoods are of."""
    nearby: FloatMatrix
    """(A, R + 1): what being close to each anchor adds."""
    intercept: npt.NDArray[np.float32]
    """(R + 1,)"""

    def predict(self, inputs: ItemInputs) -> tuple[FloatMatrix, npt.NDArray[np.float32]]:
        """Unit factors (N, R) and expected log(1 + users) (N,) from content alone."""
        content, deviations = content_matrix(inputs), centred(inputs, self.mean)
        predicted = np.empty((len(content), len(self.intercept)), np.float32)
        for start in range(0, len(content), BLOCK):
            rows = slice(start, start + BLOCK)
            near = neighbourhood(unit_rows(content[rows]), self.anchors) @ self.nearby
            predicted[rows] = deviations[rows] @ self.line + near
        predicted += self.intercept
        return unit_rows(predicted[:, :-1]), np.ascontiguousarray(predicted[:, -1])


def content_matrix(inputs: ItemInputs) -> FloatMatrix:
    """(N, D): every content modality side by side, zero where missing."""
    return np.hstack([inputs.values[name] for name in CONTENT if name in inputs.values])


def centred(inputs: ItemInputs, mean: npt.NDArray[np.float32]) -> FloatMatrix:
    """(N, D): content less the mean (D,); a missing modality is as the mean: it says nothing."""
    deviations = content_matrix(inputs) - mean
    start = 0
    for name in (each for each in CONTENT if each in inputs.values):
        width = inputs.values[name].shape[1]
        deviations[~inputs.present[name], start : start + width] = 0.0
        start += width
    return deviations


def content_mean(inputs: ItemInputs) -> npt.NDArray[np.float32]:
    """(D,): each modality's mean over the items that have it; 0 where none has."""
    parts = [
        inputs.values[name].sum(axis=0) / max(1, int(inputs.present[name].sum()))
        for name in CONTENT
        if name in inputs.values
    ]
    return np.asarray(np.concatenate(parts), np.float32)


def neighbourhood(left: FloatMatrix, right: FloatMatrix) -> FloatMatrix:
    """(N, A): exp(β (cos − 1)) of unit rows (N, D) and (A, D)."""
    return _nearness(left @ right.T)


def _nearness(cosines: FloatMatrix) -> FloatMatrix:
    """exp(β (cos − 1)), in place: of many items nothing that a fit makes is larger."""
    cosines -= 1.0
    cosines *= SHARPNESS
    return np.asarray(np.exp(cosines, out=cosines), np.float32)


@dataclass(frozen=True, slots=True)
class FittedMap:
    """A regression, and what it predicts of the N items that it learned from."""

    head: ContentMap
    predicted: FloatMatrix
    """(N, R + 1)"""
    left_out: FloatMatrix
    """(N, R + 1), of each item without that item."""


def fit_map(inputs: ItemInputs, target: FloatMatrix, people: IntArray) -> FittedMap:
    """Kernel ridge regression of targets (N, R + 1) on the contents of N items.

    Args:
        people: (N,) whose choices each target is of, at least one; the anchors are those of most.
    """
    mean, intercept = content_mean(inputs), target.mean(axis=0)
    anchored = np.sort(np.argsort(-people, kind="stable")[:ANCHORS])
    kernel = _Kernel.of(inputs, mean, anchored)
    noise = RIDGE + SAMPLING / people
    solve = _exactly if len(anchored) == len(people) else _through_anchors
    duals, predicted, left_out = solve(kernel, target - intercept, noise)
    head = ContentMap(
        mean=np.asarray(mean, np.float32),
        line=np.ascontiguousarray(
            0.5 * (centred(inputs.take(anchored), mean) / kernel.variance).T @ duals, np.float32
        ),
        anchors=kernel.anchors,
        nearby=np.ascontiguousarray(0.5 * duals),
        intercept=np.asarray(intercept, np.float32),
    )
    return FittedMap(
        head,
        np.asarray(predicted + intercept, np.float32),
        np.asarray(left_out + intercept, np.float32),
    )


@dataclass(frozen=True, slots=True)
class _Kernel:
    """k of N items and those A of them that are anchors. For both halves contents are multiplied
    once: where b is an anchor,

        <a − ā, b − ā> = <a, b> − Σ_m [(<a_m, ā_m> − <ā_m, ā_m>) + <b_m, ā_m>]

    over the M modalities m that both have; a modality that is missing is zero in <a, b>.
    """

    unit: FloatMatrix
    """(N, D)"""
    lengths: FloatMatrix
    """(N, 1) of the contents."""
    off: FloatMatrix
    """(N, 2 M): what is taken off <a, b>, as factors."""
    anchored: IntArray
    """(A,)"""
    anchors: FloatMatrix
    """(A, D) their units,"""
    anchor_lengths: FloatMatrix
    """(A, 1) lengths"""
    anchor_off: FloatMatrix
    """(A, 2 M) and factors, as the second of two."""
    variance: float

    @classmethod
    def of(cls, inputs: ItemInputs, mean: npt.NDArray[np.float32], anchored: IntArray) -> "_Kernel":
        """Of the items that a map is fitted on."""
        names = [name for name in CONTENT if name in inputs.values]
        means = np.split(mean, np.cumsum([inputs.values[name].shape[1] for name in names])[:-1])
        there = np.column_stack([inputs.present[name] for name in names]).astype(np.float32)
        along = np.column_stack(
            [inputs.values[name] @ own for name, own in zip(names, means, strict=True)]
        )
        own = np.array([one @ one for one in means], np.float32)
        content = content_matrix(inputs)
        unit = unit_rows(content)
        lengths = np.linalg.norm(content, axis=1, keepdims=True)
        squared = np.square(lengths[:, 0]) - 2.0 * along.sum(axis=1) + there @ own
        return cls(
            unit,
            lengths,
            np.hstack([along - there * own, there]),
            anchored,
            unit[anchored],
            lengths[anchored],
            np.hstack([there, along])[anchored],
            max(float(squared.mean()), 1e-6),
        )

    def of_rows(self, rows: slice | IntArray) -> FloatMatrix:
        """(n, A) of some of the items."""
        cosines = self.unit[rows] @ self.anchors.T
        line = cosines * self.lengths[rows]
        line *= self.anchor_lengths.T
        line -= self.off[rows] @ self.anchor_off.T
        line /= self.variance
        line += _nearness(cosines)
        line *= 0.5
        return np.asarray(line, np.float32)

    def blocks(self) -> Iterator[tuple[slice, FloatMatrix]]:
        """All items, some at a time."""
        for start in range(0, len(self.unit), BLOCK):
            rows = slice(start, start + BLOCK)
            yield rows, self.of_rows(rows)


Solution = tuple[FloatMatrix, FloatMatrix, FloatMatrix]
"""(A, R + 1) duals, and (N, R + 1) predictions with and without each item."""


def _exactly(kernel: _Kernel, target: FloatMatrix, noise: npt.NDArray[np.float64]) -> Solution:
    """The regression on all items, all of them anchors.

    With A = K + noise and α = A⁻¹ y, what is predicted of item i is y_i − noise_i α_i, and without
    it y_i − α_i / (A⁻¹)_ii (Rasmussen & Williams, 2006, 5.4.2).
    """
    gram = kernel.of_rows(slice(None))
    gram[np.diag_indices(len(gram))] += noise
    lower = cholesky(gram, lower=True, overwrite_a=True)
    duals = np.asarray(cho_solve((lower, True), target), np.float32)
    inverse = solve_triangular(lower, np.eye(len(gram), dtype=np.float32), lower=True)
    left_out = target - duals / np.square(inverse).sum(axis=0)[:, None]
    return duals, target - noise.astype(np.float32)[:, None] * duals, left_out


def _through_anchors(
    kernel: _Kernel, target: FloatMatrix, noise: npt.NDArray[np.float64]
) -> Solution:
    """Ridge regression on all items with the anchors' kernels as features.

    An item's weight times its place in the inverse is what its own target has of its prediction.
    Source: subset of regressors, Smola & Schölkopf, ICML 2000.
    """
    weights = np.asarray(RIDGE / noise, np.float32)[:, None]
    roots = np.sqrt(weights)
    normal = RIDGE * kernel.of_rows(kernel.anchored).astype(np.float64)
    right = np.zeros((len(normal), target.shape[1]))
    for rows, near in kernel.blocks():
        near *= roots[rows]
        normal += near.T @ near  # of a matrix and itself half of the work
        right += near.T @ (roots[rows] * target[rows])
    lower = _factored(normal)
    duals = cho_solve((lower, True), right)
    predicted, left_out = np.empty_like(target), np.empty_like(target)
    single = lower.astype(np.float32)
    for rows, near in kernel.blocks():
        reached = np.square(solve_triangular(single, near.T, lower=True)).sum(axis=0)
        own = np.minimum(weights[rows] * reached[:, None], MOST_OWN)
        predicted[rows] = near @ duals
        left_out[rows] = (predicted[rows] - own * target[rows]) / (1.0 - own)
    return np.asarray(duals, np.float32), predicted, left_out


def _factored(normal: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The lower factor of normal equations, with as little on the diagonal as lets it be found.

    Kernels are of single precision, and where many anchors are alike, as products of one text are,
    their rounding makes eigenvalues negative by more than the least.
    """
    at, diagonal, trace = np.diag_indices(len(normal)), normal.diagonal().copy(), np.trace(normal)
    for jitter in JITTERS:
        normal[at] = diagonal + jitter * trace / len(normal)
        try:
            return np.asarray(cholesky(normal, lower=True))
        except LinAlgError:
            if jitter == JITTERS[-1]:
                raise
    raise AssertionError("there is at least one jitter")
