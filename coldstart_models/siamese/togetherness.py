"""What goes together: a closed-form map from content to co-purchase factors.

Warm items have collaborative factors; a kernel ridge regression learns to predict them from
content, so that a new listing gets a place among them before its first click. The same
regression predicts how popular content like this has been.

The kernel of two listings' contents a and b is half a line and half a neighbourhood,

    k(a, b) = ½ <a − ā, b − ā> / v + ½ exp(β (cos(a, b) − 1)),   v the contents' variance.

The line finds what a trait of the content means everywhere; the neighbourhood finds what only
listings close by share. On four shops each half alone lost on some.

A factor that n people's choices tell has a variance of its own beside what content cannot tell,
so the regression trusts it by 1 / (r + s / n). And a warm item that few have chosen keeps only
n / (n + 1) of its own factor: what its content leads to expect, told without itself, counts as one
person more. Otherwise an item of one person's would be like nothing but that person's other items.

Sources: the content-to-factor map of DropoutNet (Volkovs et al., NeurIPS 2017) and of
Gantner et al. (ICDM 2010), in closed form; shrinkage towards a regression as in Fay & Herriot
(JASA 1979).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.linalg import LinAlgError, cho_solve, cholesky, solve_triangular
from sklearn.utils.extmath import randomized_svd

from coldstart_models.data.catalogue import BoolArray, FloatMatrix, IntArray
from coldstart_models.data.interactions import Interactions
from coldstart_models.siamese.inputs import CONTENT, ItemInputs, unit_rows

TOGETHER: Final = "together"
WIDTH: Final = 256
"""R; a smaller log fills the last axes with zeros."""
FLATTENING: Final = 0.5
"""Power of the singular values: below 1, what few people's choices tell counts for more."""
RIDGE: Final = 0.03
"""r: variance of a unit factor about its prediction that no number of choices removes."""
SAMPLING: Final = 0.5
"""s: the further variance of a factor that one person tells, and over n of one that n tell."""
EXPECTED: Final = 1.0
"""People that the prediction from content counts as, in the factor of an item with choices."""
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
class Togetherness:
    """The learned map."""

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


@dataclass(frozen=True, slots=True)
class FittedTogetherness:
    """A map with the warm items' own factors beside it."""

    head: Togetherness
    factors: FloatMatrix
    """(num_items, R) unit rows, own and expected ones mixed; zero for items without events."""
    known: BoolArray
    """(num_items,)"""

    def items(self, inputs: ItemInputs) -> tuple[FloatMatrix, npt.NDArray[np.float32]]:
        """Warm items' factors, predicted ones elsewhere (num_items, R), and expected
        log(1 + users) (num_items,)."""
        predicted, popularity = self.head.predict(inputs)
        factors = np.where(self.known[:, None], self.factors, predicted)
        return np.asarray(factors, np.float32), popularity


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
    """(N, A): exp(β (cos − 1)) of unit rows (N, D) and (A, D).

    In place: of many items nothing that a fit makes is larger.
    """
    near = left @ right.T
    near -= 1.0
    near *= SHARPNESS
    return np.asarray(np.exp(near, out=near), np.float32)


def fit_togetherness(past: Interactions, inputs: ItemInputs, *, seed: int) -> FittedTogetherness:
    """Factor the users × items matrix and regress the factors on content.

    Rows are scaled by 1/√(items of the user) and columns to unit length, so neither heavy
    users nor popular items dominate. Of people with a single item nothing is told, unless nobody
    has more.
    """
    chosen = past.matrix()
    per_user = np.asarray(chosen.getnnz(axis=1), np.float64)
    chosen = sparse.diags_array(1.0 / np.sqrt(np.maximum(per_user, 1.0))) @ chosen
    chosen = sparse.csr_matrix(chosen)[per_user > (per_user.max() > 1)]
    people = np.asarray(chosen.getnnz(axis=0), np.int64)
    known = people > 0
    columns = np.sqrt(np.asarray(chosen.multiply(chosen).sum(axis=0)).ravel())
    scaled = chosen @ sparse.diags_array(1.0 / np.where(columns > 0, columns, 1.0))
    del chosen
    rank = max(1, min(WIDTH, min(scaled.shape) - 1))
    _, strength, axes = randomized_svd(
        sparse.csr_matrix(scaled), n_components=rank, n_oversamples=20, random_state=seed
    )
    factors = unit_rows(np.asarray(axes.T * strength**FLATTENING, np.float32))
    factors = np.pad(factors, ((0, 0), (0, WIDTH - rank)))
    factors[~known] = 0.0
    target = np.hstack([factors, np.log1p(past.item_users()).astype(np.float32)[:, None]])
    fitted = fit_map(inputs.take(np.flatnonzero(known)), target[known], people[known])
    share = (people[known] / (people[known] + EXPECTED)).astype(np.float32)[:, None]
    expected = unit_rows(fitted.left_out[:, :-1])
    factors[known] = unit_rows(share * factors[known] + (1.0 - share) * expected)
    return FittedTogetherness(fitted.head, factors, known)


