"""The two ends of the scale: chance, and the truth itself."""

import numpy as np
import pandas as pd

from coldstart_models.data.catalogue import FloatMatrix
from coldstart_models.errors import ConfigError
from coldstart_models.ranker import RankingTask, TrainingSet
from validation import tables


class RandomRanker:
    """Scores drawn from (seed, user, item) alone, whatever else is asked with them."""

    name = "random"

    def fit(self, training: TrainingSet, *, seed: int) -> None:
        self._seed = seed
        self._num_items = len(training.catalogue)

    def score(self, task: RankingTask) -> FloatMatrix:
        """(U, C) uniform in [0, 1)."""
        rows = [
            np.random.default_rng([self._seed, int(user)]).random(self._num_items, np.float32)
            for user in task.user_index
        ]
        drawn = np.stack(rows) if rows else np.zeros((0, self._num_items), np.float32)
        return np.asarray(drawn[:, task.candidates], dtype=np.float32)


class OracleRanker:
    """Ranks by the utilities the choices were drawn from: the ceiling on generated data.

    `truth` holds `user_id`, `item_id` and `utility` of every user and ranked item.
    """

    name = "oracle"

    def __init__(self, truth: pd.DataFrame) -> None:
        self._truth = truth

    def fit(self, training: TrainingSet, *, seed: int) -> None:
        """Align the utilities with the log's numbers. The seed has no influence."""
        interactions, catalogue = training.interactions, training.catalogue
        users = pd.Index(interactions.user_ids).get_indexer(pd.Index(self._truth[tables.USER_ID]))
        items = pd.Index(catalogue.item_ids).get_indexer(pd.Index(self._truth[tables.ITEM_ID]))
        known = (users >= 0) & (items >= 0)
        utilities = np.full((interactions.num_users, len(catalogue)), np.nan, np.float32)
        utilities[users[known], items[known]] = self._truth["utility"].to_numpy()[known]
        self._utilities = utilities
        self._user_ids, self._item_ids = interactions.user_ids, catalogue.item_ids

    def score(self, task: RankingTask) -> FloatMatrix:
        """(U, C) utilities. Raises ConfigError naming a pair the truth lacks."""
        scores = self._utilities[np.ix_(task.user_index, task.candidates)]
        if np.isnan(scores).any():
            row, column = np.argwhere(np.isnan(scores))[0]
            user = self._user_ids[task.user_index[row]]
            item = self._item_ids[task.candidates[column]]
            raise ConfigError(
                f"the truth lacks {int(np.isnan(scores).sum())} of {scores.size} asked "
                f"utilities, the first of user {user!r} and item {item!r}"
            )
        return np.asarray(scores, dtype=np.float32)
