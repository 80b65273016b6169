"""Content spaces: items as unit vectors of their words, text embedding or photo embedding."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
from scipy import sparse

from coldstart_models.data.catalogue import BoolArray, Catalogue, Embeddings, FloatMatrix, IntArray
from coldstart_models.errors import NotEnoughData


class Space(StrEnum):
    """A way of comparing two items by content."""

    WORDS = "words"
    """TF-IDF of word 1- and 2-grams of title, category, brand, attributes, description."""
    CHARACTERS = "characters"
    """TF-IDF of character 3- to 5-grams of the same text, within words."""
    TEXT = "text"
    """Text embedding, centred on the warm items."""
    IMAGE = "image"
    """Photo embedding, centred on the warm items."""


TFIDF_SPACES: Final = (Space.WORDS, Space.CHARACTERS)


@dataclass(frozen=True, slots=True)
class ContentVectors:
    """Every item of a catalogue in one space."""

    space: Space
    vectors: Any
    """(N, D) unit rows, sparse CSR or dense float32; zero where absent."""
    present: BoolArray
    """(N,)"""

    def similarity(self, rows: IntArray, columns: IntArray) -> FloatMatrix:
        """(R, C) cosine similarities; 0 where either item lacks the content."""
        product = self.vectors[rows] @ self.vectors[columns].T
        dense = product.toarray() if sparse.issparse(product) else product
        return np.asarray(dense, dtype=np.float32)


def content_vectors(catalogue: Catalogue, space: Space, *, warm: BoolArray) -> ContentVectors:
    """The whole catalogue in one space whose statistics (idf, mean) come from warm items alone.

    Raises NotEnoughData where no warm item, or no item at all, has such content.
    """
    if space in TFIDF_SPACES:
        vectors = _tfidf(catalogue.words, warm, characters=space == Space.CHARACTERS)
        present = np.asarray(vectors.getnnz(axis=1) > 0)
    else:
        modality = catalogue.image if space == Space.IMAGE else catalogue.text
        vectors, present = _centred(modality, warm), modality.present
    if not (present & warm).any():
        raise NotEnoughData(
            f"none of the {int(warm.sum())} warm items has content of the kind {space.value!r}"
        )
    return ContentVectors(space, vectors, present)


def _tfidf(words: list[str], warm: BoolArray, *, characters: bool) -> Any:
    """(N, vocabulary) CSR, vocabulary and idf fitted on the warm items."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(
        sublinear_tf=True,
        analyzer="char_wb" if characters else "word",
        ngram_range=(3, 5) if characters else (1, 2),
        dtype=np.float32,
    )
    try:
        vectorizer.fit([words[row] for row in np.flatnonzero(warm)])
    except ValueError as empty:
        raise NotEnoughData(f"the {int(warm.sum())} warm items have no words") from empty
    return vectorizer.transform(words).tocsr()


def _centred(modality: Embeddings, warm: BoolArray) -> FloatMatrix:
    """(N, D) unit rows after the warm items' mean is taken out; zero where absent."""
    fitted = warm & modality.present
    if not fitted.any():
        return np.zeros_like(modality.vectors)
    centred = modality.vectors - modality.vectors[fitted].mean(axis=0)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    unit = np.where(norms > 0, centred / np.maximum(norms, 1e-12), 0.0)
    unit[~modality.present] = 0.0
    return np.asarray(unit, dtype=np.float32)


def content_spaces(
    catalogue: Catalogue, *, warm: BoolArray, spaces: Sequence[Space] = tuple(Space)
) -> dict[Space, ContentVectors]:
    """The spaces in which some warm item has content. Raises NotEnoughData where none has."""
    found: dict[Space, ContentVectors] = {}
    reasons = []
    for space in spaces:
        try:
            found[space] = content_vectors(catalogue, space, warm=warm)
        except NotEnoughData as reason:
            reasons.append(str(reason))
    if not found:
        raise NotEnoughData("; ".join(dict.fromkeys(reasons)))
    return found
