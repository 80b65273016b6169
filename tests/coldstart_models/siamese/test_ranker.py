"""The Siamese rankers keep the contract of every ranker."""

from dataclasses import replace

import numpy as np
import pytest

from coldstart_models.data.episodes import launch_episodes, supported, with_support
from coldstart_models.data.splits import cutoff_split
from coldstart_models.errors import NotEnoughData
from coldstart_models.ranker import RankingTask, TrainingSet
from coldstart_models.siamese.ranker import SiameseRanker
from coldstart_models.siamese.togetherness import fit_togetherness
from tests.coldstart_models.checkerboard import (
    CUTOFF,
    board,
    board_rows,
    interactions_of,
    titled,
    training_of,
)
from tests.coldstart_models.ranker_contract import RankerContract


class TestSiamese(RankerContract):
    @classmethod
    def build(cls):
        return SiameseRanker(meta=False, dates=False)


class TestSiameseMeta(RankerContract):
    @classmethod
    def build(cls):
        return SiameseRanker(meta=True, dates=False)


def training_on_the_board() -> TrainingSet:
    catalogue = board()
    interactions = interactions_of(board_rows(), catalogue)
    return cutoff_split(catalogue, interactions, CUTOFF, dated=True).training_set(catalogue)


def assert_own_group_first(training: TrainingSet, *, meta: bool) -> None:
    """Fitted on it, a user of each group ranks the group's new items first."""
    ranker = SiameseRanker(meta=meta, dates=False)
    ranker.fit(training, seed=0)
    users = np.array([0, 20])  # one of each group
    cold = np.flatnonzero(~training.warm)
    task = RankingTask(users, training.interactions.histories(users), cold)
    best = np.argsort(-ranker.score(task), axis=1)[:, :5]
    groups = np.array([training.catalogue.item_ids[item][0] for item in cold])
    assert groups[best].tolist() == [["a"] * 5, ["b"] * 5]


def test_users_of_a_group_rank_its_new_items_first():
    assert_own_group_first(training_on_the_board(), meta=False)


def test_a_later_event_changes_no_score():
    catalogue = board()
    rows = board_rows()
    moved = [*rows, ("a-user00", "b16", 110.0), ("b-user03", "a15", 119.0)]
    scores = []
    for log in (rows, moved):
        split = cutoff_split(catalogue, interactions_of(log, catalogue), CUTOFF, dated=True)
        training = split.training_set(catalogue)
        ranker = SiameseRanker(meta=False, dates=False)
        ranker.fit(training, seed=0)
        users = np.arange(4)
        task = RankingTask(
            users, training.interactions.histories(users), np.flatnonzero(~training.warm)
        )
        scores.append(ranker.score(task))
    np.testing.assert_array_equal(scores[0], scores[1])


def test_where_nobody_chose_twice_content_ranks():
    training = training_on_the_board()
    _, first = np.unique(training.interactions.user_index, return_index=True)
    once = np.zeros(len(training.interactions), bool)
    once[first] = True
    once_each = replace(training, interactions=training.interactions.where(once))
    assert_own_group_first(once_each, meta=True)


def test_without_a_choice_there_is_nothing_to_learn_from():
    training = training_on_the_board()
    nothing = replace(training, interactions=training.interactions.before(0))
    with pytest.raises(NotEnoughData, match="no positive event"):
        SiameseRanker(meta=False, dates=False).fit(nothing, seed=0)


def test_without_content_there_is_nothing_to_learn_from() -> None:
    training = training_on_the_board()
    bare = titled(dict.fromkeys(training.catalogue.item_ids, ""))
    with pytest.raises(NotEnoughData, match="no known item has a photo"):
        SiameseRanker(meta=False, dates=False).fit(replace(training, catalogue=bare), seed=0)


def many_launches(*, people: int = 60) -> TrainingSet:
    """200 items launched one after another, and users who each choose every third."""
    catalogue = titled({f"i{number:03}": f"item {number}" for number in range(200)})
    rows = [
        (f"u{user:02}", f"i{number:03}", number + user / 100)
        for number in range(200)
        for user in range(people)
        if (number + user) % 3 == 0
    ]
    return training_of(rows, catalogue)


def test_rankers_that_share_a_pretrained_model_share_what_was_found_of_its_pasts(monkeypatch):
    training, shared = many_launches(), {}
    users = np.arange(6)
    task = RankingTask(users, training.interactions.histories(users), np.arange(150, 200))
    fits = []

    def counted(*given, **named):
        fits.append(len(given[0]))
        return fit_togetherness(*given, **named)

    monkeypatch.setattr("coldstart_models.siamese.preparing.fit_togetherness", counted)
    SiameseRanker(meta=False, dates=False, pretrained=shared).fit(training, seed=0)
    before = len(fits)
    scores = []
    for pretrained in (shared, {}):
        fits.clear()
        ranker = SiameseRanker(meta=True, dates=False, pretrained=pretrained)
        ranker.fit(training, seed=0)
        scores.append((ranker.score(task), len(fits)))
    (with_it, few), (without, many) = scores
    np.testing.assert_array_equal(with_it, without)
    assert before > 0
    assert many == before + few  # meta-training fits the pasts of its categories alone


def test_launch_episodes_know_nothing_of_their_items_or_of_the_validation_episode():
    training = many_launches()
    learning, validation = launch_episodes(training)
    assert validation is not None
    seen: set[int] = set()
    for episode in [*learning, validation]:
        candidates = set(episode.task.candidates.tolist())
        assert not candidates & seen
        seen |= candidates
        assert not candidates & set(episode.past.item_index.tolist())
        assert not candidates & set(episode.task.histories.item_index.ravel().tolist())
    first_validation_us = min(
        training.interactions.first_time_us()[validation.task.candidates].tolist()
    )
    assert all(episode.past.time_us.max() < first_validation_us for episode in learning)


def test_support_leaves_the_query_and_items_without_more_users_leave_the_pool():
    training = many_launches()
    _, validation = launch_episodes(training)
    assert validation is not None
    few = with_support(
        validation, training.interactions, shots=3, generator=np.random.default_rng(0)
    )
    assert few is not None
    marks = supported(few.task)
    assert not (few.chosen & marks).any()
    assert (few.popularity > 3).all()
    support = few.task.support
    assert support is not None
    assert np.bincount(support.item_index, minlength=200)[few.task.candidates].tolist() == [
        3
    ] * len(few.task.candidates)


def test_a_large_cohort_is_thinned_evenly(monkeypatch):
    monkeypatch.setattr("coldstart_models.data.episodes.MAX_POOL", 25)
    training = many_launches()
    learning, validation = launch_episodes(training)
    assert validation is not None
    for episode in [*learning, validation]:
        assert 20 <= len(episode.task.candidates) <= 25
