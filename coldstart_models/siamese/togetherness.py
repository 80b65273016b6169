"""What goes together: factors of what people choose together, of new listings by their content.

Warm items have collaborative factors; a map from content (`content_map`) learns to predict them,
so that a new listing gets a place among them before its first click. The same map predicts how
popular content like this has been.

A warm item that few have chosen keeps only n / (n + 1) of its own factor: what its content leads to
expect, told without itself, counts as one person more. Otherwise an item of one person's would be
like nothing but that person's other items.

Sources: the content-to-factor map of DropoutNet (Volkovs et al., NeurIPS 2017) and of
Gantner et al. (ICDM 2010), in closed form; shrinkage towards a regression as in Fay & Herriot
(JASA 1979).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from coldstart_models.data.catalogue import BoolArray, FloatMatrix
from coldstart_models.data.interactions import Interactions
from coldstart_models.siamese.content_map import ContentMap, fit_map
from coldstart_models.siamese.inputs import ItemInputs, unit_rows

TOGETHER: Final = "together"
WIDTH: Final = 256
"""R; a smaller log fills the last axes with zeros."""
FLATTENING: Final = 0.5
"""Power of the singular values: below 1, what few people's choices tell counts for more."""
EXPECTED: Final = 1.0
"""People that the prediction from content counts as, in the factor of an item with choices."""


@dataclass(frozen=True, slots=True)
class FittedTogetherness:
    """A map with the warm items' own factors beside it."""

    head: ContentMap
    factors: FloatMatrix
    """(num_items, R) unit rows, own and expected ones mixed; zero for items without events,
    and for those chosen only by people with no second item."""
    popularity: npt.NDArray[np.float32]
    """(num_items,) expected log(1 + users); zero for items without events."""
    known: BoolArray
    """(num_items,)"""

    def items(self, inputs: ItemInputs) -> tuple[FloatMatrix, npt.NDArray[np.float32]]:
        """Warm items' factors, predicted ones elsewhere (num_items, R), and expected
        log(1 + users) (num_items,)."""
        factors, popularity = self.factors.copy(), self.popularity.copy()
        rest = np.flatnonzero(~self.known)
        factors[rest], popularity[rest] = self.head.predict(inputs.take(rest))
        return factors, popularity


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
    popularity = np.zeros(len(known), np.float32)
    popularity[known] = fitted.predicted[:, -1]
    share = (people[known] / (people[known] + EXPECTED)).astype(np.float32)[:, None]
    expected = unit_rows(fitted.left_out[:, :-1])
    factors[known] = unit_rows(share * factors[known] + (1.0 - share) * expected)
    return FittedTogetherness(fitted.head, factors, popularity, known)
