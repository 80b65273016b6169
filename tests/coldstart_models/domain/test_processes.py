"""Two processes that learn together end where one does; they are started, on the processor."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from coldstart_models.domain import learning
from coldstart_models.domain.adapted import CHECKPOINT
from coldstart_models.domain.aims import Aims
from coldstart_models.domain.job import adapt_job
from coldstart_models.domain.judging import Score
from coldstart_models.domain.objectives import Objectives, Teaching
from coldstart_models.domain.towers import StoredInputs, Tower
from coldstart_models.errors import ConfigError, NotBetter
from coldstart_models.processes import ALONE, Processes, found_device, require_devices
from coldstart_models.together import together
from feature_repo.encoders.folder import load_folder_encoder
from tests.coldstart_models.domain.photos import listings, load
from tests.coldstart_models.domain.test_adapted import SETTING, SHORT, with_aims
from tests.forking import forked_learners as forked_learners

CPU = torch.device("cpu")
AIMS = (
    Aims(objectives=("pairs", "labels"), keep=0.5),
    Aims(objectives=("pairs",), contrast="siglip"),
    Aims(objectives=("views", "neighbours")),
    Aims(objectives=("labels", "source"), align="dann", supervision="cross-entropy"),
    Aims(objectives=("source",), align="coral"),
)


def tower(generator: torch.Generator, width: int) -> Tower:
    """A layer and a head on stored numbers of 40 rows and two views."""
    values = torch.randn(40, 2, width, generator=generator).numpy()
    free = nn.Linear(width, 6)
    made = Tower(StoredInputs((values,), CPU), free, device=CPU)
    made.head = nn.Linear(6, 5)
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.5, generator=generator)
    return made


def objectives(aims: Aims) -> Objectives:
    generator, numbers = torch.Generator().manual_seed(3), np.random.default_rng(3)
    return Objectives(
        aims,
        Teaching(
            labels=numbers.integers(-1, 3, 40),
            source_labels=numbers.integers(0, 4, 40),
            titles=numbers.integers(0, 30, 40),
            start=numbers.normal(size=(40, 5)).astype(np.float32),
            neighbours={row: np.array([(row + 1) % 40, (row + 7) % 40]) for row in range(40)},
        ),
        photo=tower(generator, 4),
        text=tower(generator, 3) if "pairs" in aims.objectives else None,
        generator=generator,
    )


def gradients(processes, tell):
    """Of every aim: the losses and all gradients, on eleven rows and nine of the source."""
    found = []
    for aims in AIMS:
        made = objectives(aims)
        rows, source = np.arange(3, 14), np.arange(20, 29) if aims.needs_source else np.arange(0)
        generator = np.random.default_rng(5)
        losses = dict(
            made.losses(rows, source, progress=0.5, generator=generator, processes=processes)
        )
        torch.stack(list(losses.values())).sum().backward()
        processes.average(made.parameters())
        tell(aims.objectives)
        found.append(
            (
                {name: float(loss.detach()) for name, loss in losses.items()},
                {name: one.grad.numpy() for name, one in made.named_parameters()},
            )
        )
    return found, processes.every(processes.place), processes.agreed(f"of {processes.place}")


@pytest.mark.usefixtures("forked_learners")
def test_every_loss_has_the_gradients_of_the_whole_batch():
    heard = []
    alone, *_ = gradients(ALONE, lambda *said: None)
    shared, places, agreed = together(
        gradients, count=2, device="cpu", heard=lambda *said: heard.append(said)
    )
    assert (places, agreed) == ([0, 1], "of 0")
    assert heard == [(aims.objectives,) for aims in AIMS]
    for aims, (losses, wanted), (found, ours) in zip(AIMS, alone, shared, strict=True):
        assert losses.keys() == found.keys(), aims
        for name, loss in losses.items():
            assert found[name] == pytest.approx(loss, rel=1e-5), (aims, name)
        assert wanted.keys() == ours.keys()
        for name, gradient in wanted.items():
            assert np.abs(gradient).max() > 0, (aims, name)
            np.testing.assert_allclose(ours[name], gradient, rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return listings(tmp_path_factory.mktemp("shop"), 160)


def load_on(name, *, device):
    assert device == "cpu"
    return load(name)


def encoded(folder, shop):
    encoder = load_folder_encoder(folder, device="cpu", load_base=lambda name, device: load(name))
    from PIL import Image

    return encoder.encode([Image.open(path) for path in shop.photos[:40]])


@pytest.mark.usefixtures("forked_learners")
def test_two_processes_make_the_encoder_that_one_makes(shop, tmp_path):
    setting = replace(SETTING, schedule=replace(SHORT, rate=2e-3, head_rate=2e-3, batch=27))
    run = partial(adapt_job, shop, setting, load=load_on, cache=tmp_path / "maps", device="cpu")
    steps = []
    one = run(out=tmp_path / "one" / "ours")
    two = run(
        out=tmp_path / "two" / "ours",
        processes=2,
        progress=lambda step: lambda done, total: steps.append((step, done, total)),
        curves=tmp_path / "curves",
    )
    assert two.record.kept == one.record.kept > 0
    assert [check.epoch for check in two.record.checks] == [0, 1, 2, 3, 4]
    for ours, wanted in zip(two.record.checks, one.record.checks, strict=True):
        assert ours.loss == pytest.approx(wanted.loss, rel=1e-3)
        assert ours.told == pytest.approx(wanted.told, rel=1e-2)
    for name in ("image", "text"):
        assert (tmp_path / "two" / "ours" / name / "config.json").exists()
    np.testing.assert_allclose(
        encoded(tmp_path / "two/ours/image", shop),
        encoded(tmp_path / "one/ours/image", shop),
        atol=2e-3,
    )
    assert [(done, total) for step, done, total in steps if step == "learn"] == [
        (number, 8) for number in range(1, 9)
    ]
    assert [path.name for path in (tmp_path / "two" / "ours").iterdir() if path.is_file()] == []
    told = json.loads((tmp_path / "two/ours/image/learning.json").read_text())["cost"]
    assert (told["devices"], told["steps"], told["device_peak_mb"]) == (["cpu", "cpu"], 8, None)
    assert told["wall_seconds"] > 8 / told["steps_per_second"] > 0
    assert told["peak_mb"] > 50
    assert any(path.name.startswith("events.out") for path in (tmp_path / "curves").iterdir())


@pytest.mark.slow
def test_what_one_process_began_two_go_on_with(shop, tmp_path, monkeypatch):
    """The checkpoint is read by both: were it not, they would take all eight steps."""
    setting = replace(SETTING, schedule=replace(SHORT, rate=2e-3, head_rate=2e-3))
    run = partial(adapt_job, shop, setting, load=load_on, cache=tmp_path / "maps", device="cpu")
    step = learning._Run._step

    def dying(self, rows, number):
        if self.epoch == 2:
            raise KeyboardInterrupt
        return step(self, rows, number)

    with monkeypatch.context() as patched:
        patched.setattr(learning._Run, "_step", dying)
        with pytest.raises(KeyboardInterrupt):
            run(out=tmp_path / "ours")
    assert (tmp_path / "ours" / CHECKPOINT).exists()
    found = run(out=tmp_path / "ours", processes=2)
    whole = run(out=tmp_path / "whole" / "ours")
    assert (found.cost.steps, whole.cost.steps) == (4, 8)
    assert found.record.kept == whole.record.kept
    for ours, wanted in zip(found.record.checks, whole.record.checks, strict=True):
        assert ours.loss == pytest.approx(wanted.loss, rel=1e-3)
    assert not (tmp_path / "ours" / CHECKPOINT).exists()


@pytest.mark.slow
def test_what_went_wrong_in_the_processes_is_raised_here(shop, tmp_path):
    lazy = replace(SHORT, rate=0.0, head_rate=0.0, epochs=1)
    with pytest.raises(NotBetter, match="nothing learned is better than 'tiny'"):
        adapt_job(
            shop,
            replace(SETTING, schedule=lazy),
            load=load_on,
            out=tmp_path / "ours",
            cache=tmp_path / "maps",
            processes=2,
            device="cpu",
        )
    assert not (tmp_path / "ours").exists()


def test_what_is_computed_in_one_step_is_not_shared(shop, tmp_path):
    with pytest.raises(ConfigError, match="titles is computed in one step, by one process"):
        adapt_job(
            shop,
            with_aims(("titles",)),
            load=load_on,
            out=tmp_path / "ours",
            cache=tmp_path / "maps",
            processes=2,
            device="cpu",
        )


class Elsewhere(Processes):
    """A process beside one whose machine has no checkpoint."""

    def every(self, value):
        return [value, 0]


def test_processes_that_find_another_checkpoint_say_so_and_wait_for_nobody(tmp_path):
    def learned(processes):
        return learning.learn(
            objectives(AIMS[0]),
            np.arange(40),
            judge=lambda: Score({"a": 1.0}, ("a",)),
            start=Score({"a": 1.0}, ("a",)),
            schedule=replace(SHORT, epochs=2),
            seed=0,
            most_forgotten=0.1,
            checkpoint=tmp_path / "ours" / CHECKPOINT,
            processes=processes,
        )

    assert len(learned(Elsewhere(CPU)).checks) == 3  # nobody has one
    with pytest.raises(ConfigError, match=r"after different epochs \(2, 0\).*--out"):
        learned(Elsewhere(CPU))
    assert len(learned(ALONE).checks) == 3


def test_a_device_that_is_not_there_is_told(monkeypatch):
    assert found_device("cpu") == CPU
    with pytest.raises(ConfigError, match="there is no device 'gpu'; known are auto, cpu, cuda"):
        found_device("gpu")
    for known_to_torch in ("meta", "mps", "xpu"):
        with pytest.raises(ConfigError, match=f"there is no device '{known_to_torch}'"):
            found_device(known_to_torch)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert found_device("cuda:1") == torch.device("cuda:1")
    require_devices(torch.device("cuda"), 2)
    with pytest.raises(ConfigError, match="torch finds 2 GPUs here; give --device cpu"):
        found_device("cuda:2")
    with pytest.raises(ConfigError, match="3 processes were asked for, and torch finds 2 GPUs"):
        require_devices(torch.device("cuda"), 3)
    with pytest.raises(ConfigError, match="--device names cuda:1; give cuda or cpu"):
        require_devices(torch.device("cuda:1"), 2)
