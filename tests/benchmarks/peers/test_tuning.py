from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from benchmarks.peers import tuning
from benchmarks.peers.kept import Kept
from benchmarks.peers.registry import PUBLISHED, build_peer
from coldstart_models.data.pools import cold_pool
from coldstart_models.errors import ConfigError
from tests.benchmarks.peers.short_descents import short_descents as short_descents
from tests.coldstart_models.checkerboard import (
    board,
    board_split,
)


@dataclass(frozen=True)
class Likes:
    """Which group's items it puts first."""

    group: str = "a"

    @classmethod
    def suggested(cls, trial):
        return cls(group=trial.suggest_categorical("group", ["a", "own"]))


class Follower:
    """Knows users and items by their ids; ranks one group first for everybody, or one's own."""

    name = "follower"
    seen: ClassVar[list] = []

    def __init__(self, settings):
        self.settings = settings

    def fit(self, training, *, seed):
        self.seen.append(training)
        self.users = np.array([user[0] for user in training.interactions.user_ids])
        self.items = np.array([item[0] for item in training.catalogue.item_ids])

    def score(self, task):
        items = self.items[task.candidates]
        if self.settings.group == "a":
            return np.tile(items == "a", (len(task.user_index), 1)).astype(np.float32)
        return (self.users[task.user_index][:, None] == items).astype(np.float32)


@pytest.fixture
def split():
    return board_split()[1]


def tuned(trials):
    Follower.seen.clear()
    return tuning.TunedRanker("follower", Likes, Follower, trials=trials)


def test_the_settings_that_rank_the_validation_cut_best_are_kept(split):
    ranker = tuned(8)
    ranker.fit(split.training_set(board()), seed=0)
    assert len(ranker.trials) == 8
    assert ranker.trials[0].settings == {"group": "a"}
    assert {trial.settings["group"]: trial.ndcg for trial in ranker.trials}["own"] == 1.0
    task = cold_pool(split).task
    own = split.training.user_ids[task.user_index][0][0]
    best = board().item_ids[task.candidates[ranker.score(task)[0].argmax()]]
    assert best[0] == own


class Heeder(Follower):
    """Ranks one's own group first until customers are known; then, if it heeds them, the other."""

    name = "heeder"

    def score(self, task):
        own = super().score(task)
        return own if task.support is None or self.settings.group == "own" else -own


@dataclass(frozen=True)
class Heeds(Likes):
    """Both settings know one's own group without support."""

    group: str = "heeds"

    @classmethod
    def suggested(cls, trial):
        return cls(group=trial.suggest_categorical("group", ["heeds", "own"]))


def test_a_peer_that_adapts_is_judged_with_first_customers_as_well(split):
    training = split.training_set(board())
    for adapts in (False, True):
        Heeder.seen.clear()
        ranker = tuning.TunedRanker("heeder", Heeds, Heeder, trials=8, adapts=adapts)
        ranker.fit(training, seed=0)
        found = {trial.settings["group"]: trial.ndcg for trial in ranker.trials}
        assert found["own"] == 1.0
        assert (found["heeds"] == 1.0) == (not adapts)
        assert ranker.trials[0].settings == {"group": "heeds"}


def test_the_validation_cut_with_support_is_the_same_listings_with_their_first_customers(split):
    training = split.training_set(board())
    pools = tuning.supported(training, by_time=True, seed=0)
    assert [pool.shots for pool in pools] == [1, 3, 10]
    listings = set(tuning.validation_task(training, by_time=True, seed=0).task.candidates)
    for pool in pools:
        assert set(pool.task.candidates) <= listings
        _, counts = np.unique(pool.task.support.item_index, return_counts=True)
        assert set(counts) == {pool.shots}


def test_trials_see_nothing_of_the_items_that_they_are_judged_on(split):
    ranker = tuned(3)
    training = split.training_set(board())
    ranker.fit(training, seed=0)
    *past, last = Follower.seen
    assert last is training
    for one in past:
        held_out = training.warm & ~one.warm
        assert held_out.any()
        assert not held_out[one.interactions.item_index].any()


def test_one_trial_leaves_the_default(split):
    ranker = tuned(1)
    ranker.fit(split.training_set(board()), seed=0)
    assert len(Follower.seen) == 1
    assert ranker.trials == []


@pytest.mark.usefixtures("short_descents")
@pytest.mark.parametrize("name", list(PUBLISHED))
def test_every_peer_tunes_itself_by_the_same_number_of_trials(split, name):
    ranker = build_peer(name, by_time=True, trials=2)
    ranker.fit(split.training_set(board()), seed=0)
    assert len(ranker.trials) == 2
    assert np.isfinite(ranker.score(cold_pool(split).task)).all()


def test_an_unknown_peer_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="known: lightfm, als-map"):
        build_peer("lightfmm", by_time=True)


def test_what_was_computed_once_is_kept_for_the_same_warm_items_events_and_seed(split):
    kept, training = Kept(), split.training_set(board())
    assert kept("x", training, 0, lambda: 1) == 1
    assert kept("x", split.training_set(board()), 0, lambda: 2) == 1
    assert kept("x", training, 1, lambda: 3) == 3
    fewer = replace(training, interactions=training.interactions.before(10**15))
    assert kept("x", fewer, 0, lambda: 4) == 4
    assert kept("y", training, 0, lambda: 5) == 5


class Astray(Follower):
    """Learning goes astray by one of its settings."""

    def score(self, task):
        scores = super().score(task)
        return scores if self.settings.group == "own" else np.full_like(scores, np.nan)


def test_a_trial_whose_scores_are_no_numbers_is_worth_nothing(split):
    ranker = tuning.TunedRanker("astray", Likes, Astray, trials=8)
    ranker.fit(split.training_set(board()), seed=0)
    told = {trial.settings["group"]: trial.ndcg for trial in ranker.trials}
    assert told == {"a": 0.0, "own": 1.0}
