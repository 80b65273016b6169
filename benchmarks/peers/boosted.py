"""Gradient-boosted ranking on hand-made features: LambdaMART by LightGBM.

Source: Burges, "From RankNet to LambdaRank to LambdaMART", MSR-TR-2010-82; Ke et al., "LightGBM",
NeurIPS 2017. It learns on the same episodes as the Siamese scorer: launches of the past on a cut
in time, held-out items on a random cut. Features of an episode are computed on its own past.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from optuna.trial import BaseTrial

from benchmarks.peers.content import item_content
from benchmarks.peers.handmade import OF_ONE, Examples, PairContent, PairFeatures
from benchmarks.peers.kept import Kept
from coldstart_models.data.catalogue import FloatMatrix
from coldstart_models.data.episodes import Episode, launch_episodes
from coldstart_models.data.interactions import Interactions
from coldstart_models.errors import NotEnoughData
from coldstart_models.peers.content import content_spaces
from coldstart_models.peers.selection import validation_task
from coldstart_models.ranker import RankingTask, TrainingSet
from coldstart_models.siamese.problems import held_out_episodes

NEGATIVES: Final = 60
"""Candidates that a user did not choose, drawn for each user of an episode."""
USERS: Final = 500
"""Users of an episode that are learned from."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What is tuned."""

    trees: int = 100
    leaves: int = 15
    rate: float = 0.05
    least: int = 50
    """Rows of a leaf."""
    columns: float = 0.7
    """Share of the features that a tree sees."""
    of_one: bool = True
    """Whether features that are of the listing or of the user alone are among them."""

    @classmethod
    def suggested(cls, trial: BaseTrial) -> "Settings":
        return cls(
            trees=trial.suggest_int("trees", 20, 200),
            leaves=trial.suggest_categorical("leaves", [4, 7, 15, 31]),
            rate=trial.suggest_float("rate", 0.01, 0.2, log=True),
            least=trial.suggest_int("least", 10, 300, log=True),
            columns=trial.suggest_float("columns", 0.3, 1.0),
            of_one=trial.suggest_categorical("of_one", [True, False]),
        )


class Boosted:
    """`Ranker`: LambdaMART's score of the pair's features."""

    name = "lightgbm"

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        kept: Kept | None = None,
        by_time: bool = True,
    ) -> None:
        self._settings = settings or Settings()
        self._kept = kept or Kept()
        self._by_time = by_time

    def fit(self, training: TrainingSet, *, seed: int) -> None:
        """Raises NotEnoughData where no episode can be cut from the past."""
        from lightgbm import LGBMRanker

        name = f"examples {self._by_time}"
        examples = self._kept(name, training, seed, lambda: self._examples(training, seed))
        chosen = self._settings
        self._model: Any = LGBMRanker(
            n_estimators=chosen.trees,
            num_leaves=chosen.leaves,
            learning_rate=chosen.rate,
            min_child_samples=chosen.least,
            colsample_bytree=chosen.columns,
            random_state=seed,
            n_jobs=1,
            deterministic=True,
            force_row_wise=True,
            verbosity=-1,
        )
        self._features = self._kept(
            "features", training, seed, lambda: self._pairs(training.interactions, training, seed)
        )
        self._read = [
            place
            for place, feature in enumerate(self._features.names)
            if chosen.of_one or feature not in OF_ONE
        ]
        read = examples.features[:, self._read]
        self._model.fit(read, examples.chosen, group=examples.sizes)

    def score(self, task: RankingTask) -> FloatMatrix:
        scores = np.zeros((len(task.user_index), len(task.candidates)), np.float32)
        for rows, features in self._features.blocks(task):
            flat = features[:, :, self._read].reshape(-1, len(self._read))
            scores[rows] = self._model.booster_.predict(flat).reshape(len(rows), -1)
        return scores

    def _examples(self, training: TrainingSet, seed: int) -> Examples:
        generator = np.random.default_rng([seed, 23])
        parts = [
            self._of_episode(episode, training, seed, generator)
            for episode in self._episodes(training, seed)
        ]
        if not parts:
            raise NotEnoughData("the training set is too small to cut an episode from its past")
        return Examples(
            np.concatenate([part.features for part in parts]),
            np.concatenate([part.chosen for part in parts]),
            np.concatenate([part.sizes for part in parts]),
        )

    def _episodes(self, training: TrainingSet, seed: int) -> list[Episode]:
        """Launch episodes where the task is one of launches, else held-out items."""
        learning, validation = launch_episodes(training) if self._by_time else ([], None)
        if learning and validation is not None:
            return [*learning, validation]
        held_out = held_out_episodes(training, seed=seed)
        return [*held_out.learning, *held_out.validation] or self._validation(training, seed)

    def _validation(self, training: TrainingSet, seed: int) -> list[Episode]:
        """The validation cut, which also very small logs have."""
        cut = validation_task(training, by_time=self._by_time, seed=seed)
        if cut is None:
            return []
        counts = cut.chosen.sum(axis=0, dtype=np.float64)
        return [Episode(cut.training.interactions, cut.task, cut.chosen, counts)]

    def _of_episode(
        self, episode: Episode, training: TrainingSet, seed: int, generator: np.random.Generator
    ) -> Examples:
        users = generator.permutation(len(episode.task.user_index))[:USERS]
        task = episode.task.of_users(users)
        chosen = episode.chosen[users]
        count = chosen.shape[1]
        share = NEGATIVES / max(1, count)
        taken = chosen | (generator.random(chosen.shape) < share)
        features = [
            block[taken[rows]]
            for rows, block in self._pairs(episode.past, training, seed).blocks(task)
        ]
        return Examples(
            np.concatenate(features),
            chosen[taken].astype(np.int64),
            taken.sum(axis=1).astype(np.int64),
        )

    def _pairs(self, past: Interactions, training: TrainingSet, seed: int) -> PairFeatures:
        """Features that know these events, and the content of all the training set's items."""
        content = self._kept("pairs", training, seed, lambda: self._content(training, seed))
        return PairFeatures(past, content, training.catalogue, seed=seed)

    def _content(self, training: TrainingSet, seed: int) -> PairContent:
        return PairContent(
            content_spaces(training.catalogue, warm=training.warm),
            item_content(training, seed=seed, kept=self._kept).full,
        )
