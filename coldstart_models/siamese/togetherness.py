"""What goes together: a closed-form map from content to co-purchase factors.

Warm items have collaborative factors; a kernel ridge regression learns to predict them from
content, so that a new listing gets a place among them before its first click. The same
regression predicts how popular content like this has been.

The kernel of two listings' contents a and b is half a line and half a neighbourhood,

    k(a, b) = ½ <a − ā, b − ā> / v + ½ exp(β (cos(a, b) − 1)),   v the contents' variance.

The line finds what a trait of the content means everywhere; the neighbourhood finds what only
listings close by share. On four shops each half alone lost on some.

Source: the content-to-factor map of DropoutNet (Volkovs et al., NeurIPS 2017) and of
Gantner et al. (ICDM 2010), in closed form.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from sklearn.utils.extmath import randomized_svd

from coldstart_models.data.catalogue import BoolArray, FloatMatrix, IntArray
from coldstart_models.data.interactions import Interactions
from coldstart_models.siamese.inputs import CONTENT, ItemInputs, unit_rows

TOGETHER: Final = "together"
WIDTH: Final = 256
"""R; a smaller log fills the last axes with zeros."""
FLATTENING: Final = 0.5
"""Power of the singular values: below 1, what few people's choices tell counts for more."""
RIDGE: Final = 0.1
SHARPNESS: Final = 4.0
"""β"""
ANCHORS: Final = 4_096
"""Warm items whose neighbourhood counts; of more, those that most people chose (Nyström)."""
BLOCK: Final = 4_096
JITTERS: Final = (1e-6, 1e-5, 1e-4, 1e-3)
"""Shares of the mean diagonal of the normal equations that are added to it, the least that does."""


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
    """(num_items, R) unit rows; zero for items without events."""
    known: BoolArray
    """(num_items,)"""

    def items(self, inputs: ItemInputs) -> tuple[FloatMatrix, npt.NDArray[np.float32]]:
        """An item's own factors where it has them, predicted ones elsewhere (num_items, R), and
        its expected log(1 + users) (num_items,)."""
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
    users nor popular items dominate.
    """
    chosen = past.matrix()
    per_user = np.asarray(chosen.getnnz(axis=1), np.float64)
    chosen = sparse.diags_array(1.0 / np.sqrt(np.maximum(per_user, 1.0))) @ chosen
    chosen = sparse.csr_matrix(chosen)[per_user > 1]
    users = past.item_users()
    known = np.asarray(chosen.getnnz(axis=0)) > 0
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
    target = np.hstack([factors, np.log1p(users).astype(np.float32)[:, None]])
    head = fit_map(inputs.take(np.flatnonzero(known)), target[known], users[known])
    return FittedTogetherness(head, factors, known)


def fit_map(inputs: ItemInputs, target: FloatMatrix, users: IntArray) -> Togetherness:
    """Kernel ridge regression of targets (N, R + 1) on the contents of N items.

    Args:
        users: (N,) who chose each item; the anchors are those of most.
    """
    mean, intercept = content_mean(inputs), target.mean(axis=0)
    anchored = np.sort(np.argsort(-users, kind="stable")[:ANCHORS])
    deviations, unit = centred(inputs, mean), unit_rows(content_matrix(inputs))
    variance = max(float(np.square(deviations).sum(axis=1).mean()), 1e-6)
    line, anchors = deviations[anchored] / variance, unit[anchored]
    gram = _kernel(deviations[anchored], anchors, line, anchors)
    if len(anchored) == len(unit):
        gram[np.diag_indices(len(gram))] += RIDGE
        duals = cho_solve(cho_factor(gram, overwrite_a=True), target - intercept)
    else:
        duals = _through_anchors(gram, deviations, unit, target - intercept, line, anchors)
    duals = np.asarray(duals, np.float32)
    return Togetherness(
        mean=np.asarray(mean, np.float32),
        line=np.ascontiguousarray(0.5 * line.T @ duals, np.float32),
        anchors=anchors,
        nearby=np.ascontiguousarray(0.5 * duals),
        intercept=np.asarray(intercept, np.float32),
    )


def _kernel(
    deviations: FloatMatrix, unit: FloatMatrix, line: FloatMatrix, anchors: FloatMatrix
) -> FloatMatrix:
    """(N, A)"""
    kernel = deviations @ line.T
    kernel += neighbourhood(unit, anchors)
    kernel *= 0.5
    return np.asarray(kernel, np.float32)


def _through_anchors(
    gram: FloatMatrix,
    deviations: FloatMatrix,
    unit: FloatMatrix,
    target: FloatMatrix,
    line: FloatMatrix,
    anchors: FloatMatrix,
) -> npt.NDArray[np.float64]:
    """(A, R + 1): ridge regression on all items with the anchors' kernels as features.

    Source: subset of regressors, Smola & Schölkopf, ICML 2000.
    """
    normal = RIDGE * gram.astype(np.float64)
    right = np.zeros((len(gram), target.shape[1]))
    for start in range(0, len(deviations), BLOCK):
        rows = slice(start, start + BLOCK)
        near = _kernel(deviations[rows], unit[rows], line, anchors)
        normal += near.T @ near
        right += near.T @ target[rows]
    return _solved(normal, right)


def _solved(
    normal: npt.NDArray[np.float64], right: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Of normal equations, with as little on the diagonal as lets them be solved.

    Kernels are of single precision, and where many anchors are alike, as products of one text are,
    their rounding makes eigenvalues negative by more than the least.
    """
    at, diagonal, trace = np.diag_indices(len(normal)), normal.diagonal().copy(), np.trace(normal)
    for jitter in JITTERS:
        normal[at] = diagonal + jitter * trace / len(normal)
        try:
            return np.asarray(cho_solve(cho_factor(normal), right))
        except LinAlgError:
            if jitter == JITTERS[-1]:
                raise
    raise AssertionError("there is at least one jitter")
