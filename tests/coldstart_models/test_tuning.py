"""The study behind `coldstart tune`, on a problem whose best schedule is known."""

import math
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from coldstart_models import tuning
from coldstart_models.config import TrainConfig, load_config, with_learning
from coldstart_models.data import splits
from coldstart_models.errors import ConfigError
from coldstart_models.peers.selection import ValidationTask
from coldstart_models.ranker import FEWEST_TARGETS, TrainingSet
from coldstart_models.tuning import Learning, ranked, tune
from tests.coldstart_models.checkerboard import (
    board_split,
)
from tests.coldstart_models.departments import LAUNCHES, two_departments

BEST = 1.5e-3


@pytest.fixture
def training() -> TrainingSet:
    catalogue, split = board_split()
    return split.training_set(catalogue)


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Learning, int]]:
    """Quality is highest at a tower rate of BEST; what was asked for, in order."""
    asked: list[tuple[Learning, int]] = []

    def known(
        learning: Learning, validation: object, *, seed: int, dates: bool, general: object
    ) -> float:
        asked.append((learning, seed))
        return 0.5 - 0.1 * abs(math.log(learning.tower_rate / BEST)) + 0.001 * seed

    monkeypatch.setattr(tuning, "ranked", known)
    return asked


def test_a_search_begins_with_the_own_schedule_and_finds_a_better_one(
    training: TrainingSet, tried: list[tuple[Learning, int]], tmp_path: Path
) -> None:
    found = tune(training, tmp_path / "study.log", trials=25, seeds=2)
    assert tried[:2] == [(Learning(), 0), (Learning(), 1)]
    assert found.default.learning == Learning()
    start = math.log(BEST / Learning().tower_rate)
    assert found.default.mean == pytest.approx(0.5005 - 0.1 * start)
    assert found.best.mean > found.default.mean
    assert BEST / 2 < found.best.learning.tower_rate < BEST * 2
    for name, (low, high) in tuning.RANGES.items():
        assert all(low <= getattr(one.learning, name) <= high for one in found.trials)


def test_what_falls_behind_is_stopped_after_its_first_seed(
    training: TrainingSet, tried: list[tuple[Learning, int]], tmp_path: Path
) -> None:
    found = tune(training, tmp_path / "study.log", trials=25, seeds=3)
    stopped = [one for one in found.trials if one.stopped]
    assert stopped
    assert all(len(one.ndcg) < 3 for one in stopped)
    assert all(len(one.ndcg) == 3 for one in found.trials if not one.stopped)
    assert len(tried) == sum(len(one.ndcg) for one in found.trials)
    assert found.best not in stopped


