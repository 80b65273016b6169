"""ALS factors with a learned map from content to item factors.

Source: Gantner et al., "Learning Attribute-to-Feature Mappings for Cold-Start Recommendations",
ICDM 2010, section IV: factorise what is warm, then predict a new item's factors from its
attributes. Here the factors are those of weighted ALS (`implicit`) instead of BPR, and the map
is a ridge regression on content vectors.
"""

from dataclasses import dataclass

import numpy as np
from optuna.trial import BaseTrial
from sklearn.linear_model import Ridge

from benchmarks.peers.content import item_content
from benchmarks.peers.kept import Kept
from benchmarks.peers.latent import Factors, als_factors
from coldstart_models.data.catalogue import FloatMatrix
from coldstart_models.data.interactions import Interactions
from coldstart_models.ranker import RankingTask, TrainingSet


@dataclass(frozen=True, slots=True)
class Settings:
    """What is tuned."""

    width: int = 64
    confidence: float = 10.0
    """α of ALS: a choice weighs α times as much as none. `implicit` takes it as it stands, where
    the paper (Hu et al., 2008) adds 1."""
    regularization: float = 1.0
    ridge: float = 10.0

    @classmethod
    def suggested(cls, trial: BaseTrial) -> "Settings":
        return cls(
            width=trial.suggest_categorical("width", [32, 64, 128]),
            confidence=trial.suggest_float("confidence", 1.0, 100.0, log=True),
            regularization=trial.suggest_float("regularization", 0.1, 100.0, log=True),
            ridge=trial.suggest_float("ridge", 0.3, 300.0, log=True),
        )


class AlsMap:
    """`Ranker`: the user's ALS factors times the factors that the content predicts."""

    name = "als-map"

    def __init__(self, settings: Settings | None = None, *, kept: Kept | None = None) -> None:
        self._settings = settings or Settings()
        self._kept = kept or Kept()

    def fit(self, training: TrainingSet, *, seed: int) -> None:
        content = item_content(training, seed=seed, kept=self._kept).full
        self._factors = mapped_factors(
            training.interactions, content, settings=self._settings, seed=seed
        )

    def score(self, task: RankingTask) -> FloatMatrix:
        return self._factors.scores(task)


def mapped_factors(
    interactions: Interactions, content: FloatMatrix, *, settings: Settings, seed: int
) -> Factors:
    """ALS factors, those of items without events predicted from content (N, D)."""
    factors = als_factors(
        interactions,
        width=settings.width,
        confidence=settings.confidence,
        regularization=settings.regularization,
        seed=seed,
    )
    counts = interactions.item_users()
    known = counts > 0
    # Factors of items with many users are the better known ones.
    ridge = Ridge(alpha=settings.ridge).fit(
        content[known], factors.items[known], sample_weight=np.log1p(counts[known])
    )
    items = np.where(known[:, None], factors.items, ridge.predict(content))
    return Factors(factors.users, items.astype(np.float32))
