"""Which past problems are learned from: those of the department that is ranked."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from coldstart_models.data.episodes import Episode
from coldstart_models.ranker import FEWEST_TARGETS, TrainingSet
from coldstart_models.siamese import stages
from coldstart_models.siamese.problems import known_before, past_episodes
from coldstart_models.siamese.stages import meta_train, pretrain
from coldstart_models.siamese.training import Schedule
from tests.coldstart_models.departments import LAUNCHES, USERS, two_departments

BRIEF = Schedule(steps=20)


@pytest.fixture(scope="module")
def shop() -> TrainingSet:
    return two_departments(home=LAUNCHES // 2)


def asked(training: TrainingSet, *, by_time: bool = True) -> list[Episode]:
    found = past_episodes(training, seed=0, by_time=by_time)
    return [*found.learning, *found.validation]


def candidates(episodes: Sequence[Episode]) -> list[list[int]]:
    return [one.task.candidates.tolist() for one in episodes]


def test_launches_are_of_the_target_at_the_moments_of_every_domain(shop: TrainingSet) -> None:
    own, whole = asked(shop), asked(shop.of_all_domains())
    assert [one.asked_us for one in own] == [one.asked_us for one in whole]
    for mine, all_of_it in zip(own, whole, strict=True):
        assert shop.target[mine.task.candidates].all()
        assert not shop.target[all_of_it.task.candidates].all()
        assert not np.isin(mine.past.item_index, mine.task.candidates).any()
        assert not shop.target[mine.past.item_index].all()


@pytest.mark.parametrize("which", ["few of the target", "held out"])
def test_otherwise_the_problems_are_those_of_every_domain(shop: TrainingSet, which: str) -> None:
    training = shop if which == "held out" else two_departments(home=FEWEST_TARGETS - 1)
    by_time = which != "held out"
    found = asked(training, by_time=by_time)
    assert not all(training.target[one.task.candidates].all() for one in found)
    assert candidates(found) == candidates(asked(training.of_all_domains(), by_time=by_time))


def test_few_launches_of_the_target_leave_those_of_every_domain(shop: TrainingSet) -> None:
    early = shop.target & (np.arange(LAUNCHES) < LAUNCHES // 2)
    training = replace(shop, target=early)
    assert (training.rehearsable == early).all()
    assert candidates(asked(training)) == candidates(asked(shop.of_all_domains()))


def test_everything_but_the_towers_is_learned_on_the_target(
    shop: TrainingSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned: dict[str, list[Episode]] = {"weights": [], "towers": [], "rehearsed": []}
    stopped: list[Episode] = []

    def weigh(_: Any, learning: Sequence[Any], validation: Sequence[Any], **__: Any) -> None:
        learned["weights"].extend(one.episode for one in [*learning, *validation])

    original = stages.train

    def train(model: Any, learning: Sequence[Any], validation: Sequence[Any], **kw: Any) -> Any:
        learned["towers" if learning[0].episode.asked_us is None else "weights"].extend(
            one.episode for one in learning
        )
        stopped.extend(one.episode for one in validation)
        return original(model, learning, validation, **kw)

    def with_shots(episodes: Sequence[Episode], *_: Any, **__: Any) -> list[Episode]:
        learned["rehearsed"].extend(episodes)
        return []

    for name, watched in (("weigh", weigh), ("train", train), ("with_shots", with_shots)):
        monkeypatch.setattr(stages, name, watched)
    monkeypatch.setattr(stages, "FEWEST_FOR_TOWERS", USERS // 2)
    model = pretrain(shop, dates=False, seed=0, schedule=BRIEF)
    meta_train(model, shop, seed=0, schedule=BRIEF)
    assert all(learned.values())
    assert len(stopped) == 2
    for one in [*learned["weights"], *learned["rehearsed"], *stopped]:
        assert shop.target[one.task.candidates].all()
    kinds = [one for one in learned["rehearsed"] if one.asked_us is None]
    assert len(learned["rehearsed"]) > len(kinds) > 0
    assert not all(shop.target[one.task.candidates].all() for one in learned["towers"])
    asked = stopped[0].asked_us
    assert asked is not None
    assert (shop.interactions.time_us >= asked).any()
    assert all(one.past.time_us.max() < asked for one in learned["towers"])


@pytest.mark.parametrize("by_time", [True, False])
def test_what_was_known_before_is_of_the_time_before_launches_and_of_any_before_held_out_items(
    shop: TrainingSet, by_time: bool
) -> None:
    (validation,) = past_episodes(shop, seed=0, by_time=by_time).validation
    known = known_before(shop, [validation])
    log, candidates = shop.interactions, validation.task.candidates
    open_still = ~np.isin(log.item_index, candidates)
    if validation.asked_us is not None:
        open_still &= log.time_us < validation.asked_us
    assert len(known.interactions) == open_still.sum()
    assert not known.warm[candidates].any()
