"""The scorer learns on other devices and in several processes what it learns on one processor."""

import copy
import io
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch

from coldstart_models.general import contrast
from coldstart_models.general.contrast import Contrast, GeneralSchedule, learning
from coldstart_models.general.corpus import Corpus
from coldstart_models.general.kept_runs import KeptRuns
from coldstart_models.general.pretraining import pretrain_tower
from coldstart_models.general.sharing import pretrain_together
from coldstart_models.learning_costs import Meter
from coldstart_models.processes import ALONE, Processes
from coldstart_models.ranker import TrainingSet
from coldstart_models.siamese import sharing, stages, training
from coldstart_models.siamese.checkpoints import Checkpoint
from coldstart_models.siamese.stages import (
    FEWEST_FOR_TOWERS,
    SiameseModel,
    Watch,
    meta_train,
    pretrain,
)
from coldstart_models.siamese.training import Schedule, TrainingRecord
from coldstart_models.together import together
from tests.coldstart_models.general.shops import WIDTH, shop
from tests.coldstart_models.siamese.test_ranker import many_launches
from tests.forking import forked_learners as forked_learners

SCHEDULE = Schedule(steps=20, check_every=5, patience=9)
SHORT = GeneralSchedule(steps=40, check_every=20, users=32, candidates=64, rate=1e-2)
on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


def launches() -> TrainingSet:
    return many_launches(people=FEWEST_FOR_TOWERS)


def trained(watch: Watch | None = None, **options: Any) -> SiameseModel:
    return pretrain(launches(), dates=True, seed=0, schedule=SCHEDULE, watch=watch, **options)


def losses_of(device: str = "cpu") -> dict[int, float]:
    """By step; the kept parameters may be those at the start."""
    found: dict[int, float] = {}

    def curves(name: str, value: float, step: int) -> None:
        if name == "loss":
            found[step] = value

    model = trained(Watch(curves=curves, device=device))
    assert not any(value.is_cuda for value in model.network.state_dict().values())
    assert len(set(found.values())) == SCHEDULE.steps
    return found


class Descent(torch.optim.SGD):
    """Steps along the gradients, which it remembers: Adam's make whole steps of rounding errors."""

    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters, lr=0.1)
        self.gradients: list[np.ndarray] = []

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        held = [one.grad for group in self.param_groups for one in group["params"]]
        parts = [one.flatten() for one in held if one is not None]
        self.gradients.append(torch.cat(parts).numpy().copy())
        super().step()


def descended(processes: Processes, tell: Any) -> tuple[dict[int, float], list[np.ndarray]]:
    """Six steps on what `pretrain` learns on: checks by step, and gradients."""
    caught: list[Any] = []
    with patch.object(
        stages, "train", lambda *given, **how: caught.extend(given) or TrainingRecord((), 0)
    ):
        trained()
    made: list[Descent] = []

    def descent(model: Any, log_scale: Any, schedule: Any) -> Descent:
        made.append(Descent([*model.parameters(), log_scale]))
        return made[0]

    with patch.object(training, "_optimizer", descent):
        record = training.train(
            *caught,
            schedule=Schedule(steps=6, check_every=3, patience=9),
            generator=np.random.default_rng(0),
            processes=processes,
        )
    return dict(record.checks), made[0].gradients


def assert_same_gradients(ours: list[np.ndarray], wanted: list[np.ndarray]) -> None:
    """Of six steps, none of them without any."""
    assert len(ours) == len(wanted) == 6
    for one, other in zip(ours, wanted, strict=True):
        assert np.abs(other).max() > 1e-3
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.usefixtures("forked_learners")
def test_two_processes_that_share_a_steps_users_find_the_gradients_of_one() -> None:
    checks, wanted = descended(ALONE, None)
    found, ours = together(descended, count=2, device="cpu")
    assert_same_gradients(ours, wanted)
    assert found == pytest.approx(checks, abs=0.01)


def corpora_of_shops() -> list[Corpus]:
    return [shop(name, seed=seed).corpus for seed, name in enumerate("abc")]


def general_descended(processes: Processes, tell: Any) -> tuple[list[float], list[np.ndarray]]:
    """Losses and gradients of six steps of the general tower, of 31 users each."""
    corpora, made = corpora_of_shops(), []

    def descent(groups: Any) -> Descent:
        made.append(Descent(groups))
        return made[0]

    learner = Contrast({"text": WIDTH}, seed=0, device=processes.device)
    with torch.no_grad():  # at the start no gradient reaches the inner layer
        learner.tower.outer["text"].copy_(learner.tower.inner["text"].T)
    schedule = replace(SHORT, users=31, steps=6)
    with patch.object(contrast.torch.optim, "AdamW", descent):
        losses = [loss for _, loss in learning(learner, corpora, schedule, 0, processes=processes)]
    return losses, made[0].gradients


@pytest.mark.usefixtures("forked_learners")
def test_two_processes_find_the_gradients_of_one_for_the_general_tower() -> None:
    losses, wanted = general_descended(ALONE, None)
    found, ours = together(general_descended, count=2, device="cpu")
    assert_same_gradients(ours, wanted)
    assert found == pytest.approx(losses, rel=1e-4)


