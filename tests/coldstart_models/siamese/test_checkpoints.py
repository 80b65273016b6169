"""Learning that was stopped goes on where it was, to the same end."""

from pathlib import Path

import pytest
import torch

from coldstart_models.siamese.checkpoints import Checkpoint
from coldstart_models.siamese.stages import SiameseModel, Watch, pretrain
from coldstart_models.siamese.training import Schedule
from tests.coldstart_models.siamese.test_ranker import many_launches

SCHEDULE = Schedule(steps=30, check_every=5, patience=9)


class KilledError(Exception):
    """What stops a job in these tests."""


def trained(watch: Watch | None = None, *, until: int | None = None) -> SiameseModel:
    def progress(step: int, total: int) -> None:
        if step == until:
            raise KilledError

    return pretrain(
        many_launches(), dates=False, seed=0, schedule=SCHEDULE, progress=progress, watch=watch
    )


def parameters(model: SiameseModel) -> torch.Tensor:
    return torch.cat([one.detach().flatten() for one in model.network.parameters()])


def test_a_stopped_training_ends_as_one_that_was_not(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "deep" / "train.pt", "this problem")
    with pytest.raises(KilledError):
        trained(Watch(checkpoint), until=18)
    steps: list[int] = []
    resumed = pretrain(
        many_launches(),
        dates=False,
        seed=0,
        schedule=SCHEDULE,
        progress=lambda step, total: steps.append(step),
        watch=Watch(checkpoint),
    )
    whole = trained()
    assert steps == list(range(16, 31))  # the last check was at 15
    assert resumed.records == whole.records
    checks = [value for _, value in whole.records["train"].checks]
    assert len(set(checks)) == len(checks)  # every stretch of steps moved the parameters
    assert torch.equal(parameters(resumed), parameters(whole))


def test_a_checkpoint_of_another_problem_or_half_a_file_is_not_taken_up(tmp_path: Path) -> None:
    path = tmp_path / "train.pt"
    with pytest.raises(KilledError):
        trained(Watch(Checkpoint(path, "this problem")), until=18)
    whole = trained()
    other = trained(Watch(Checkpoint(path, "another problem")))
    assert other.records == whole.records
    path.write_bytes(path.read_bytes()[:1000])
    torn = trained(Watch(Checkpoint(path, "another problem")))
    assert torn.records == whole.records
    Checkpoint(path, "").remove()
    assert not path.exists()


def test_curves_tell_every_loss_and_every_check() -> None:
    told: dict[str, dict[int, float]] = {}

    def curves(name: str, value: float, step: int) -> None:
        told.setdefault(name, {})[step] = value

    model = trained(Watch(curves=curves))
    assert list(told["loss"]) == list(range(1, 31))
    record = model.records["train"]
    assert list(told["validation ndcg@10"].items()) == list(record.checks[1:])
    terms = {f"weight/{name} {kind}" for name, kind in model.network.scorer.terms}
    assert terms <= set(told)
    assert all(list(told[name]) == list(range(5, 31, 5)) for name in terms)
