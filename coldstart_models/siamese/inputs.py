"""What the item tower reads: content turned into one matrix a modality, fitted on warm items."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.utils.extmath import randomized_svd

from coldstart_models.data.catalogue import (
    BoolArray,
    Catalogue,
    Embeddings,
    FloatMatrix,
    attribute_values,
)
from coldstart_models.general.artifact import GeneralModel
from coldstart_models.general.space import GeneralSpace
from validation import tables

PHOTO: Final = "photo"
TEXT: Final = "text"
WORDS: Final = "words"
SPELLING: Final = "spelling"
ATTRIBUTES: Final = "attributes"
CONTENT: Final = (PHOTO, TEXT, WORDS, SPELLING, ATTRIBUTES)

WIDTHS: Final = {PHOTO: 256, TEXT: 256, WORDS: 512, SPELLING: 512, ATTRIBUTES: 1_024}
"""D_m at most, of attributes beside the price level; a smaller catalogue or vocabulary has fewer.

A brand or a series is one of very many values: axes that are fewer carry the common ones and lose
the one that two listings share (docs/adr/0037).
"""
TOLD_ON: Final = 65_536
"""Known listings that axes are found on; of more, as many drawn ones: more cost nothing."""
PRICE_BINS: Final = 8
PRICE_WEIGHT: Final = 0.5
FAR: Final = 80.0
"""Squared widths from the range from which on a price's bumps vanish in single precision."""


@dataclass(frozen=True, slots=True)
class ItemInputs:
    """N items as the tower reads them."""

    values: dict[str, FloatMatrix]
    """Modality → (N, D_m); a missing row is zero."""
    present: dict[str, BoolArray]
    """Modality → (N,)"""

    def take(self, rows: npt.NDArray[np.int64]) -> "ItemInputs":
        return ItemInputs(
            {name: values[rows] for name, values in self.values.items()},
            {name: present[rows] for name, present in self.present.items()},
        )


@dataclass(frozen=True, slots=True)
class Projection:
    """Centre, then rotate onto the leading axes of the warm items."""

    mean: npt.NDArray[np.float32]
    axes: FloatMatrix
    """(D, R) orthonormal columns."""

    @classmethod
    def fit(cls, vectors: FloatMatrix, *, width: int, seed: int) -> "Projection":
        mean = vectors.mean(axis=0).astype(np.float32)
        told = vectors[_drawn(len(vectors), seed=seed)] - mean
        return cls(mean, leading_axes(told, width=width, seed=seed))

    def __call__(self, vectors: FloatMatrix) -> FloatMatrix:
        return unit_rows(np.asarray((vectors - self.mean) @ self.axes, dtype=np.float32))


@dataclass(frozen=True, slots=True)
class LexiconKind:
    """What a lexicon counts."""

    analyzer: str
    """``word``, or ``char_wb`` for letters within a word."""
    ngrams: tuple[int, int]
    pattern: str = r"(?u)\b\w\w+\b"
    """Of a word: by default at least two letters or digits."""


WORD_PAIRS: Final = LexiconKind("word", (1, 2))
SINGLE_WORDS: Final = LexiconKind("word", (1, 1), r"(?u)\w+")
"""A size S, two seats and the category 灯 are words as well."""
LETTERS: Final = LexiconKind("char_wb", (3, 5))
"""Tells apart and joins what word forms hide: plurals, compounds, misspellings."""
MAX_VOCABULARY: Final = 60_000