@pytest.mark.usefixtures("forked_learners")
def test_two_processes_pretrain_what_one_does_and_tell_of_it(tmp_path: Path) -> None:
    plain = pretrain_tower(corpora_of_shops(), seed=0, schedule=SHORT)
    runs, steps, curves = [], [], []
    kept = KeptRuns(tmp_path / "pretrain.json")
    learn = partial(
        pretrain_together, corpora_of_shops(), seed=0, schedule=SHORT, count=2, device="cpu"
    )
    two = learn(
        progress=lambda done, total: runs.append((done, total)),
        stepping=lambda done, total: steps.append(total),
        curves=lambda name, value, step: curves.append(name),
        kept=kept,
    )
    assert runs == [(done, 4) for done in range(1, 5)]
    assert steps.count(SHORT.steps) >= 3 * SHORT.check_every
    assert {"loss without a", "loss without c", "ndcg@10 of shops left out"} <= set(curves)
    assert two.record.shrinkages == plain.record.shrinkages
    assert dict(two.record.checks) == pytest.approx(dict(plain.record.checks), abs=0.05)
    assert two.record.kept_step == plain.record.kept_step > 0
    for name, value in plain.tower.state_dict().items():
        assert torch.nn.functional.cosine_similarity(
            two.tower.state_dict()[name].flatten(), value.flatten(), dim=0
        ) == pytest.approx(1.0, abs=0.02)
    again: list[int] = []  # the runs that are over are taken up
    resumed = learn(stepping=lambda done, total: again.append(done), kept=kept)
    assert len(again) == two.record.kept_step
    assert resumed.record == two.record


def test_a_process_learns_on_a_copy_of_what_it_shares_with_the_others() -> None:
    caught: list[Any] = []
    with patch.object(
        stages, "train", lambda *given, **how: caught.extend(given) or TrainingRecord((), 0)
    ):
        trained()
    model, learning, validation = caught
    before = copy.deepcopy(model.state_dict())
    schedule = Schedule(steps=6, check_every=3, patience=9)
    one, state = sharing._train(
        model, learning, validation, schedule, 0, None, ALONE, lambda *said: None
    )
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    plain = training.train(
        model, learning, validation, schedule=schedule, generator=np.random.default_rng(0)
    )
    assert one == plain
    learned = torch.load(io.BytesIO(state), weights_only=True)
    assert all(torch.equal(value, learned[name]) for name, value in model.state_dict().items())


@pytest.mark.slow
def test_processes_that_a_stage_starts_say_how_far_they_are_and_leave_a_checkpoint(
    tmp_path: Path,
) -> None:
    steps: list[tuple[int, int]] = []
    losses: dict[int, float] = {}
    checkpoint = Checkpoint(tmp_path / "train.pt", "ours")

    def curves(name: str, value: float, step: int) -> None:
        if name == "loss":
            losses[step] = value

    two = trained(
        Watch(checkpoint, curves, processes=2),
        progress=lambda step, total: steps.append((step, total)),
    )
    assert steps == [(step, 20) for step in range(1, 21)]
    alone = losses_of()
    assert losses[1] == pytest.approx(alone[1], rel=1e-4)
    assert losses == pytest.approx(alone, rel=0.01)
    assert [step for step, _ in two.records["train"].checks] == [0, 5, 10, 15, 20]
    again: list[int] = []  # the first of them wrote a checkpoint at the last step
    resumed = trained(Watch(checkpoint), progress=lambda step, total: again.append(step))
    assert again == []
    assert resumed.records == two.records


def test_steps_in_bfloat16_learn_nearly_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, asked = losses_of(), []
    monkeypatch.setattr(training, "has_bfloat16", lambda device: asked.append(device) or True)
    half = losses_of()
    assert asked == [torch.device("cpu")] * 20
    assert half[1] != plain[1]
    assert half[1] == pytest.approx(plain[1], rel=0.01)


def test_the_general_tower_learns_in_bfloat16_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    corpora = corpora_of_shops()
    plain = pretrain_tower(corpora, seed=0, schedule=SHORT)
    monkeypatch.setattr("coldstart_models.general.contrast.has_bfloat16", lambda device: True)
    half = pretrain_tower(corpora, seed=0, schedule=SHORT)
    assert dict(half.record.checks) == pytest.approx(dict(plain.record.checks), abs=0.05)


def test_a_gpu_by_its_number_is_begun_with_before_its_memory_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(torch.cuda, "init", lambda: calls.append("init"))
    monkeypatch.setattr(
        torch.cuda, "reset_peak_memory_stats", lambda device: calls.append(str(device))
    )
    Meter(torch.device("cuda:0"))
    assert calls == ["init", "cuda:0"]


@on_gpu
@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_on_a_gpu_the_scorer_learns_what_it_learns_on_the_processor(device: str) -> None:
    assert Meter.of(device, 1).cost().device_peak_mb is not None
    assert losses_of(device)[1] == pytest.approx(losses_of()[1], rel=0.01)
    there = trained(Watch(device=device))
    tuned = meta_train(there, launches(), seed=0, watch=Watch(device=device))
    assert not any(value.is_cuda for value in tuned.network.state_dict().values())


@on_gpu
def test_on_a_gpu_the_general_tower_learns_and_comes_back() -> None:
    corpora = corpora_of_shops()
    plain = pretrain_tower(corpora, seed=0, schedule=SHORT)
    there = pretrain_tower(
        corpora, seed=0, schedule=SHORT, processes=Processes(torch.device("cuda"))
    )
    assert dict(there.record.checks) == pytest.approx(dict(plain.record.checks), abs=0.05)
    assert not any(value.is_cuda for value in there.tower.state_dict().values())
    learner = Contrast({"text": WIDTH}, seed=0, device=torch.device("cuda"))
    next(learning(learner, corpora, SHORT, 0))
    assert learner.held(corpora[1], "text") is learner.held(corpora[1], "text")