@dataclass(frozen=True, slots=True)
class FittedMap:
    """A regression, and what it predicts of each item that it learned from without that item."""

    head: Togetherness
    left_out: FloatMatrix
    """(N, R + 1)"""


def fit_map(inputs: ItemInputs, target: FloatMatrix, people: IntArray) -> FittedMap:
    """Kernel ridge regression of targets (N, R + 1) on the contents of N items.

    Args:
        people: (N,) whose choices each target is of, at least one; the anchors are those of most.
    """
    mean, intercept = content_mean(inputs), target.mean(axis=0)
    anchored = np.sort(np.argsort(-people, kind="stable")[:ANCHORS])
    deviations, unit = centred(inputs, mean), unit_rows(content_matrix(inputs))
    variance = max(float(np.square(deviations).sum(axis=1).mean()), 1e-6)
    line, anchors = deviations[anchored] / variance, unit[anchored]
    gram = _kernel(deviations[anchored], anchors, line, anchors)
    noise = RIDGE + SAMPLING / people
    found: npt.NDArray[np.floating]
    if len(anchored) == len(unit):
        found, left_out = _exactly(gram, target - intercept, noise)
    else:
        blocks = _Blocks(deviations, unit, line, anchors)
        found, left_out = _through_anchors(gram, blocks, target - intercept, RIDGE / noise)
    duals = np.asarray(found, np.float32)
    head = Togetherness(
        mean=np.asarray(mean, np.float32),
        line=np.ascontiguousarray(0.5 * line.T @ duals, np.float32),
        anchors=anchors,
        nearby=np.ascontiguousarray(0.5 * duals),
        intercept=np.asarray(intercept, np.float32),
    )
    return FittedMap(head, np.asarray(left_out + intercept, np.float32))


def _kernel(
    deviations: FloatMatrix, unit: FloatMatrix, line: FloatMatrix, anchors: FloatMatrix
) -> FloatMatrix:
    """(N, A)"""
    kernel = deviations @ line.T
    kernel += neighbourhood(unit, anchors)
    kernel *= 0.5
    return np.asarray(kernel, np.float32)


def _exactly(
    gram: FloatMatrix, target: FloatMatrix, noise: npt.NDArray[np.float64]
) -> tuple[FloatMatrix, FloatMatrix]:
    """(N, R + 1) duals of the regression on all items, and its predictions without each.

    Written over `gram`. With A = K + noise and α = A⁻¹ y, what is predicted of item i without it is
    y_i − α_i / (A⁻¹)_ii (Rasmussen & Williams, 2006, 5.4.2).
    """
    gram[np.diag_indices(len(gram))] += noise
    lower = cholesky(gram, lower=True, overwrite_a=True)
    duals = cho_solve((lower, True), target)
    inverse = solve_triangular(lower, np.eye(len(gram), dtype=np.float32), lower=True)
    return duals, target - duals / np.square(inverse).sum(axis=0)[:, None]


@dataclass(frozen=True, slots=True)
class _Blocks:
    """The kernel of N items and A anchors, some items at a time."""

    deviations: FloatMatrix
    unit: FloatMatrix
    line: FloatMatrix
    anchors: FloatMatrix

    def __iter__(self) -> Iterator[tuple[slice, FloatMatrix]]:
        for start in range(0, len(self.unit), BLOCK):
            rows = slice(start, start + BLOCK)
            yield rows, _kernel(self.deviations[rows], self.unit[rows], self.line, self.anchors)


def _through_anchors(
    gram: FloatMatrix, blocks: _Blocks, target: FloatMatrix, weights: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], FloatMatrix]:
    """(A, R + 1): ridge regression on all items with the anchors' kernels as features, and
    (N, R + 1) its predictions without each item.

    An item's weight times its place in the inverse is what its own target has of its prediction.
    Source: subset of regressors, Smola & Schölkopf, ICML 2000.

    Args:
        weights: (N,) of items' errors.
    """
    normal = RIDGE * gram.astype(np.float64)
    right = np.zeros((len(gram), target.shape[1]))
    for rows, near in blocks:
        weighted = near * weights[rows, None].astype(np.float32)
        normal += weighted.T @ near
        right += weighted.T @ target[rows]
    lower = _factored(normal)
    duals = cho_solve((lower, True), right)
    left_out, single = np.empty_like(target), lower.astype(np.float32)
    for rows, near in blocks:
        reached = np.square(solve_triangular(single, near.T, lower=True)).sum(axis=0)
        own = np.minimum(weights[rows] * reached, MOST_OWN)[:, None]
        left_out[rows] = (near @ duals - own * target[rows]) / (1.0 - own)
    return duals, left_out


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
