"""A network from nothing, and that its file is one that `load_encoder` and `adapt` take."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from coldstart_models.domain.beginning import Beginning, begin
from coldstart_models.domain.examples import cut, of_folder
from coldstart_models.errors import ConfigError, NotEnoughData
from feature_repo.encoders.registry import load_encoder
from feature_repo.errors import EncoderError
from tests.coldstart_models.domain.photos import drawn, photo_encoder

SMALL = Beginning(network="squeezenet1_1", size=32, epochs=1, batch=16)
DROPS = Beginning(network="mobilenet_v3_small", size=32, epochs=3, batch=16)
TINY = Beginning(network="shufflenet_v2_x0_5", size=32, epochs=3, batch=16)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    generator = np.random.default_rng(5)
    for number in range(80):
        path = folder / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        drawn(number % 2, generator=generator).save(path)
    return of_folder(folder)


def test_a_network_learns_classes_and_its_teacher_and_becomes_a_weights_file(source, tmp_path):
    file = tmp_path / "shuffle.pth"
    found = begin(source, TINY, out=file, device="cpu", teacher=photo_encoder())
    assert (found.photos, found.classes, found.file) == (68, 2, file)
    assert found.loss[-1] < found.loss[0]
    assert 0 <= found.accuracy <= 1
    encoder = load_encoder(f"torchvision:shufflenet_v2_x0_5:{file}", device="cpu")
    assert (encoder.width, encoder.licence) == (1024, "not stated")
    again = begin(source, TINY, out=tmp_path / "b.pth", device="cpu", teacher=photo_encoder())
    assert again.loss == found.loss  # the seed decides
    one, two = (torch.load(path, weights_only=True) for path in (file, again.file))
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("teacher", [True, False], ids=["taught", "classes alone"])
def test_a_stopped_run_goes_on_to_the_same_end(source, tmp_path, teacher):
    def learned(name, setting=DROPS, **options):
        guide = photo_encoder() if teacher else None
        return begin(source, setting, out=tmp_path / name, device="cpu", teacher=guide, **options)

    def dies(step, total):
        if step > 2 * total / 3:
            raise KeyboardInterrupt

    whole = learned("whole.pth")
    with pytest.raises(KeyboardInterrupt):
        learned("stopped.pth", progress=dies)
    kept = tmp_path / ".stopped.pth.checkpoint"
    assert kept.is_file()
    assert not (tmp_path / "stopped.pth").exists()
    steps = []
    drawn = []
    again = learned(
        "stopped.pth",
        progress=lambda step, total: steps.append(step / total),
        curves=lambda name, value, step: drawn.append((name, step, value)),
    )
    assert [(name, step) for name, step, _ in drawn] == [
        (name, step) for step in range(9, 13) for name in ("loss", "rate")
    ]
    losses = [value for name, _, value in drawn if name == "loss"]
    assert np.mean(losses) == pytest.approx(again.loss[-1])
    assert min(steps) > 0.6  # two epochs of three were there
    assert again.loss == whole.loss
    assert (whole.cost.steps, again.cost.steps) == (12, 4)
    one, two = (torch.load(found.file, weights_only=True) for found in (whole, again))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not kept.exists()


@pytest.mark.parametrize("torn", [False, True], ids=["of another setting", "half a file"])
def test_what_another_run_left_or_half_a_file_is_not_taken_up(source, tmp_path, torn):
    def dies(step, total):
        if step > total / 2:
            raise KeyboardInterrupt

    out = tmp_path / "x.pth"
    with pytest.raises(KeyboardInterrupt):
        begin(source, TINY, out=out, device="cpu", progress=dies)
    kept, steps = tmp_path / ".x.pth.checkpoint", []
    if torn:
        kept.write_bytes(kept.read_bytes()[:1000])
    other = TINY if torn else replace(TINY, seed=1, epochs=1)
    begin(source, other, out=out, device="cpu", progress=lambda step, total: steps.append(step))
    assert steps[0] == 1


def test_what_learned_other_photos_of_the_same_names_is_not_taken_up(source, tmp_path):
    def dies(step, total):
        if step > total / 2:
            raise KeyboardInterrupt

    out, steps = tmp_path / "x.pth", []
    with pytest.raises(KeyboardInterrupt):
        begin(source, TINY, out=out, device="cpu", progress=dies)
    other = tmp_path / "other.png"
    drawn(3, generator=np.random.default_rng(9)).save(other)
    changed = replace(source, photos=(other, *source.photos[1:]))
    once = replace(TINY, epochs=3)
    begin(changed, once, out=out, device="cpu", progress=lambda step, total: steps.append(step))
    assert steps[0] == 1


def test_copies_of_a_photo_are_all_learned_from_or_all_kept_out(source, tmp_path, monkeypatch):
    pairs = source.take(np.repeat(np.arange(40), 2))
    ids = np.array([f"{number:02d}" for number in range(80)], object)
    twice, parts = replace(pairs, ids=ids), []

    def keeping(*given, **options):
        parts.append(cut(*given, **options))
        return parts[-1]

    monkeypatch.setattr("coldstart_models.domain.beginning.cut", keeping)
    setting = replace(TINY, epochs=1)
    begin(twice, setting, out=tmp_path / "x.pth", device="cpu")
    assert not set(parts[0].learn // 2) & set(parts[0].validate // 2)


def test_a_network_that_classifies_in_its_middle_is_begun_as_well(source, tmp_path):
    file, few = tmp_path / "googlenet.pth", source.take(np.arange(60))
    setting = Beginning(network="googlenet", size=32, epochs=1, batch=32)
    found = begin(few, setting, out=file, device="cpu")
    assert (found.photos, found.classes) == (51, 2)
    assert load_encoder(f"torchvision:googlenet:{file}", device="cpu").width == 1024


def test_a_network_of_one_size_of_photos_says_which(source, tmp_path):
    with pytest.raises(ConfigError, match=r"vit_b_32 takes no photos of 64 pixels.*--size 224"):
        begin(source, Beginning(network="vit_b_32"), out=tmp_path / "x.pth", device="cpu")
    assert not (tmp_path / "x.pth").exists()


def test_what_cannot_be_begun_says_why(source, tmp_path):
    with pytest.raises(ConfigError, match="no linear classifier"):
        begin(source, SMALL, out=tmp_path / "x.pth", device="cpu")
    with pytest.raises(EncoderError, match="did you mean 'resnet50'"):
        begin(source, Beginning(network="resnet5"), out=tmp_path / "x.pth", device="cpu")
    with pytest.raises(ConfigError, match="must be at least 32"):
        Beginning(size=8)
    for wrong in ({"rate": float("nan")}, {"rate": -1.0}, {"seed": -1}):
        with pytest.raises(ConfigError, match="must be numbers of 0 or more"):
            Beginning(**wrong)
    alone = source.take(np.arange(len(source)))
    unlabelled = type(alone)(
        alone.ids, alone.photos, alone.texts, alone.titles, (None,) * len(alone)
    )
    with pytest.raises(NotEnoughData, match="no class has five photos"):
        begin(unlabelled, TINY, out=tmp_path / "x.pth", device="cpu")
    assert not (tmp_path / "x.pth").exists()
