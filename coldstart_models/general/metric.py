"""The general metric: directions in which things that people choose together differ count less.

Of pairs (a, b) that one person chose at about the same time, the within-choice covariance of a
shop is W = E[(x_a − x_b)(x_a − x_b)ᵀ] / 2, scaled to a mean of 1 on its diagonal. The general
metric is its mean over shops. At a shop whose listings have the covariance T (scaled alike)

    A = ((1 − λ) (W + T) / 2 + λ I)^(−1/2),    x → unit(A x)

so that λ = 1 is content similarity. W is what other shops know, T needs no event of the shop at
all. It is relevant component analysis (Bar-Hillel et al., JMLR 2005) with a shrunk covariance;
unlike learned layers its only free number is λ.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from coldstart_models.data.catalogue import BoolArray, FloatMatrix
from coldstart_models.general.corpus import Corpus

SHRINKAGES: Final = (1.0, 0.7, 0.4)
"""λ that are tried on shops that are left out."""
PAIRS: Final = 60_000
"""Sampled of a shop."""
REACH: Final = 30
"""Choices of a person between the two of a pair, at most."""
FEWEST_PAIRS: Final = 100

Square = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Metric:
    """What shops taught of the encoders' spaces in closed form."""

    covariances: "Covariances"
    """Modality → (D, D) mean W; without those that too few pairs told of."""
    shrinkage: float
    """λ"""

    def at(self, name: str, centred: FloatMatrix) -> FloatMatrix:
        """(D, D) A of a modality at the shop whose warm listings these rows are."""
        own = own_covariance(centred)
        return shop_map(self.covariances.get(name), own, shrinkage=self.shrinkage)


Covariances = dict[str, Square]
"""Modality → (D, D); without those that too few pairs tell of."""


def shop_covariances(corpus: Corpus, *, seed: int, known: BoolArray | None = None) -> Covariances:
    """W of one shop's modalities.

    Args:
        known: (N,) contents that may be looked at; all by default.
    """
    found = {name: within_choices(corpus, name, seed=seed, known=known) for name in corpus.values}
    return {name: one for name, one in found.items() if one is not None}


def mean_covariances(shops: Sequence[Covariances]) -> Covariances:
    """The general metric's W: of each modality, the mean of the shops that tell of it."""
    names = dict.fromkeys(name for shop in shops for name in shop)
    return {
        name: np.asarray(np.mean([shop[name] for shop in shops if name in shop], axis=0))
        for name in names
    }


def within_choices(
    corpus: Corpus, name: str, *, seed: int, known: BoolArray | None = None
) -> Square | None:
    """(D, D) W of one shop; None of fewer than FEWEST_PAIRS pairs."""
    generator = np.random.default_rng([seed, 3])
    count = len(corpus.content)
    first = generator.integers(0, count, PAIRS)
    second = first + generator.integers(1, REACH + 1, PAIRS) * generator.choice([-1, 1], PAIRS)
    inside = (second >= 0) & (second < count)
    first, second = first[inside], second[inside]
    same = corpus.user[first] == corpus.user[second]
    left, right = corpus.content[first[same]], corpus.content[second[same]]
    usable = corpus.present(name) if known is None else corpus.present(name) & known
    both = usable[left] & usable[right]
    if both.sum() < FEWEST_PAIRS:
        return None
    values = corpus.values[name]
    differences = (values[left[both]] - values[right[both]]).astype(np.float64)
    return scaled(differences.T @ differences)


def own_covariance(centred: FloatMatrix) -> Square:
    """(D, D) T of centred unit rows; rows of zeros are missing."""
    known = centred[np.any(centred != 0, axis=1)].astype(np.float64)
    return scaled(known.T @ known)


def shop_map(metric: Square | None, own: Square, *, shrinkage: float) -> FloatMatrix:
    """(D, D) A; the identity where λ is 1 or no shop has a metric."""
    width = len(own)
    if metric is None or shrinkage == 1.0:
        return np.eye(width, dtype=np.float32)
    covariance = (1 - shrinkage) * (metric + own) / 2 + shrinkage * np.eye(width)
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.maximum(values, 1e-9) ** -0.5) @ vectors.T
    return np.asarray(root, np.float32)


def moved(centred: FloatMatrix, matrix: FloatMatrix) -> FloatMatrix:
    """(N, D) unit rows after the map; a row of zeros stays."""
    rows = centred @ matrix
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(norms > 0, norms, 1.0), np.float32)


def scaled(covariance: Square) -> Square:
    """The covariance with a mean of 1 on its diagonal."""
    return np.asarray(covariance / max(float(np.trace(covariance)), 1e-12) * len(covariance))
