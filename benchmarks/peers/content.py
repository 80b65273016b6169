"""What peers read of an item: the Siamese scorer's own inputs, whole and as leading axes."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.peers.kept import Kept
from benchmarks.peers.latent import root_mean_square
from coldstart_models.data.catalogue import FloatMatrix
from coldstart_models.data.interactions import Histories
from coldstart_models.ranker import TrainingSet
from coldstart_models.siamese.content_map import content_matrix
from coldstart_models.siamese.inputs import Featurizer, leading_axes

WIDTH: Final = 192
"""Axes that networks read: it keeps a step of training cheap."""


@dataclass(frozen=True, slots=True)
class ItemContent:
    """N items, statistics fitted on the warm ones."""

    full: FloatMatrix
    """(N, D): photo, text, words, spelling, attributes and price level side by side."""
    axes: FloatMatrix
    """(N, W), W ≤ WIDTH: leading principal axes of `full`, of unit mean square."""


def item_content(training: TrainingSet, *, seed: int, kept: Kept) -> ItemContent:
    """The training set's items; D and W follow from what content there is."""
    return kept("content", training, seed, lambda: _item_content(training, seed))


def _item_content(training: TrainingSet, seed: int) -> ItemContent:
    featurizer = Featurizer.fit(training.catalogue, training.warm, seed=seed)
    full = content_matrix(featurizer(training.catalogue))
    warm = full[training.warm]
    mean = warm.mean(axis=0)
    axes = (full - mean) @ leading_axes(warm - mean, width=WIDTH, seed=seed)
    scale = root_mean_square(axes[training.warm])
    return ItemContent(full, np.asarray(axes / scale, np.float32))


def profiles(histories: Histories, vectors: FloatMatrix) -> FloatMatrix:
    """(B, W) mean vector of each history; zero where it is empty."""
    mask = histories.mask
    total = np.zeros((len(histories), vectors.shape[1]), np.float32)
    rows, places = np.nonzero(mask)
    np.add.at(total, rows, vectors[histories.item_index[rows, places]])
    return np.asarray(total / np.maximum(mask.sum(axis=1, keepdims=True), 1), np.float32)
