"""How well an encoder's vectors find what belongs together: by category, and photos by titles."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from coldstart_models.data.catalogue import BoolArray, FloatMatrix
from coldstart_models.metrics import FloatArray
from validation import tables
from validation.alignment import folds, held_out

DEPTHS: Final = (1, 10)
MIN_CATEGORY: Final = 5
"""Items from which a level of the category path is large enough to look for."""
BLOCK: Final = 1_024
"""Queries whose similarities to all items are held at once."""


def unit(vectors: npt.NDArray[np.floating]) -> FloatMatrix:
    """Rows at length 1; a zero row stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)


def category_labels(categories: Sequence[str | None]) -> list[tuple[str, ...] | None]:
    """Each item's deepest level of its category path that has MIN_CATEGORY items, root first.

    None where no level has.
    """
    paths = [tuple(tables.category_levels(category)) for category in categories]
    counts = Counter(path[:depth] for path in paths for depth in range(1, len(path) + 1))
    return [
        next((path[:n] for n in range(len(path), 0, -1) if counts[path[:n]] >= MIN_CATEGORY), None)
        for path in paths
    ]


def same_category(vectors: FloatMatrix, categories: Sequence[str | None]) -> FloatArray:
    """(Q, 2) precision at 1 and 10 of every item that has a label.

    The share of an item's nearest others, by cosine of centred vectors, that are in the label's
    category or below it; where that has fewer than ten others, of as many nearest ones as it has.

    Args:
        vectors: (N, D).
        categories: (N,) paths.
    """
    paths = [tuple(tables.category_levels(category)) for category in categories]
    labels = category_labels(categories)
    queries = np.array([row for row, label in enumerate(labels) if label is not None], np.int64)
    names = sorted({label for label in labels if label is not None})
    inside = np.array([[path[: len(name)] == name for path in paths] for name in names], bool)
    inside = inside.reshape(len(names), len(paths))
    number = {name: row for row, name in enumerate(names)}
    centred = unit(vectors - vectors.mean(axis=0)) if len(vectors) else vectors
    found = []
    for first in range(0, len(queries), BLOCK):
        rows = queries[first : first + BLOCK]
        similarity = centred[rows] @ centred.T
        similarity[np.arange(len(rows)), rows] = -np.inf
        nearest = _nearest(similarity, max(DEPTHS))
        members = inside[[number[labels[row]] for row in rows]]
        hits = np.take_along_axis(members, nearest, axis=1)
        others = members.sum(axis=1) - 1
        found.append(np.column_stack([_precision(hits, others, depth) for depth in DEPTHS]))
    return np.concatenate(found) if found else np.zeros((0, len(DEPTHS)))


def nearest_others(near: FloatMatrix, depth: int) -> npt.NDArray[np.int64]:
    """(N, ≤ depth) rows nearest to each row by their product, nearest first, itself last.

    Of N rows BLOCK × N products are held at once.
    """
    found = [np.zeros((0, min(depth, len(near))), np.int64)]
    for first in range(0, len(near), BLOCK):
        similarity = near[first : first + BLOCK] @ near.T
        rows = np.arange(len(similarity))
        similarity[rows, first + rows] = -np.inf
        found.append(_nearest(similarity, depth))
    return np.concatenate(found)


def own_ranks(queries: FloatMatrix, answers: FloatMatrix) -> npt.NDArray[np.int64]:
    """(N,) how many other answers are as near to each query as its own, or nearer.

    What is not a number counts as nearer: vectors that are all alike, or broken, find nothing.
    """
    queries, answers = unit(queries), unit(answers)
    ranks = [np.zeros(0, np.int64)]
    for first in range(0, len(queries), BLOCK):
        similarity = queries[first : first + BLOCK] @ answers.T
        rows = np.arange(len(similarity))
        own = similarity[rows, first + rows]
        ranks.append((~(similarity < own[:, None])).sum(axis=1) - 1)
    return np.concatenate(ranks)


def likeness_agreement(ours: FloatMatrix, theirs: FloatMatrix) -> float:
    """Correlation over all pairs of N rows of their products in one space and in another.

    By sums of what the spaces' numbers have in common, so that no pair is held: the sum over all
    i, j of (uᵢ·uⱼ)(vᵢ·vⱼ) is the squared norm of Uᵀ V. NaN of fewer than three rows.

    Args:
        ours: (N, D).
        theirs: (N, E).
    """
    if len(ours) < 3:
        return float("nan")
    one, two = ours.astype(np.float64), theirs.astype(np.float64)
    means = [_pair_mean(values.sum(axis=0), values) for values in (one, two)]
    shared, own, other = (
        _pair_mean(left.T @ right, left, right) - means[a] * means[b]
        for left, right, a, b in ((one, two, 0, 1), (one, one, 0, 0), (two, two, 1, 1))
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(shared / np.sqrt(own * other))


def _pair_mean(whole: npt.NDArray[np.float64], *spaces: npt.NDArray[np.float64]) -> np.float64:
    """Mean over pairs of different rows, from the root of the sum over all pairs."""
    alone = np.prod([(space**2).sum(axis=1) for space in spaces], axis=0).sum()
    count = len(spaces[0])
    return np.float64(((whole**2).sum() - alone) / (count * (count - 1)))


def title_to_photo(
    photos: FloatMatrix, texts: FloatMatrix, *, shared: bool, seed: int = 0
) -> FloatArray:
    """(N, 2) whether each text finds its own photo among the first 1 and 10 of its fold.

    In a shared space by cosine as it is; otherwise by a ridge map that was learned on the other
    four folds. A fold has a fifth of the N pairs, the same ones for all encoders.

    Args:
        photos: (N, P).
        texts: (N, T); P = T in a shared space.
    """
    hits = np.zeros((len(photos), len(DEPTHS)))
    for held, answers, text_mean in _folds(photos, texts, shared=shared, seed=seed):
        similarity = unit(texts[held] - text_mean) @ unit(answers).T
        own = _nearest(similarity, max(DEPTHS)) == np.arange(len(held))[:, None]
        hits[held] = np.column_stack([own[:, :depth].any(axis=1) for depth in DEPTHS])
    return hits


def _folds(
    photos: FloatMatrix, texts: FloatMatrix, *, shared: bool, seed: int
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.floating], npt.NDArray[np.floating]]]:
    """Each fold's rows, its photos in the texts' space, and what is to be taken off its texts."""
    generator = np.random.default_rng(seed)
    if not shared:
        yield from held_out(photos, texts, generator=generator)
        return
    for held in folds(len(photos), generator=generator):
        yield held, photos[held], np.zeros(texts.shape[1])


def _nearest(similarity: FloatMatrix, depth: int) -> npt.NDArray[np.int64]:
    """(Q, depth) columns, most similar first; ties break by column, which is by item id."""
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :depth]
    return np.asarray(order, dtype=np.int64)


def _precision(hits: BoolArray, others: npt.NDArray[np.int64], depth: int) -> FloatArray:
    """(Q,) share of hits in the first `depth` places, or in as many as there are others."""
    asked = np.minimum(others, depth)
    inside = np.arange(hits.shape[1]) < asked[:, None]
    return np.asarray((hits & inside).sum(axis=1) / asked, dtype=np.float64)