class Lexicon:
    """TF-IDF of a text per item, folded onto its leading axes without renormalising.

    Keeping the folded vector's own length (at most 1) matters: a title whose words the axes
    do not carry stays short and claims no similarity.
    """

    def __init__(
        self,
        vocabulary: list[str],
        idf: npt.NDArray[np.float64],
        axes: FloatMatrix,
        *,
        kind: "LexiconKind",
    ) -> None:
        self.vocabulary, self.idf, self.axes, self.kind = vocabulary, idf, axes, kind
        self._tfidf = _tfidf(
            kind, vocabulary={word: column for column, word in enumerate(vocabulary)}
        )
        self._tfidf.idf_ = idf

    @classmethod
    def fit(
        cls, texts: list[str], *, width: int, seed: int, kind: "LexiconKind"
    ) -> "Lexicon | None":
        """None where the texts hold no word at all."""
        if not any(character.isalnum() for text in texts for character in text):
            return None
        tfidf = _tfidf(kind, max_features=MAX_VOCABULARY)
        try:
            counts = tfidf.fit_transform(texts)
        except ValueError as error:
            if "empty vocabulary" in str(error):
                return None
            raise
        told = counts[_drawn(len(texts), seed=seed)]
        return cls(
            list(tfidf.get_feature_names_out()),
            tfidf.idf_,
            leading_axes(told, width=width, seed=seed),
            kind=kind,
        )

    def __call__(self, texts: list[str]) -> FloatMatrix:
        counts: sparse.csr_matrix = self._tfidf.transform(texts)
        return np.asarray(counts @ self.axes, dtype=np.float32)


def _tfidf(kind: LexiconKind, **options: Any) -> TfidfVectorizer:
    return TfidfVectorizer(
        sublinear_tf=True,
        analyzer=kind.analyzer,
        ngram_range=kind.ngrams,
        token_pattern=kind.pattern,
        **options,
    )


@dataclass(frozen=True, slots=True)
class Featurizer:
    """Content → tower inputs. Fitted on warm items only; serves any later listing."""

    photo: Projection | None
    text: Projection | None
    words: Lexicon | None
    spelling: Lexicon | None
    attributes: Lexicon | None
    price_range: tuple[float, float] | None
    """Smallest and largest log price bin centre of the warm items."""
    general: GeneralSpace | None = None
    """What other shops taught, where training started from a general model."""

    @classmethod
    def fit(
        cls,
        catalogue: Catalogue,
        warm: BoolArray,
        *,
        seed: int,
        general: GeneralModel | None = None,
    ) -> "Featurizer":
        """Raises ContractMismatch where the general model is of other encoders."""
        items = catalogue.take(np.flatnonzero(warm))
        return cls(
            photo=_fit_projection(items.image, width=WIDTHS[PHOTO], seed=seed),
            text=_fit_projection(items.text, width=WIDTHS[TEXT], seed=seed),
            words=Lexicon.fit(items.words, width=WIDTHS[WORDS], seed=seed, kind=WORD_PAIRS),
            spelling=Lexicon.fit(items.words, width=WIDTHS[SPELLING], seed=seed, kind=LETTERS),
            attributes=Lexicon.fit(
                attribute_texts(items), width=WIDTHS[ATTRIBUTES], seed=seed, kind=SINGLE_WORDS
            ),
            price_range=_price_range(items.frame[tables.PRICE]),
            general=GeneralSpace.fit(general, catalogue, warm) if general else None,
        )

    def __call__(self, catalogue: Catalogue) -> ItemInputs:
        values: dict[str, FloatMatrix] = {}
        present: dict[str, BoolArray] = {}
        for name, project, stored in (
            (PHOTO, self.photo, catalogue.image),
            (TEXT, self.text, catalogue.text),
        ):
            if project is not None:
                known = stored.present
                width = project.axes.shape[1]
                values[name] = np.zeros((len(catalogue), width), np.float32)
                values[name][known] = project(stored.vectors[known])
                present[name] = known
        for name, lexicon in ((WORDS, self.words), (SPELLING, self.spelling)):
            if lexicon is not None:
                values[name] = lexicon(catalogue.words)
                present[name] = np.linalg.norm(values[name], axis=1) > 0
        attributes = self._attributes(catalogue)
        if attributes is not None:
            values[ATTRIBUTES] = attributes
            present[ATTRIBUTES] = np.linalg.norm(attributes, axis=1) > 0
        if self.general is not None:
            of_others, there = self.general(catalogue)
            values |= of_others
            present |= there
        return ItemInputs(values, present)

    def _attributes(self, catalogue: Catalogue) -> FloatMatrix | None:
        """Category, brand and named attributes beside the price level, as unit rows."""
        parts = []
        if self.attributes is not None:
            parts.append(unit_rows(self.attributes(attribute_texts(catalogue))))
        if self.price_range is not None:
            prices = catalogue.frame[tables.PRICE].to_numpy(dtype=np.float64)
            parts.append(PRICE_WEIGHT * price_levels(prices, self.price_range))
        return unit_rows(np.hstack(parts)) if parts else None


