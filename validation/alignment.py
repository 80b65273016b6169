"""Whether a photo and a text speak of the same thing: learned from listings that do.

A ridge regression maps photo vectors to text vectors. A listing's agreement is the cosine of
its mapped photo with its text; out-of-fold agreements of the catalogue's own listings, and of the
same photos with other listings' texts, say what is usual of each.

Shapes: N listings, P numbers of a photo vector, T of a text vector.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

FloatMatrix = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]

ENOUGH: Final = 200
"""Listings with photo and text from which an alignment is learned."""
MOST: Final = 10_000
"""Of more an evenly spread sample is taken."""
FOLDS: Final = 5
FALSE_WARNINGS: Final = 0.01
"""Share of matching listings that lie below the agreement at which is warned."""
PENALTY: Final = 0.1
"""Of the ridge, as a share of the mean variance of the photo vectors' components."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """A learned map and what is usual on it."""

    photo_mean: FloatArray
    """(P,)"""
    text_mean: FloatArray
    """(T,)"""
    weights: FloatArray
    """(P, T)"""
    threshold: float
    """Agreement below which is warned."""
    matching: FloatArray
    """Out-of-fold agreements of the listings learned from, ascending."""
    mismatched: FloatArray
    """Agreements of their photos with other listings' texts, ascending."""
    learned_from: npt.NDArray[np.int64]
    """(M,) rows of the listings that were learned from."""
    out_of_fold: FloatArray
    """(M,) their agreements by maps that were learned without them."""

    @property
    def recall(self) -> float:
        """Share of mismatched pairs that lie below the threshold."""
        return float(np.searchsorted(self.mismatched, self.threshold) / len(self.mismatched))

    def agreement(self, photos: FloatMatrix, texts: FloatMatrix) -> FloatArray:
        """(N,) cosines of photos (N, P) with texts (N, T)."""
        return _cosines(self._mapped(photos), texts - self.text_mean)

    def unbiased_agreement(self, photos: FloatMatrix, texts: FloatMatrix) -> FloatArray:
        """(N,) agreements of the listings that `align` was given, their own influence left out."""
        agreement = self.agreement(photos, texts)
        agreement[self.learned_from] = self.out_of_fold
        return agreement

    def confidence(self, agreement: FloatArray) -> FloatArray:
        """(N,) how sure it is that photo and text do not match, 0 to 1.

        Of a pair with as little agreement, drawn with even odds from matching and mismatched
        ones: the share of mismatched ones.
        """
        wrong = 1.0 - np.searchsorted(self.mismatched, agreement) / len(self.mismatched)
        right = np.searchsorted(self.matching, agreement, side="right") / len(self.matching)
        return np.asarray(wrong / (wrong + right + 1e-12))

    def _mapped(self, photos: FloatMatrix) -> FloatArray:
        return np.asarray((photos - self.photo_mean) @ self.weights)


def align(photos: FloatMatrix, texts: FloatMatrix, *, seed: int = 0) -> Alignment | None:
    """Learn from N listings whose photos (N, P) and texts (N, T) match; None for too few."""
    if len(photos) < ENOUGH:
        return None
    chosen = np.arange(0, len(photos), -(-len(photos) // MOST))
    photos, texts = photos[chosen].astype(np.float64), texts[chosen].astype(np.float64)
    generator = np.random.default_rng(seed)
    matching, mismatched = np.zeros(len(photos)), []
    for held, mapped, text_mean in held_out(photos, texts, generator=generator):
        matching[held] = _cosines(mapped, texts[held] - text_mean)
        others = np.roll(generator.permutation(held), 1)
        mismatched.append(_cosines(mapped, texts[others] - text_mean)[others != held])
    right, wrong = np.sort(matching), np.sort(np.concatenate(mismatched))
    return Alignment(
        *ridge(photos, texts),
        threshold=float(np.quantile(right, FALSE_WARNINGS)),
        matching=right,
        mismatched=wrong,
        learned_from=chosen,
        out_of_fold=matching,
    )


def held_out(
    photos: FloatMatrix, texts: FloatMatrix, *, generator: np.random.Generator
) -> Iterator[tuple[npt.NDArray[np.int64], FloatArray, FloatArray]]:
    """Each fold: its rows (M,), its photos mapped by what the others teach (M, T), and the mean of
    the others' texts (T,).
    """
    for held in folds(len(photos), generator=generator):
        others = np.setdiff1d(np.arange(len(photos)), held)
        photo_mean, text_mean, weights = ridge(photos[others], texts[others])
        yield held, (photos[held] - photo_mean) @ weights, text_mean


def folds(count: int, *, generator: np.random.Generator) -> list[npt.NDArray[np.int64]]:
    """FOLDS parts of `count` rows, at random, each in ascending order."""
    fold_of = generator.permutation(count) % FOLDS
    return [np.flatnonzero(fold_of == fold) for fold in range(FOLDS)]


def ridge(
    inputs: npt.NDArray[np.floating], targets: npt.NDArray[np.floating], *, penalty: float = PENALTY
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Means (P,) and (T,) and weights (P, T) of the regression of centred targets on inputs.

    `penalty` is a share of the inputs' mean variance.
    """
    known, wanted = inputs.astype(np.float64), targets.astype(np.float64)
    mean, aim = known.mean(axis=0), wanted.mean(axis=0)
    centred = known - mean
    scatter = centred.T @ centred
    floor = max(penalty * np.trace(scatter) / len(scatter), 1e-9)  # of inputs that are all alike
    scatter[np.diag_indices_from(scatter)] += floor
    return mean, aim, np.linalg.solve(scatter, centred.T @ (wanted - aim))


def _cosines(left: npt.NDArray[np.floating], right: npt.NDArray[np.floating]) -> FloatArray:
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return np.asarray((left * right).sum(axis=1) / np.maximum(lengths, 1e-12), dtype=np.float64)
