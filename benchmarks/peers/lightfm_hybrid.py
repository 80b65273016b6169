"""LightFM: an item is the sum of the embeddings of its features.

Source: Kula, "Metadata Embeddings for User and Item Cold-start Recommendations", CBRecSys 2015,
by `lightfm-next`. Features are the words of the item (TF-IDF), the leading content axes (photo,
text embedding, category, price) as real-valued features, and, where tuning says so, the item
itself (the paper's LightFM with indicators). The loss is WARP (Weston et al., IJCAI 2011).
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from optuna.trial import BaseTrial
from scipy import sparse

from benchmarks.peers.content import item_content
from benchmarks.peers.kept import Kept
from benchmarks.peers.latent import require_events
from coldstart_models.data.catalogue import FloatMatrix
from coldstart_models.errors import NotEnoughData
from coldstart_models.ranker import RankingTask, TrainingSet

AXES: Final = 48
WORDS: Final = 24
"""Words of an item, the strongest by TF-IDF: LightFM's time grows with them."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What is tuned."""

    width: int = 32
    epochs: int = 15
    rate: float = 0.05
    penalty: float = 1e-6
    """L2 of items and users."""
    indicators: bool = True
    """Whether a warm item also has an embedding of its own."""

    @classmethod
    def suggested(cls, trial: BaseTrial) -> "Settings":
        return cls(
            width=trial.suggest_categorical("width", [16, 32, 64]),
            epochs=trial.suggest_int("epochs", 3, 20),
            rate=trial.suggest_float("rate", 0.01, 0.1, log=True),
            penalty=trial.suggest_float("penalty", 1e-7, 1e-4, log=True),
            indicators=trial.suggest_categorical("indicators", [True, False]),
        )


class LightFMHybrid:
    """`Ranker` over LightFM."""

    name = "lightfm"

    def __init__(self, settings: Settings | None = None, *, kept: Kept | None = None) -> None:
        self._settings = settings or Settings()
        self._kept = kept or Kept()

    def fit(self, training: TrainingSet, *, seed: int) -> None:
        from lightfm import LightFM

        require_events(training.interactions)
        chosen = self._settings
        features = self._kept("lightfm", training, seed, lambda: self._features(training, seed))
        if chosen.indicators:
            features = sparse.hstack([_indicators(training), features]).tocsr()
        model = LightFM(
            no_components=chosen.width,
            loss="warp",
            learning_rate=chosen.rate,
            item_alpha=chosen.penalty,
            user_alpha=chosen.penalty,
            random_state=seed,
        )
        known = np.flatnonzero(training.warm)  # what it compares choices with
        model.fit(
            training.interactions.matrix()[:, known].tocoo(),
            item_features=features[known],
            epochs=chosen.epochs,
            num_threads=1,
        )
        _, self._users = model.get_user_representations()
        bias, items = model.get_item_representations(features=features)
        self._items, self._bias = np.asarray(items), np.asarray(bias)

    def score(self, task: RankingTask) -> FloatMatrix:
        product = self._users[task.user_index] @ self._items[task.candidates].T
        # A user's bias moves all of the user's candidates alike.
        return np.asarray(product + self._bias[task.candidates], dtype=np.float32)

    def _features(self, training: TrainingSet, seed: int) -> Any:
        """(N, F) CSR: words and content axes, each part a row of about unit length."""
        axes = item_content(training, seed=seed, kept=self._kept).axes[:, :AXES]
        dense = sparse.csr_matrix(axes / np.sqrt((axes**2).sum(axis=1).mean() + 1e-9))
        words = _words(training)
        return sparse.hstack([words, dense] if words is not None else [dense]).tocsr()


def _words(training: TrainingSet) -> Any | None:
    """(N, V) TF-IDF of words and word pairs; None where the warm items have none."""
    from coldstart_models.peers.content import Space, content_vectors

    try:
        vectors = content_vectors(training.catalogue, Space.WORDS, warm=training.warm).vectors
    except NotEnoughData:
        return None
    return strongest(vectors, WORDS)


def _indicators(training: TrainingSet) -> Any:
    """(N, warm items): which warm item a row is; a new one is none."""
    warm = np.flatnonzero(training.warm)
    shape = (len(training.warm), len(warm))
    return sparse.csr_matrix((np.ones(len(warm), np.float32), (warm, np.arange(len(warm)))), shape)


def strongest(rows: Any, count: int) -> Any:
    """A CSR matrix with the `count` largest entries of each row alone."""
    order = np.lexsort((-rows.data, np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))))
    place = np.arange(rows.nnz) - np.repeat(rows.indptr[:-1], np.diff(rows.indptr))
    kept = np.zeros(rows.nnz, bool)
    kept[order[place < count]] = True
    data = np.where(kept, rows.data, 0).astype(np.float32)
    found = sparse.csr_matrix((data, rows.indices, rows.indptr), shape=rows.shape)
    found.eliminate_zeros()
    return found