def attribute_texts(catalogue: Catalogue) -> list[str]:
    """Each item's category levels, brand and attribute values, each one word."""
    texts = []
    for item_id, category, brand, attributes in zip(
        catalogue.item_ids,
        catalogue.frame[tables.CATEGORY],
        catalogue.frame[tables.BRAND],
        catalogue.frame[tables.ATTRIBUTES],
        strict=True,
    ):
        levels = tables.category_levels(category if isinstance(category, str) else None)
        brands = [brand] if isinstance(brand, str) else []
        words = [*levels, *brands, *attribute_values(attributes, item_id)]
        texts.append(" ".join("".join(c if c.isalnum() else "_" for c in word) for word in words))
    return texts


def price_levels(prices: npt.NDArray[np.float64], price_range: tuple[float, float]) -> FloatMatrix:
    """(N, PRICE_BINS) unit rows: Gaussian bumps over the log price; zero where unknown.

    The dot product of two rows falls smoothly with the distance of the two log prices. However far
    a price lies beyond the range, it is known to lie at that end.
    """
    centres = np.linspace(*price_range, PRICE_BINS)
    width = max(float(centres[1] - centres[0]), 1e-3)
    known = np.isfinite(prices) & (prices > 0)
    logs = np.log(np.where(known, prices, 1.0))
    away = ((logs[:, None] - centres) / width) ** 2
    nearest = away.min(axis=1, keepdims=True)
    bumps = np.exp(-0.5 * (away - np.where(nearest > FAR, nearest, 0.0))) * known[:, None]
    return unit_rows(bumps.astype(np.float32))


def unit_rows(matrix: FloatMatrix) -> FloatMatrix:
    """Rows scaled to length 1; a zero row stays zero."""
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    return np.asarray(matrix / np.where(norms > 0, norms, 1.0), dtype=np.float32)


def leading_axes(matrix: FloatMatrix | sparse.csr_matrix, *, width: int, seed: int) -> FloatMatrix:
    """(D, R) orthonormal columns: the leading right singular vectors of (N, D) rows, R ≤ width."""
    rank = min(width, *matrix.shape)
    _, _, axes = randomized_svd(matrix, n_components=rank, random_state=seed)
    return np.ascontiguousarray(axes.T, dtype=np.float32)


def _drawn(count: int, *, seed: int) -> slice | npt.NDArray[np.int64]:
    """Rows that axes are found on: all, or TOLD_ON of them."""
    if count <= TOLD_ON:
        return slice(None)
    return np.sort(np.random.default_rng(seed).choice(count, TOLD_ON, replace=False))


def _fit_projection(stored: Embeddings, *, width: int, seed: int) -> Projection | None:
    known = stored.vectors[stored.present]
    if len(known) < 2:
        return None
    return Projection.fit(known, width=width, seed=seed)


def _price_range(prices: "pd.Series[float]") -> tuple[float, float] | None:
    known = prices[prices > 0].astype(float)
    if known.nunique() < 2:
        return None
    low, high = np.log(known.quantile([0.02, 0.98]).to_numpy())
    return (float(low), float(max(high, low + 1e-3)))
