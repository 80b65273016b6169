"""Learning that was stopped goes on where it was, to the same end."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from coldstart_models.ranker import TrainingSet
from coldstart_models.siamese.checkpoints import Checkpoint
from coldstart_models.siamese.stages import FEWEST_FOR_TOWERS, SiameseModel, Watch, pretrain
from coldstart_models.siamese.training import Schedule
from tests.coldstart_models.siamese.test_ranker import many_launches

EVERY = 4
SCHEDULE = Schedule(steps=5 * EVERY, check_every=EVERY, patience=9)
STOP = 2 * EVERY + 3
"""Past the second check, before the third."""


class KilledError(Exception):
    """What stops a job in these tests."""


@dataclass
class Told:
    """What a training said on its way."""

    steps: list[int] = field(default_factory=list)
    curves: dict[str, dict[int, float]] = field(default_factory=dict)

    def progress(self, step: int, total: int) -> None:
        self.steps.append(step)

    def curve(self, name: str, value: float, step: int) -> None:
        self.curves.setdefault(name, {})[step] = value


@pytest.fixture(scope="module")
def launches() -> TrainingSet:
    return many_launches(people=FEWEST_FOR_TOWERS)


@pytest.fixture(scope="module")
def whole(launches: TrainingSet) -> tuple[SiameseModel, Told]:
    """A training that nothing stopped, and what it told."""
    told = Told()
    return trained(launches, Watch(curves=told.curve), told), told


def trained(launches: TrainingSet, watch: Watch, told: Told | None = None) -> SiameseModel:
    progress = (told or Told()).progress
    return pretrain(
        launches, dates=False, seed=0, schedule=SCHEDULE, progress=progress, watch=watch
    )


def stopped(launches: TrainingSet, checkpoint: Checkpoint) -> None:
    def progress(step: int, total: int) -> None:
        if step == STOP:
            raise KilledError

    with pytest.raises(KilledError):
        pretrain(
            launches,
            dates=False,
            seed=0,
            schedule=SCHEDULE,
            progress=progress,
            watch=Watch(checkpoint),
        )


def parameters(model: SiameseModel) -> torch.Tensor:
    return torch.cat([one.detach().flatten() for one in model.network.parameters()])


def test_a_stopped_training_ends_as_one_that_was_not(
    launches: TrainingSet, whole: tuple[SiameseModel, Told], tmp_path: Path
) -> None:
    checkpoint = Checkpoint(tmp_path / "deep" / "train.pt", "this problem")
    stopped(launches, checkpoint)
    told = Told()
    resumed = trained(launches, Watch(checkpoint), told)
    model, _ = whole
    assert told.steps == list(range(2 * EVERY + 1, SCHEDULE.steps + 1))  # from the last check on
    assert resumed.records == model.records
    checks = [value for _, value in model.records["train"].checks]
    assert len(set(checks[2:])) > 1  # the steps after the stop moved the parameters
    assert torch.equal(parameters(resumed), parameters(model))


@pytest.mark.parametrize("torn", [False, True], ids=["of another problem", "half a file"])
def test_a_checkpoint_of_another_problem_or_half_a_file_is_not_taken_up(
    launches: TrainingSet, whole: tuple[SiameseModel, Told], tmp_path: Path, torn: bool
) -> None:
    path = tmp_path / "train.pt"
    stopped(launches, Checkpoint(path, "this problem"))
    if torn:
        path.write_bytes(path.read_bytes()[:1000])
    told = Told()
    other = trained(
        launches, Watch(Checkpoint(path, "this problem" if torn else "another problem")), told
    )
    assert told.steps == list(range(1, SCHEDULE.steps + 1))
    assert other.records == whole[0].records
    Checkpoint(path, "").remove()
    assert not path.exists()


def test_curves_tell_every_loss_and_every_check(whole: tuple[SiameseModel, Told]) -> None:
    model, told = whole
    assert list(told.curves["loss"]) == list(range(1, SCHEDULE.steps + 1))
    record = model.records["train"]
    assert list(told.curves["validation ndcg@10"].items()) == list(record.checks[1:])
    terms = {f"weight/{name} {kind}" for name, kind in model.network.scorer.terms}
    assert terms <= set(told.curves)
    assert all(
        list(told.curves[name]) == list(range(EVERY, SCHEDULE.steps + 1, EVERY)) for name in terms
    )
