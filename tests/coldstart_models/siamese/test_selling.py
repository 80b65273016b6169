"""What sells now: choices count half after a half-life, and known items are ranked by them."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from coldstart_models.data.episodes import known_episode
from coldstart_models.ranker import RankingTask, TrainingSet
from coldstart_models.siamese.ranker import SiameseRanker
from coldstart_models.siamese.selling import WEIGHTS, RecentChoices
from feature_repo.feature_tables import POPULARITY_HALF_LIFE
from tests.coldstart_models.checkerboard import titled, training_of

WEEK_US = POPULARITY_HALF_LIFE // timedelta(microseconds=1)
ITEMS, USERS, DAYS, LASTS = 90, 120, 100, 10


def test_a_choice_counts_half_after_every_half_life() -> None:
    items, times = np.array([0, 1, 1, 2]), np.array([0, WEEK_US, 0, 2 * WEEK_US])
    recent = RecentChoices.of(items, times, num_items=4)
    assert recent.until_us == 2 * WEEK_US
    assert recent.sums == pytest.approx([0.25, 0.5 + 0.25, 1.0, 0.0])


@pytest.mark.parametrize("first", [0, 1, 7, 20])
def test_counted_in_parts_and_in_any_order_it_is_the_same(first: int) -> None:
    generator = np.random.default_rng(first)
    items, times = generator.integers(0, 5, 20), generator.integers(0, 9 * WEEK_US, 20)
    whole = RecentChoices.of(items, times, num_items=5)
    part = RecentChoices.of(items[:first], times[:first], num_items=5)
    together = part.later(items[first:], times[first:])
    assert together.until_us == whole.until_us
    assert together.sums == pytest.approx(whole.sums)


def test_known_items_stand_in_their_own_deviations_and_new_ones_nowhere() -> None:
    recent = RecentChoices(np.array([0.0, 3.0, 1.0, 9.0]), 0)
    found = recent.standing(np.array([True, True, True, False]))
    assert found[3] == 0.0
    assert found[:3].mean() == pytest.approx(0.0, abs=1e-6)
    assert found[:3].std() == pytest.approx(1.0)
    assert found[0] < found[2] < found[1]


@pytest.mark.parametrize("known", [[True, True], [True, False], [False, False]])
def test_where_all_sell_alike_nothing_is_told(known: list[bool]) -> None:
    recent = RecentChoices(np.array([2.0, 2.0]), 0)
    assert recent.standing(np.array(known)).tolist() == [0.0, 0.0]


def shop(*, fashions: bool, dated: bool = True) -> TrainingSet:
    """Things of no content that people choose one a day: each at any time, or a few in its days."""
    generator = np.random.default_rng(0)
    ids = [f"i{number:02}" for number in range(ITEMS)]
    rows = []
    for user in range(USERS):
        for day in range(DAYS):
            if (user + day) % 5:
                continue
            first = day // LASTS * 3 if fashions else 0
            item = first + generator.integers(0, 12 if fashions else ITEMS)
            rows.append((f"u{user:03}", ids[item % ITEMS], day + user / USERS))
    catalogue = titled(dict.fromkeys(ids, "thing"))
    return training_of(rows, catalogue, dated=dated)


def test_what_is_learned_from_is_first_choices_of_what_was_known() -> None:
    training = shop(fashions=False)
    episode = known_episode(training)
    assert episode is not None
    assert episode.asked_us is not None
    log, past = training.interactions, episode.past
    assert past.time_us.max() < episode.asked_us
    assert episode.asked_us == pytest.approx(0.75 * log.time_us.max() + 0.25 * log.time_us.min())
    before, candidates = past.matrix().toarray(), episode.task.candidates
    assert before.sum(axis=0)[candidates].all()
    users = episode.task.user_index
    later = log.where(log.time_us >= episode.asked_us).matrix().toarray()
    expected = (later > before)[np.ix_(users, candidates)]
    assert np.array_equal(episode.chosen, expected)
    assert episode.chosen.any(axis=1).all()


@pytest.mark.parametrize("without", ["dates", "choices"])
def test_without_dates_or_choices_there_is_nothing_to_learn_from(without: str) -> None:
    training = shop(fashions=False, dated=without != "dates")
    if without == "choices":
        nobody = np.zeros(len(training.interactions), bool)
        training = replace(training, interactions=training.interactions.where(nobody))
    assert known_episode(training) is None


def told(ranker: SiameseRanker, training: TrainingSet) -> tuple[float, float]:
    """The weight, and how far what sold last is ahead of the rest by its mean score."""
    assert ranker._model is not None
    log = training.interactions
    users = np.arange(0, USERS, 5)
    task = RankingTask(users, log.histories(users), np.arange(ITEMS))
    scores = ranker.score(task).mean(axis=0)
    last = np.zeros(ITEMS, bool)
    last[log.item_index[log.time_us > log.time_us.max() - WEEK_US]] = True
    weight = float(ranker._model.network.selling_weight)
    return weight, float(scores[last].mean() - scores[~last].mean())


def test_where_fashions_change_what_sells_now_comes_first() -> None:
    training = shop(fashions=True)
    ranker = SiameseRanker(meta=False, dates=False)
    ranker.fit(training, seed=0)
    weight, ahead = told(ranker, training)
    assert weight in WEIGHTS[1:]
    assert ahead > 1.0


def test_where_anything_sells_at_any_time_and_where_nothing_tells_it_counts_for_nothing() -> None:
    for training in (shop(fashions=False), shop(fashions=True, dated=False)):
        ranker = SiameseRanker(meta=False, dates=False)
        ranker.fit(training, seed=0)
        assert told(ranker, training)[0] == 0.0
