"""Which past problems first customers are learned from: those of the department that is ranked."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from coldstart_models.data.episodes import Episode
from coldstart_models.ranker import FEWEST_TARGETS, TrainingSet
from coldstart_models.siamese import stages
from coldstart_models.siamese.problems import EpisodeSet, of_the_target, past_episodes
from coldstart_models.siamese.stages import meta_train, pretrain
from coldstart_models.siamese.training import Schedule
from tests.coldstart_models.departments import LAUNCHES, two_departments
from tests.coldstart_models.siamese.test_training import state

BRIEF = Schedule(steps=20)


@pytest.fixture(scope="module")
def shop() -> TrainingSet:
    return two_departments(home=LAUNCHES // 2)


def everywhere(training: TrainingSet, *, by_time: bool = True) -> EpisodeSet:
    return past_episodes(training.of_all_domains(), seed=0, by_time=by_time)


def problems(episodes: EpisodeSet) -> list[Episode]:
    return [*episodes.learning, *episodes.validation]


def test_launches_of_the_target_are_of_the_same_moments_and_share_what_was_known(
    shop: TrainingSet,
) -> None:
    whole = everywhere(shop)
    whole.seen.update({id(one.past): cast(Any, one.asked_us) for one in problems(whole)})
    own = of_the_target(whole, shop)
    assert len(own.learning) == len(whole.learning)
    for mine, all_of_it in zip(problems(own), problems(whole), strict=True):
        assert shop.target[mine.task.candidates].all()
        assert not shop.target[all_of_it.task.candidates].all()
        assert mine.past is all_of_it.past
        assert not np.isin(mine.past.item_index, mine.task.candidates).any()
        assert own.seen[id(mine.past)] == mine.asked_us


def test_what_is_known_of_a_past_that_no_launch_of_the_target_shares_is_dropped(
    shop: TrainingSet,
) -> None:
    whole = everywhere(shop)
    whole.seen.update({0: cast(Any, "gone"), id(whole.validation[0].past): cast(Any, "kept")})
    assert list(of_the_target(whole, shop).seen.values()) == ["kept"]


@pytest.mark.parametrize("which", ["one domain", "few of the target", "held out"])
def test_otherwise_the_problems_are_those_of_every_domain(shop: TrainingSet, which: str) -> None:
    training = {
        "one domain": shop.of_all_domains(),
        "few of the target": two_departments(home=FEWEST_TARGETS - 1),
        "held out": shop,
    }[which]
    whole = everywhere(training, by_time=which != "held out")
    assert of_the_target(whole, training) is whole


def test_few_launches_of_the_target_leave_those_of_every_domain(shop: TrainingSet) -> None:
    early = shop.target & (np.arange(LAUNCHES) < LAUNCHES // 2)
    training = replace(shop, target=early)
    assert (training.rehearsable == early).all()
    whole = everywhere(training)
    assert of_the_target(whole, training) is whole


def test_learners_rehearse_on_the_target_and_weights_learn_on_every_domain(
    shop: TrainingSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsed: list[Episode] = []
    asked: list[Any] = []

    def with_shots(episodes: Sequence[Episode], *_: Any, **__: Any) -> list[Episode]:
        rehearsed.extend(episodes)
        return []

    original = stages.past_episodes

    def past(training: TrainingSet, **options: Any) -> EpisodeSet:
        asked.append(training.target)
        return original(training, **options)

    monkeypatch.setattr(stages, "with_shots", with_shots)
    monkeypatch.setattr(stages, "past_episodes", past)
    model = pretrain(shop, dates=False, seed=0, schedule=BRIEF)
    weights = state(model.network)
    of_all = pretrain(shop.of_all_domains(), dates=False, seed=0, schedule=BRIEF)
    differ = {
        name for name, value in state(of_all.network).items() if not value.equal(weights[name])
    }
    assert differ == {name for name in weights if name.startswith("pace.")}
    meta_train(model, shop, seed=0, schedule=BRIEF)
    assert all(target.all() for target in asked)
    kinds = [one for one in rehearsed if one.asked_us is None]
    assert len(rehearsed) > len(kinds) > 0
    assert all(shop.target[one.task.candidates].all() for one in rehearsed)