def test_a_search_that_was_stopped_goes_on(
    training: TrainingSet,
    tried: list[tuple[Learning, int]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = tuning.ranked

    def killed(*asked: object, **options: object) -> float:
        if len(tried) == 7:
            raise KeyboardInterrupt
        return known(*asked, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(tuning, "ranked", killed)
    with pytest.raises(KeyboardInterrupt):
        tune(training, tmp_path / "study.log", trials=6, seeds=2)
    first = tried.copy()
    monkeypatch.setattr(tuning, "ranked", known)
    found = tune(training, tmp_path / "study.log", trials=6, seeds=2)
    assert len(found.trials) == 6
    assert [one.learning for one in found.trials[:3]] == [one for one, seed in first if seed == 0][
        :3
    ]
    count = len(tried)
    again = tune(training, tmp_path / "study.log", trials=6, seeds=2)
    assert (again, len(tried)) == (found, count)  # there was nothing left to do


def test_trials_on_other_data_are_not_counted(
    training: TrainingSet, tried: list[tuple[Learning, int]], tmp_path: Path
) -> None:
    tune(training, tmp_path / "study.log", trials=2, seeds=1)
    tune(training, tmp_path / "study.log", trials=2, seeds=2)
    assert len(tried) == 2 + 4


@pytest.mark.parametrize("what", ["prices", "events' traits"])
def test_trials_on_listings_or_events_that_say_something_else_are_not_counted(
    what: str, training: TrainingSet, tried: list[tuple[Learning, int]], tmp_path: Path
) -> None:
    tune(training, tmp_path / "study.log", trials=1, seeds=1)
    frame, log = training.catalogue.frame.assign(price=9.5), training.interactions
    other = {
        "prices": replace(training, catalogue=replace(training.catalogue, frame=frame)),
        "events' traits": replace(training, interactions=replace(log, traits=log.traits + 1)),
    }
    tune(other[what], tmp_path / "study.log", trials=1, seeds=1)
    assert len(tried) == 2
    tune(training, tmp_path / "study.log", trials=1, seeds=1)
    assert len(tried) == 2


def test_the_cut_is_called_what_it_is(
    training: TrainingSet,
    tried: list[tuple[Learning, int]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few = tune(training, tmp_path / "few.log", trials=1, seeds=1)
    assert few.cut == "held-out items"  # too few were launched in the newest fifth
    monkeypatch.setattr(splits, "MIN_VALIDATION_ITEMS", 1)
    assert tune(training, tmp_path / "some.log", trials=1, seeds=1).cut == "launches"


@pytest.mark.parametrize("home", [LAUNCHES // 2, FEWEST_TARGETS - 1])
@pytest.mark.parametrize("timed", [True, False])
def test_the_department_that_is_ranked_is_what_a_trial_is_judged_by(
    home: int, timed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[ValidationTask] = []

    def seen(_: Learning, validation: ValidationTask, **__: object) -> float:
        judged.append(validation)
        return 0.5

    monkeypatch.setattr(tuning, "ranked", seen)
    shop = replace(two_departments(home=home), timed=timed)
    tune(shop, tmp_path / "study.log", trials=1, seeds=1)
    (validation,) = judged
    assert validation.launches == timed
    enough = home >= FEWEST_TARGETS
    assert bool(shop.target[validation.task.candidates].all()) == enough
    learned = validation.training
    assert not shop.target[learned.interactions.item_index].all()  # from every department
    assert not learned.warm[validation.task.candidates].any()


def test_a_journal_that_is_none_is_said_so(training: TrainingSet, tmp_path: Path) -> None:
    (tmp_path / "study.log").write_text("not a journal\n")
    with pytest.raises(ConfigError, match=r"study\.log is not a study's journal"):
        tune(training, tmp_path / "study.log", trials=1)
    with pytest.raises(ConfigError, match="0 trials"):
        tune(training, tmp_path / "other.log", trials=0)


def test_the_best_is_a_configuration_that_training_reads(
    training: TrainingSet, tried: list[tuple[Learning, int]], tmp_path: Path
) -> None:
    found = tune(training, tmp_path / "study.log", trials=8, seeds=1)
    assert set(tomllib.loads(found.toml())) == {"train"}
    (tmp_path / "tuned.toml").write_text(found.toml())
    read = load_config(tmp_path / "tuned.toml").train.learning()
    assert read.train.tower_rate == pytest.approx(found.best.learning.tower_rate, rel=1e-5)
    assert read.meta_train.weight_rate == pytest.approx(
        found.best.learning.meta_weight_rate, rel=1e-5
    )
    assert TrainConfig().learning() == Learning()


def test_what_is_written_of_a_study_keeps_all_else_that_was_configured(tmp_path: Path) -> None:
    told = """
        [gate]
        banned = ["ivory"]
        [train]
        general = "general_model"
        dates = true
        seed = 7
        tower_rate = 0.1
        [meta]
        learner = "bayes"
        [experiment]
        name = "one-or-other"
        variants = [{name = "control"}, {name = "thompson", policy = "thompson"}]
    """
    (tmp_path / "coldstart.toml").write_text(told)
    before = load_config(tmp_path / "coldstart.toml")
    found = Learning(tower_rate=2.5e-4, tower_decay=0.03, meta_weight_rate=0.02)
    (tmp_path / "tuned.toml").write_text(with_learning(before, found))
    after = load_config(tmp_path / "tuned.toml")
    assert after.train.learning() == found
    rates = {"tower_rate", "tower_decay", "meta_weight_rate"}
    assert after.train.model_dump(exclude=rates) == before.train.model_dump(exclude=rates)
    assert after.model_copy(update={"train": before.train}) == before


def test_the_command_writes_the_configuration_that_it_read(  # type: ignore[no-untyped-def]
    coldstart, training: TrainingSet, tried: list[tuple[Learning, int]], tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(
        "coldstart_models.training_job.read_training_set", lambda home, **how: training
    )
    (tmp_path / "coldstart.toml").write_text('[train]\nseed = 7\n[meta]\nlearner = "bayes"\n')
    code, out, err = coldstart("tune", "--trials", "6", "--seeds", "1", "--out", "tuned.toml")
    assert code == 0, err
    assert "coldstart meta-train --config tuned.toml" in " ".join((out + err).split())
    written = load_config(tmp_path / "tuned.toml")
    assert (written.train.seed, written.meta.learner) == (7, "bayes")
    assert written.train.tower_rate == pytest.approx(
        max(tried, key=lambda one: -abs(math.log(one[0].tower_rate / BEST)))[0].tower_rate, rel=1e-5
    )


def test_a_trial_trains_before_the_cut_and_ranks_what_came_after_it(training: TrainingSet) -> None:
    validation = tuning.validation_task(training, by_time=True, seed=0)
    assert validation is not None
    quality = ranked(Learning(), validation, seed=0, dates=False)
    assert quality == ranked(Learning(), validation, seed=0, dates=False)
    assert quality == 1.0  # titles tell the groups apart
