"""What is learned, and kept, where validation has the people to tell."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from coldstart_models.ranker import TrainingSet
from coldstart_models.siamese import stages
from coldstart_models.siamese.network import MetaSiamese, ndcg_by_episode
from coldstart_models.siamese.problems import past_episodes
from coldstart_models.siamese.stages import META, TRAIN, SiameseModel, keep_if_told, pretrain
from coldstart_models.siamese.training import Schedule, TrainingRecord
from tests.coldstart_models.checkerboard import USERS
from tests.coldstart_models.siamese.test_ranker import many_launches, training_on_the_board
from tests.coldstart_models.siamese.test_training import alike, launch, network, state


def moved(weight: float) -> dict[str, Tensor]:
    """The network's parameters with another weight of the nearest text."""
    other = network()
    with torch.no_grad():
        other.scorer.term_weights[1] = weight
    return state(other)


def decided(
    start: dict[str, Tensor], learned: dict[str, Tensor], *, kept_step: int = 20
) -> tuple[MetaSiamese, TrainingRecord]:
    """What is left of what was learned."""
    tuned = network()
    tuned.load_state_dict(learned)
    model: Any = SimpleNamespace(network=tuned)
    model.records = {META: TrainingRecord(((0, 0.1), (20, 0.2)), kept_step)}
    keep_if_told(cast(SiameseModel, model), start, [launch(seed=1), launch(seed=2)], stage=META)
    return tuned, model.records[META]


def test_what_ranks_far_better_than_the_start_is_kept() -> None:
    start, learned = moved(-1.5), moved(1.5)
    tuned, record = decided(start, learned)
    assert alike(state(tuned), learned)
    assert record.kept_step == 20


@pytest.mark.parametrize("weight", [1.4, -1.5], ids=["as good", "worse"])
def test_what_cannot_be_told_from_the_start_or_is_worse_is_not(weight: float) -> None:
    start, learned = moved(1.5), moved(weight)
    tuned, record = decided(start, learned)
    assert alike(state(tuned), start)
    assert record.kept_step == 0
    assert record.checks == ((0, 0.1), (20, 0.2))


def test_where_the_start_was_kept_nothing_is_asked() -> None:
    start = moved(1.5)
    tuned, record = decided(start, start, kept_step=0)
    assert alike(state(tuned), start)
    assert record.kept_step == 0


def test_towers_learn_where_enough_people_stop_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coldstart_models.data.episodes.MIN_COHORT", 3)
    training, short = training_on_the_board(), Schedule(steps=4, check_every=2)
    few = pretrain(training, dates=False, seed=0, by_time=False, schedule=short)
    assert few.records["train"] == TrainingRecord((), 0)
    monkeypatch.setattr(stages, "FEWEST_FOR_TOWERS", 2 * USERS)
    enough = pretrain(training, dates=False, seed=0, by_time=False, schedule=short)
    assert [step for step, _ in enough.records["train"].checks] == [0, 2, 4]


@pytest.mark.parametrize("by_time", [True, False], ids=["launches", "held-out items"])
def test_towers_that_later_launches_cannot_tell_from_their_start_stay_there(
    by_time: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def learned(model: SiameseModel, *_: Any) -> None:
        with torch.no_grad():
            for up in model.network.scorer.up.values():
                up.fill_(1e-4)
        model.records[TRAIN] = TrainingRecord(((0, 0.1), (40, 0.2)), 40)

    monkeypatch.setattr(stages, "_learn", learned)
    model = pretrain(many_launches(), dates=False, seed=0, by_time=by_time)
    kept = [bool(up.detach().any()) for up in model.network.scorer.up.values()]
    assert kept == [not by_time] * len(kept)
    assert model.records[TRAIN].kept_step == (0 if by_time else 40)


def test_learners_of_few_shots_rehearse_on_what_was_known_before_they_are_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    training, asked = many_launches(), []
    model = pretrain(training, dates=False, seed=0)
    past = past_episodes(training, seed=0, by_time=True)
    (validation,) = past.validation
    assert past.launches
    assert validation.asked_us is not None
    assert (training.interactions.time_us >= validation.asked_us).any()

    def drawn(rest: TrainingSet, **how: Any) -> list[Any]:
        asked.append(rest)
        return []

    monkeypatch.setattr(stages, "category_episodes", drawn)
    stages.rehearsals(model, training, past, seed=0)
    (rest,) = asked
    assert len(rest.interactions) > 0
    assert rest.interactions.time_us.max() < validation.asked_us
    assert not np.isin(rest.interactions.item_index, validation.task.candidates).any()


def test_what_launches_taught_and_the_start_are_told_apart_out_of_season(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The weights were learned as if there were no season, and are judged so; it stays after."""
    training, seen = many_launches(), []
    model = pretrain(training, dates=True, seed=0)
    term = model.network.date_term
    assert term is not None
    term.season_weight.fill_(2.0)

    def scored(network: MetaSiamese, episodes: Any) -> Any:
        seen.append(float(network.date_term.season_weight))
        return ndcg_by_episode(network, episodes)

    def kept(*given: Any, **named: Any) -> None:
        model.records[META] = TrainingRecord(((0, 0.1), (20, 0.2)), 20)

    monkeypatch.setattr(stages, "ndcg_by_episode", scored)
    monkeypatch.setattr(stages, "_learn", kept)
    stages.fine_tune(model, training, seed=0)
    assert len(seen) >= 2
    assert set(seen) == {0.0}
    assert float(term.season_weight) == 2.0
