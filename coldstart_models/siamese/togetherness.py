"""What goes together: a closed-form map from content to co-purchase factors.

Warm items have collaborative factors; a ridge regression learns to predict them from
content, so that a new listing gets a place among them before its first click. The same
regression predicts how popular content like this has been.

Source: the content-to-factor map of DropoutNet (Volkovs et al., NeurIPS 2017) and of
Gantner et al. (ICDM 2010), in closed form.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.linear_model import Ridge
from sklearn.utils.extmath import randomized_svd

from coldstart_models.data.catalogue import BoolArray, FloatMatrix
from coldstart_models.data.interactions import Interactions
from coldstart_models.siamese.inputs import CONTENT, ItemInputs, unit_rows

TOGETHER: Final = "together"
WIDTH: Final = 128
"""R; a smaller log fills the last axes with zeros."""
RIDGE: Final = 1.0


@dataclass(frozen=True, slots=True)
class Togetherness:
    """The learned map, and the factors of the items it learned from."""

    weights: FloatMatrix
    """(D, R + 1): content to factors, last column to log popularity."""
    intercept: npt.NDArray[np.float32]
    """(R + 1,)"""

    def predict(self, inputs: ItemInputs) -> tuple[FloatMatrix, npt.NDArray[np.float32]]:
        """Unit factors (N, R) and expected log(1 + users) (N,) from content alone."""
        predicted = content_matrix(inputs) @ self.weights + self.intercept
        return unit_rows(predicted[:, :-1]), np.asarray(predicted[:, -1], np.float32)


@dataclass(frozen=True, slots=True)
class FittedTogetherness:
    """A map with the warm items' own factors beside it."""

    head: Togetherness
    factors: FloatMatrix
    """(num_items, R) unit rows; zero for items without events."""
    known: BoolArray
    """(num_items,)"""

    def vectors(self, inputs: ItemInputs) -> FloatMatrix:
        """(num_items, R): an item's own factors where it has them, predicted ones elsewhere."""
        predicted, _ = self.head.predict(inputs)
        return np.asarray(np.where(self.known[:, None], self.factors, predicted), np.float32)


def content_matrix(inputs: ItemInputs) -> FloatMatrix:
    """(N, D): every content modality side by side, zero where missing."""
    return np.hstack([inputs.values[name] for name in CONTENT if name in inputs.values])


def fit_togetherness(past: Interactions, inputs: ItemInputs, *, seed: int) -> FittedTogetherness:
    """Factor the users × items matrix and regress the factors on content.

    Rows are scaled by 1/√(items of the user) and columns to unit length, so neither heavy
    users nor popular items dominate.
    """
    chosen = past.matrix()
    per_user = np.asarray(chosen.getnnz(axis=1), np.float64)
    chosen = sparse.diags_array(1.0 / np.sqrt(np.maximum(per_user, 1.0))) @ chosen
    chosen = sparse.csr_matrix(chosen)[per_user > 1]
    popularity = np.log1p(past.item_users()).astype(np.float32)
    known = np.asarray(chosen.getnnz(axis=0)) > 0
    columns = np.sqrt(np.asarray(chosen.multiply(chosen).sum(axis=0)).ravel())
    scaled = chosen @ sparse.diags_array(1.0 / np.where(columns > 0, columns, 1.0))
    rank = max(1, min(WIDTH, min(scaled.shape) - 1))
    _, strength, axes = randomized_svd(
        sparse.csr_matrix(scaled), n_components=rank, n_oversamples=20, random_state=seed
    )
    factors = unit_rows(np.asarray(axes.T * strength, np.float32))
    factors = np.pad(factors, ((0, 0), (0, WIDTH - rank)))
    factors[~known] = 0.0
    target = np.hstack([factors, popularity[:, None]])
    ridge = Ridge(alpha=RIDGE).fit(content_matrix(inputs)[known], target[known])
    head = Togetherness(
        np.ascontiguousarray(ridge.coef_.T, dtype=np.float32),
        np.asarray(ridge.intercept_, dtype=np.float32),
    )
    return FittedTogetherness(head, factors, known)
