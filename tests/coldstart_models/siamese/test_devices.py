"""The scorer learns on other devices and in several processes what it learns on one processor."""

from pathlib import Path
from typing import Any

import pytest
import torch

from coldstart_models.general.contrast import Contrast, GeneralSchedule, learning
from coldstart_models.general.pretraining import pretrain_tower
from coldstart_models.siamese import training
from coldstart_models.siamese.checkpoints import Checkpoint
from coldstart_models.siamese.stages import SiameseModel, Watch, meta_train, pretrain
from coldstart_models.siamese.training import Schedule
from tests.coldstart_models.general.shops import WIDTH, shop
from tests.coldstart_models.siamese.test_ranker import many_launches

SCHEDULE = Schedule(steps=20, check_every=5, patience=9)
SHORT = GeneralSchedule(steps=40, check_every=20, users=32, candidates=64, rate=1e-2)
on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


def trained(watch: Watch | None = None, **options: Any) -> SiameseModel:
    return pretrain(many_launches(), dates=True, seed=0, schedule=SCHEDULE, watch=watch, **options)


def close(ours: SiameseModel, wanted: SiameseModel, *, within: float) -> None:
    """Checks and parameters are alike, and there are some that moved."""
    (found, expected) = (dict(one.records["train"].checks) for one in (ours, wanted))
    assert len(set(expected.values())) > 2
    assert found == pytest.approx(expected, abs=within)
    for name, value in wanted.network.state_dict().items():
        assert not value.is_cuda
        torch.testing.assert_close(
            ours.network.state_dict()[name], value, atol=within, rtol=within, msg=name
        )


def test_two_processes_that_share_a_steps_users_learn_what_one_learns(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    losses: dict[int, float] = {}
    alone: dict[int, float] = {}

    def into(kept: dict[int, float]) -> Any:
        return lambda name, value, step: kept.update({step: value} if name == "loss" else {})

    one = trained(Watch(curves=into(alone)))
    two = trained(
        Watch(Checkpoint(tmp_path / "train.pt", "ours"), into(losses), processes=2),
        progress=lambda step, total: steps.append((step, total)),
    )
    close(two, one, within=1e-4)
    assert steps == [(step, 20) for step in range(1, 21)]
    assert losses == pytest.approx(alone, rel=1e-4)
    again: list[int] = []  # from the checkpoint, which the first process wrote at the last step
    resumed = trained(
        Watch(Checkpoint(tmp_path / "train.pt", "ours")),
        progress=lambda step, total: again.append(step),
    )
    assert again == []
    assert resumed.records == two.records


def test_steps_in_bfloat16_learn_nearly_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = trained()
    asked: list[torch.device] = []
    monkeypatch.setattr(training, "has_bfloat16", lambda device: asked.append(device) or True)
    half = trained()
    assert asked == [torch.device("cpu")] * 20
    assert any(
        not torch.equal(value, half.network.state_dict()[name])
        for name, value in plain.network.state_dict().items()
    )
    close(half, plain, within=0.05)


def test_the_general_tower_learns_in_bfloat16_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    corpora = [shop(name, seed=seed).corpus for seed, name in enumerate("abc")]
    plain = pretrain_tower(corpora, seed=0, schedule=SHORT)
    monkeypatch.setattr("coldstart_models.general.contrast.has_bfloat16", lambda device: True)
    half = pretrain_tower(corpora, seed=0, schedule=SHORT)
    assert dict(half.record.checks) == pytest.approx(dict(plain.record.checks), abs=0.05)


@on_gpu
def test_on_a_gpu_the_scorer_learns_what_it_learns_on_the_processor() -> None:
    on_processor, there = trained(), trained(Watch(device="cuda"))
    close(there, on_processor, within=0.05)
    tuned = meta_train(there, many_launches(), seed=0, watch=Watch(device="cuda"))
    assert not any(value.is_cuda for value in tuned.network.state_dict().values())


@on_gpu
def test_on_a_gpu_the_general_tower_learns_and_comes_back() -> None:
    corpora = [shop(name, seed=seed).corpus for seed, name in enumerate("abc")]
    plain = pretrain_tower(corpora, seed=0, schedule=SHORT)
    there = pretrain_tower(corpora, seed=0, schedule=SHORT, device=torch.device("cuda"))
    assert dict(there.record.checks) == pytest.approx(dict(plain.record.checks), abs=0.05)
    assert not any(value.is_cuda for value in there.tower.state_dict().values())
    learner = Contrast({"text": WIDTH}, seed=0, device=torch.device("cuda"))
    next(learning(learner, corpora, SHORT, 0))
    assert learner.held(corpora[1], "text") is learner.held(corpora[1], "text")
