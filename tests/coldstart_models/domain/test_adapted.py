"""An adaptation from photos to an artifact, on a tiny network and generated photos."""

import json
import pickle
from contextlib import suppress
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from coldstart_models.domain import learning, record
from coldstart_models.domain.adapted import CHECKPOINT, adapt
from coldstart_models.domain.aims import Aims
from coldstart_models.domain.examples import Examples, cut, of_folder, of_home
from coldstart_models.domain.freedom import Freedom
from coldstart_models.domain.judging import Score
from coldstart_models.domain.learning import Schedule
from coldstart_models.domain.setting import Setting, parts_of, with_source
from coldstart_models.errors import ConfigError, NotBetter, NotEnoughData
from coldstart_models.retrieval import own_ranks
from feature_repo.encoders.encoder import Modality
from feature_repo.encoders.folder import load_folder_encoder
from feature_repo.encoders.running import Runner
from feature_repo.home import Home
from tests.coldstart_models.domain.photos import drawn, listings, load, photo_encoder
from validation import tables

SHORT = Schedule(epochs=4, batch=40, rate=1e-2, head_rate=1e-2, patience=4)
LONG = replace(SHORT, epochs=12, batch=16, patience=12)
SETTING = Setting(
    base="tiny",
    text="words",
    aims=Aims(objectives=("pairs",), keep=0.1),
    schedule=SHORT,
    freedom=Freedom(blocks=2),
    width=12,
    validate=0.25,
    hold=0.25,
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return listings(tmp_path_factory.mktemp("shop"), 160)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """Another domain: three of the shapes, in folders, on black."""
    folder = tmp_path_factory.mktemp("elsewhere")
    generator = np.random.default_rng(5)
    for number in range(90):
        path = folder / "abc"[number % 3] / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        drawn(number % 3, generator=generator).save(path)
    return of_folder(folder)


def reloaded(folder):
    return load_folder_encoder(folder, device="cpu", load_base=lambda name, device: load(name))


@pytest.fixture
def run(tmp_path):
    return partial(adapt, load=load, out=tmp_path / "ours", cache=tmp_path / "maps")


def with_aims(objectives, **changes):
    aims = Aims(objectives=objectives, keep=0.1, **changes)
    return replace(
        SETTING, aims=aims, freedom=SETTING.freedom if aims.learns or aims.align else Freedom()
    )


def test_pairs_become_two_artifacts_of_one_space_that_find_each_other(run, shop, tmp_path):
    found = run(shop, replace(SETTING, schedule=LONG))
    assert found.record.kept > 0
    losses = [check.loss["pairs"] for check in found.record.checks[1:]]
    assert losses[-1] < losses[0]
    before, after = found.before.as_dict(), found.after.as_dict()
    assert after["precision@10"] > before["precision@10"] + 0.05
    assert after["recall@10"] > before["recall@10"]
    assert found.counts == {"learned from": 80, "validation": 40, "held out": 40, "source": 0}
    image, text = (reloaded(tmp_path / "ours" / name) for name in ("image", "text"))
    assert image.space == text.space != image.hash
    assert (image.width, text.width, image.id) == (12, 12, "ours-image")
    photos = [Image.open(path) for path in shop.photos[:40]]
    kinds = image.encode(photos) @ text.encode(["lamp", "rug", "sofa", "shelf"]).T
    assert (kinds.argmax(1) == np.arange(40) % 4).mean() > 0.6
    assert not (tmp_path / "ours" / CHECKPOINT).exists()


def test_titles_are_foretold_in_one_step_and_what_a_photo_was_is_kept(
    run, shop, tmp_path, monkeypatch
):
    monkeypatch.setattr("coldstart_models.domain.learning.Score.gain", lambda self, start: 1.1)
    setting = with_aims(("titles",))
    found = run(shop, setting)
    assert (found.record.kept, len(found.record.checks)) == (0, 1)
    image, text = (reloaded(tmp_path / "ours" / name) for name in ("image", "text"))
    assert image.space == text.space
    assert image.width == text.width == 12 + 8
    lamp, rug = text.encode(["lamp 1", "rug 3"])
    for part in (slice(12), slice(12, None)):  # what it foretells of its photo, and its own
        assert not np.allclose(lamp[part], rug[part], atol=0.1)
    assert not (tmp_path / "ours" / "image" / "backbone.safetensors").exists()
    with pytest.raises(ConfigError, match="learned in one step, by itself"):
        with_aims(("titles", "labels"))


def test_what_is_foretold_weighs_as_validation_says(run, shop, tmp_path, monkeypatch):
    setting = with_aims(("titles",))
    found = run(shop, setting)
    kept = found.record.best
    assert kept.gain > 1.05  # titles name the shapes, so photos come to be told by shape
    assert found.after.precision[:, 1].mean() > found.whole.precision[:, 1].mean()
    gains = []
    for weight in (0.5, 1.0, 2.0, 4.0):
        monkeypatch.setattr("coldstart_models.domain.towers.WEIGHTS", (weight,))
        with suppress(NotBetter):
            one = adapt(shop, setting, load=load, out=tmp_path / f"{weight}", cache=tmp_path)
            gains.append(one.record.best.gain)
    assert kept.gain == max(gains) > min(gains)


def test_the_base_is_judged_at_its_full_width_as_well(run, shop, tmp_path):
    """Of 16 numbers two say little: what is kept must be better than all of them."""
    narrow = replace(with_aims(("labels",)), width=2)
    seen = []
    found = run(shop, narrow, watch=seen.append)
    whole, cut = found.whole.as_dict(), found.before.as_dict()
    assert whole["precision@10"] > cut["precision@10"]
    assert seen[0].photo.head.out_features == 2
    assert found.record.checks[0].gain < 1 < found.record.best.gain
    kept = run(shop, replace(narrow, width=16))
    assert kept.whole is kept.before
    learns_nothing = replace(narrow, schedule=replace(SHORT, rate=0.0, head_rate=0.0, epochs=1))
    with pytest.raises(NotBetter):
        run(shop, learns_nothing)


def test_the_artifact_gives_the_vectors_that_were_judged(run, shop, tmp_path, monkeypatch):
    seen = {}
    judge = record.Record.best.fget

    def remember(found):
        return judge(found)

    monkeypatch.setattr(record.Record, "best", property(remember))
    from coldstart_models.domain import adapted

    saved = adapted._save

    def spying(one, setting, out):
        seen["vectors"] = one.photo.vectors(np.arange(40))
        seen["paths"] = one.examples.photos[:40]
        return saved(one, setting, out)

    monkeypatch.setattr(adapted, "_save", spying)
    run(shop, with_aims(("labels",)))
    encoder = reloaded(tmp_path / "ours")
    vectors = encoder.encode([Image.open(path) for path in seen["paths"]])
    np.testing.assert_allclose(vectors, seen["vectors"], atol=5e-3)


def test_a_pair_and_a_single_encoder_are_not_written_into_one_folder(run, shop, tmp_path):
    run(shop, replace(SETTING, schedule=LONG))
    with pytest.raises(
        ConfigError, match=r"already in .*ours/image and in .*ours/text, and one encoder would"
    ):
        run(shop, with_aims(("labels",)))
    adapt(shop, with_aims(("labels",)), load=load, out=tmp_path / "one", cache=tmp_path / "maps")
    with pytest.raises(ConfigError, match=r"already in .*one, and a pair's image and text would"):
        adapt(shop, SETTING, load=load, out=tmp_path / "one", cache=tmp_path / "maps")
    assert reloaded(tmp_path / "one").modality == "image"
    again = replace(with_aims(("labels",)), freedom=Freedom(), schedule=LONG)  # a head alone
    adapt(shop, again, load=load, out=tmp_path / "one", cache=tmp_path / "maps")
    assert not (tmp_path / "one" / "backbone.safetensors").exists()


def test_an_artifact_is_not_written_in_the_place_of_what_it_adapts(run, shop, tmp_path):
    """It names its base: whoever loads it would look for that one in itself, and for ever."""
    heads = replace(with_aims(("labels",)), freedom=Freedom(), schedule=LONG)
    run(shop, heads)
    before = (tmp_path / "ours" / "config.json").read_bytes()
    again = replace(heads, base=f"folder:{tmp_path / 'x' / '..' / 'ours'}")
    with pytest.raises(ConfigError, match=r"ours is read from where its adaptation would be"):
        run(shop, again)
    on_top = tmp_path / "on-top"
    on_top.mkdir()
    (on_top / "config.json").write_text(
        json.dumps({"id": "two", "base": f"folder:{tmp_path / 'ours'}", "licence": "ours"})
    )
    with pytest.raises(ConfigError, match=r"on-top is read from where"):
        run(shop, replace(heads, base=f"folder:{on_top}"))
    assert (tmp_path / "ours" / "config.json").read_bytes() == before
    theirs = tmp_path / "theirs" / "text"  # of another kind, whose own config.json would be lost
    theirs.mkdir(parents=True)
    pair = replace(SETTING, text=f"hf-text:{theirs}")
    with pytest.raises(ConfigError, match=r"^hf-text:.* is read from where"):
        adapt(shop, pair, load=load, out=tmp_path / "theirs", cache=tmp_path / "maps")


def test_one_seed_is_one_artifact_and_another_another(shop, tmp_path):
    hashes = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        out = tmp_path / name / "ours"
        setting = replace(with_aims(("labels",)), seed=seed)
        adapt(shop, setting, load=load, out=out, cache=tmp_path / "maps")
        hashes.append(reloaded(out).hash)
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize("objectives", [("pairs",), ("labels", "views"), ("neighbours",)])
def test_a_run_that_was_killed_ends_where_it_would_have(
    run, shop, tmp_path, monkeypatch, objectives
):
    setting = with_aims(objectives)
    steps = []
    step = learning._Run._step

    def dying(self, rows, number):
        steps.append(number)
        if len(steps) == 6:
            raise KeyboardInterrupt
        return step(self, rows, number)

    with monkeypatch.context() as patched:
        patched.setattr(learning._Run, "_step", dying)
        with pytest.raises(KeyboardInterrupt):
            run(shop, setting)
    assert (tmp_path / "ours" / CHECKPOINT).exists()
    done = []
    monkeypatch.setattr(
        learning._Run, "_step", lambda self, *given: done.append(1) or step(self, *given)
    )
    resumed = run(shop, setting)
    assert len(done) == 8 - 4  # two steps an epoch; the first two epochs were done
    whole = adapt(
        shop, setting, load=load, out=tmp_path / "whole" / "ours", cache=tmp_path / "maps"
    )
    assert resumed.record == whole.record


@pytest.fixture
def steps(monkeypatch):
    """Epochs of the steps that were taken; `steps.dies` ends the run in that epoch."""

    class Steps(list):
        dies = None

    found, step = Steps(), learning._Run._step

    def told(self, rows, number):
        if self.epoch == found.dies:
            raise KeyboardInterrupt
        found.append(self.epoch)
        return step(self, rows, number)

    monkeypatch.setattr(learning._Run, "_step", told)
    return found


ANEW = [0, 0, 1, 1, 2, 2, 3, 3]
"""Epochs of two steps."""


def killed(run, shop, steps, **given):
    """A run that was killed in its second epoch."""
    steps.dies = 1
    with pytest.raises(KeyboardInterrupt):
        run(shop, SETTING, **given)
    steps.dies = None
    steps.clear()


def test_a_checkpoint_of_another_setting_is_not_taken_up(run, shop, steps):
    killed(run, shop, steps)
    run(shop, replace(SETTING, width=10))
    assert steps == ANEW


@pytest.mark.parametrize("changed", ["titles", "texts", "categories", "photos", "held out"])
def test_a_checkpoint_of_other_content_is_not_taken_up(run, shop, steps, tmp_path, changed):
    killed(run, shop, steps, hold=set(shop.ids[:40]))
    hold = set(shop.ids[:40])
    if changed == "held out":
        hold = set(shop.ids[1:41])
    elif changed == "photos":
        other = tmp_path / "other.png"
        drawn(3, generator=np.random.default_rng(9)).save(other)
        shop = replace(shop, photos=(other, *shop.photos[1:]))
    else:
        shop = replace(shop, **{changed: ("sofa 99", *getattr(shop, changed)[1:])})
    with suppress(NotBetter):  # what it comes to is not asked here
        run(shop, SETTING, hold=hold)
    assert steps == ANEW


def test_a_run_that_was_killed_while_it_saved_has_learned(run, shop, steps, monkeypatch):
    def dying(*given):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("coldstart_models.domain.adapted._save", dying)
        with pytest.raises(KeyboardInterrupt):
            run(shop, SETTING)
    assert steps == ANEW
    steps.clear()
    assert run(shop, SETTING).record.kept > 0
    assert steps == []


def test_the_best_epoch_is_kept_and_learning_stops_without_a_gain(run, shop, monkeypatch):
    gains = iter([1.0, 1.3, 1.2, 1.1, 1.25])
    told = {"precision@10": 1.0}

    def score(self):
        return Score({"precision@10": next(gains)}, ("precision@10",))

    monkeypatch.setattr("coldstart_models.domain.judging.Judge.__call__", score)
    monkeypatch.setattr(
        "coldstart_models.domain.learning.Score.gain", lambda self, start: self.told["precision@10"]
    )
    assert told
    setting = replace(with_aims(("labels",)), schedule=replace(SHORT, epochs=20, patience=2))
    gains = iter([1.0, 1.0, 1.0, 1.3, 1.2, 1.1, 1.25])  # the base is measured at two widths
    found = run(shop, setting)
    assert found.record.kept == 1
    assert [check.epoch for check in found.record.checks] == [0, 1, 2, 3]


def test_what_is_no_better_than_the_base_is_not_written(run, shop, tmp_path):
    setting = replace(
        with_aims(("labels",)), schedule=replace(SHORT, rate=0.0, head_rate=0.0, epochs=1)
    )
    with pytest.raises(NotBetter, match="nothing learned is better than 'tiny'") as raised:
        run(shop, setting)
    handed = pickle.loads(pickle.dumps(raised.value))  # as one of several processes hands it over
    assert handed.found["cost"]["steps"] == raised.value.found["cost"]["steps"] > 0
    assert [check["epoch"] for check in handed.found["checks"]] == [0, 1]
    assert not (tmp_path / "ours").exists()


def test_what_is_not_a_number_is_no_better_than_the_base(run, shop, tmp_path, monkeypatch):
    monkeypatch.setattr(Score, "gain", lambda self, start: float("nan"))
    with pytest.raises(NotBetter, match="the base is kept and nothing is written"):
        run(shop, with_aims(("labels",)))
    assert not (tmp_path / "ours").exists()


@pytest.mark.parametrize("objectives", [("pairs",), ("labels",), ("views",)])
def test_without_items_that_judge_nothing_is_judged(run, shop, objectives):
    with pytest.raises(NotEnoughData, match=r"no items are left to judge by.*--validate"):
        run(shop, replace(with_aims(objectives), validate=0.0))


def test_an_answer_is_found_where_none_is_as_near():
    vectors = np.eye(3, dtype=np.float32)
    assert own_ranks(vectors, vectors).tolist() == [0, 0, 0]
    assert own_ranks(vectors, vectors[[1, 0, 2]]).tolist() == [2, 2, 0]
    alike = np.ones((3, 2), np.float32)
    assert own_ranks(alike, alike).tolist() == [2, 2, 2]
    broken = vectors.copy()
    broken[1] = np.nan
    assert own_ranks(vectors, broken).tolist() == [1, 2, 1]
    assert own_ranks(broken, vectors).tolist() == [0, 2, 0]


def test_an_epoch_that_forgot_the_source_is_not_kept(run, shop, elsewhere, tmp_path):
    kept = run(shop, with_aims(("labels",)), source=elsewhere)
    assert "source precision@10" in kept.record.best.told
    strict = replace(with_aims(("labels",)), most_forgotten=-9.0)  # nothing is ever good enough
    with pytest.raises(NotBetter, match="checks lost more than"):
        run(shop, strict, source=elsewhere)


def test_a_start_that_forgets_too_much_is_no_bar_for_epochs_that_do_not(run, shop, monkeypatch):
    found = iter([(1.2, 0.3), (1.3, 0.3), (1.1, 0.03), (1.05, 0.0), (1.15, 0.02), (1.12, 0.0)])
    told: list[float] = []

    def gain(self, start):
        gained, forgot = next(found)
        told.append(forgot)
        return gained

    monkeypatch.setattr("coldstart_models.domain.learning.Score.gain", gain)
    monkeypatch.setattr(
        "coldstart_models.domain.learning.Score.forgotten", lambda self, start: told[-1]
    )
    setting = replace(with_aims(("labels",)), schedule=replace(SHORT, epochs=5, patience=5))
    assert run(shop, setting).record.kept == 4


def test_a_source_that_is_too_small_forbids_only_what_asks_for_it(run, shop, elsewhere):
    few = elsewhere.take(np.arange(30))
    found = run(shop, with_aims(("labels",)), source=few)
    assert "source precision@10" not in found.record.best.told
    assert found.record.best.forgotten == 0
    with pytest.raises(NotEnoughData, match="of the source: 30 examples leave 22 to learn from"):
        run(shop, with_aims(("labels",), align="coral"), source=few)


@pytest.mark.parametrize("align", ["coral", "dann"])
def test_the_source_is_learned_while_the_domains_are_aligned(
    run, shop, elsewhere, align, monkeypatch
):
    monkeypatch.setattr("coldstart_models.domain.learning.Score.gain", lambda self, start: 2.0)
    setting = with_aims(("source",), align=align, supervision="cross-entropy")
    found = run(shop, setting, source=elsewhere)
    losses = [check.loss for check in found.record.checks[1:]]
    first, last = losses[0], losses[-1]
    assert set(first) == {"keep", "source", align}
    assert last["source"] < first["source"]
    assert found.counts["source"] == 68  # of 90, 22 judge


def test_what_is_learned_of_a_source_is_judged_on_the_shop(run, shop, elsewhere, monkeypatch):
    """The source's classes are learned better and better; that is no gain of the shop's."""
    judged = set()

    def gain(self, start):
        judged.update(self.judged)
        return 2.0

    monkeypatch.setattr("coldstart_models.domain.learning.Score.gain", gain)
    setting = with_aims(("source",), supervision="cross-entropy")
    found = run(shop, setting, source=elsewhere)
    assert judged == {"view → photo, mean reciprocal rank"}
    assert "source precision@10" in found.record.best.told
    with pytest.raises(ConfigError, match="views need 2 or more"):
        replace(setting, views=1)


def test_coral_makes_the_covariances_alike(run, shop, elsewhere, monkeypatch):
    setting = replace(with_aims(("source",), align="coral", align_weight=5.0))
    monkeypatch.setattr("coldstart_models.domain.learning.Score.gain", lambda self, start: 2.0)
    found = run(shop, setting, source=elsewhere)
    coral = [check.loss["coral"] for check in found.record.checks[1:]]
    assert coral[-1] < 0.8 * coral[0]


def test_norms_of_the_target_are_an_artifact_without_a_step(run, shop, tmp_path, monkeypatch):
    monkeypatch.setattr("coldstart_models.domain.learning.Score.gain", lambda self, start: 1.1)
    found = run(shop, with_aims((), align="adabn"))
    assert (found.record.kept, len(found.record.checks)) == (0, 1)
    norm, base = (
        next(one for one in encoder.modules() if hasattr(one, "running_mean"))
        for encoder in (reloaded(tmp_path / "ours").base.module, photo_encoder().module)
    )
    assert not np.allclose(norm.running_mean, base.running_mean)
    assert np.array_equal(norm.weight.detach(), base.weight.detach())


def test_siglip_and_classes_learn_as_well(run, shop):
    pairs = run(shop, with_aims(("pairs",), contrast="siglip"))
    losses = [check.loss["pairs"] for check in pairs.record.checks[1:]]
    assert losses[-1] < losses[0]


def test_a_text_encoder_learns_categories(shop, tmp_path):
    found = adapt(
        shop,
        replace(with_aims(("labels",)), base="words", text=None, freedom=Freedom()),
        load=load,
        out=tmp_path / "texts",
        cache=tmp_path,
    )
    assert reloaded(tmp_path / "texts").encode(["lamp 1"]).shape == (1, 8)
    assert found.folders == {"text": tmp_path / "texts"}
    told = json.loads(json.dumps(found.as_dict()))
    assert told["after"]["precision@10"] >= told["before"]["precision@10"]


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        (lambda: replace(SETTING, text=None), "titles need an encoder of their own"),
        (lambda: Setting("tiny", "words", freedom=Freedom(rank=2)), "learns heads alone"),
        (lambda: Setting("tiny", "words", text_freedom=Freedom(rank=2)), "learns heads alone"),
        (lambda: with_aims(("colours",)), "no objective 'colours'; known are titles, pairs"),
        (lambda: with_aims(("pairs",), align="mmd"), "no alignment 'mmd'; known are coral"),
        (lambda: Aims(objectives=()), "there is nothing to learn"),
        (lambda: replace(SHORT, batch=1), "must be at least"),
        (lambda: replace(with_aims(("views",)), views=1), "views need 2 or more"),
    ],
)
def test_a_setting_that_cannot_be_says_why(setting, told):
    with pytest.raises(ConfigError, match=told):
        setting()


def test_what_examples_lack_is_said(run, shop, elsewhere, tmp_path):
    with pytest.raises(ConfigError, match=r"source needs photos of another domain.*--source"):
        run(shop, with_aims(("source",)))
    with pytest.raises(ConfigError, match="texts alone learns from labels"):
        run(shop, replace(SETTING, base="words"))
    with pytest.raises(NotEnoughData, match="0 of 90 examples have a photo and a title, and 40"):
        run(elsewhere, SETTING)
    with pytest.raises(NotEnoughData, match="40 examples leave 20 to learn from; 40 are needed"):
        run(shop.take(np.arange(40)), SETTING)
    unlabelled = replace(shop, categories=(None,) * len(shop))
    with pytest.raises(NotEnoughData, match="'labels' needs categories"):
        run(unlabelled, with_aims(("labels",)))
    with pytest.raises(NotEnoughData, match="neither folders of photos"):
        of_folder(tmp_path)


def test_items_are_cut_into_parts_that_share_none():
    parts = cut(np.arange(10, 210), validate=0.2, hold=0.1, seed=3)
    assert [len(part) for part in (parts.learn, parts.validate, parts.hold)] == [140, 40, 20]
    together = np.concatenate([parts.learn, parts.validate, parts.hold])
    assert np.array_equal(np.sort(together), np.arange(10, 210))


def test_what_is_one_thing_comes_into_one_part():
    alone = cut(np.arange(200), validate=0.2, hold=0.1, seed=3)
    same = cut(np.arange(200), validate=0.2, hold=0.1, seed=3, groups=np.arange(200)[::-1].copy())
    for one, other in zip((alone.learn, alone.hold), (same.learn, same.hold), strict=True):
        np.testing.assert_array_equal(one, other)  # without copies nothing changes
    groups = np.arange(200) // 3
    parts = cut(np.arange(200), validate=0.2, hold=0.1, seed=3, groups=groups)
    found = [set(groups[part].tolist()) for part in (parts.learn, parts.validate, parts.hold)]
    assert sum(map(len, found)) == len(set.union(*found)) == 67
    assert 20 <= len(parts.hold) <= 22
    assert 38 <= len(parts.validate) <= 42


def test_listings_of_one_id_or_one_photo_are_one_thing(tmp_path):
    shop = listings(tmp_path, 6)
    copied = tmp_path / "copy.png"
    copied.write_bytes(shop.photos[0].read_bytes())
    photos = (*shop.photos[:4], copied, None)
    shop = replace(shop, photos=photos, ids=np.array(["a", "b", "c", "b", "d", "e"], object))
    groups = shop.groups()
    assert groups[0] == groups[4]
    assert groups[1] == groups[3]
    assert len(set(groups.tolist())) == 4
    alike = replace(shop, texts=("a rug", *shop.texts[1:5], "a rug"))
    assert len(set(alike.groups().tolist())) == 4
    by_text = alike.groups(by_text=True)
    assert by_text[0] == by_text[4] == by_text[5]
    without = replace(alike, texts=(None,) * 6)
    assert without.groups(by_text=True).tolist() == groups.tolist()


@pytest.mark.parametrize("pairs", [True, False])
def test_a_text_that_is_held_out_is_not_learned_from_where_texts_are_read(tmp_path, pairs):
    shop = listings(tmp_path, 120)
    doubled = replace(shop, texts=tuple(f"thing {number // 2}" for number in range(120)))
    setting = SETTING if pairs else with_aims(("labels",))
    parts = parts_of(doubled, setting, None, of_photos=pairs)
    part_of = {doubled.texts[row]: set() for row in range(120)}
    for name, rows in zip("lvh", (parts.learn, parts.validate, parts.hold), strict=True):
        for row in rows:
            part_of[doubled.texts[row]].add(name)
    assert {len(found) for found in part_of.values()} == {1}
    assert set.union(*part_of.values()) == {"l", "v", "h"}
    split = parts_of(doubled, with_aims(("labels",)), None, of_photos=True)  # only photos are read
    of_both = {doubled.texts[row] for row in split.hold} & {
        doubled.texts[row] for row in split.learn
    }
    assert of_both


def test_copies_of_a_photo_of_the_source_are_in_one_part(tmp_path):
    target = listings(tmp_path / "target", 3)
    pairs = listings(tmp_path / "source", 60).take(np.repeat(np.arange(60), 2))
    source = replace(pairs, ids=np.array([f"s{number:03d}" for number in range(120)], object))
    both, parts = with_source(target, source, SETTING)
    assert len(both) == 123
    assert sorted([*parts.learn, *parts.validate]) == list(range(3, 123))
    photos = [path.read_bytes() if path else None for path in both.photos]
    judged = {photos[row] for row in parts.validate}
    assert judged
    assert not judged & {photos[row] for row in parts.learn}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"validate": 0.9, "hold": 0.9}, "two shares that leave some to learn from"),
        ({"validate": float("nan")}, "two shares"),
        ({"most_forgotten": float("nan")}, "max-forgetting is nan, expected a share"),
        ({"seed": -1}, "seed is -1, expected 0 or more"),
    ],
)
def test_a_setting_of_numbers_that_say_nothing_is_refused(wrong, told):
    with pytest.raises(ConfigError, match=told):
        replace(SETTING, **wrong)


@pytest.mark.parametrize("name", ["rate", "head_rate", "decay"])
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_a_pace_of_no_size_is_refused(name, value):
    with pytest.raises(ConfigError, match=f"{name} is {value}, expected 0 or more"):
        Schedule(**{name: value})


def test_copies_of_what_is_held_out_are_not_learned_from(tmp_path):
    shop = listings(tmp_path, 120)
    twins = replace(shop, ids=np.array([f"j{number:03d}" for number in range(120)], object))
    both = shop.then(twins)
    drawn_parts = parts_of(both, SETTING, None, of_photos=True)
    named = parts_of(both, SETTING, {"i003", "i004"}, of_photos=True)
    for parts in (drawn_parts, named):
        held = {both.photos[row] for row in parts.hold}
        rest = {both.photos[row] for row in [*parts.learn, *parts.validate]}
        assert held
        assert not held & rest
    assert [both.ids[row] for row in named.hold] == ["i003", "i004"]


def test_a_photo_that_cannot_be_read_is_left_out_of_a_folder_and_told(tmp_path, caplog):
    for kind in "ab":
        (tmp_path / "classes" / kind).mkdir(parents=True)
        drawn(0, generator=np.random.default_rng(0)).save(tmp_path / "classes" / kind / "1.png")
    (tmp_path / "classes" / "a" / "broken.jpg").write_bytes(b"no photo")
    (tmp_path / "classes" / "a" / "._1.png").write_bytes(b"what a file system left")
    found = of_folder(tmp_path / "classes")
    assert found.ids.tolist() == ["a/1.png", "a/broken.jpg", "b/1.png"]
    assert found.with_photo.tolist() == [True, False, True]
    assert "1 of 3 photos in" in caplog.text
    assert "broken.jpg" in caplog.text


class _Pixels:
    """Photos by the number that is their red, in one space with `_Numbers`."""

    modality, id, hash, space, licence, width = Modality.IMAGE, "pixels", "p1", "joint", "MIT", 96

    def __init__(self, vectors):
        self.module = torch.nn.Identity()
        known = torch.from_numpy(vectors)
        self.runner = Runner(lambda numbers: known[numbers.long()], device="cpu")

    def prepare(self, image):
        return int(np.asarray(image)[0, 0, 0])

    def stage(self, prepared):
        return self.runner.stage(torch.tensor(prepared))


class _Numbers:
    """Titles by the number that they are."""

    modality, id, hash, space, licence, width = Modality.TEXT, "numbers", "n1", "joint", "MIT", 96

    def __init__(self, vectors):
        self.vectors = vectors

    def encode(self, titles):
        return self.vectors[[int(title) for title in titles]]


@pytest.mark.parametrize("space", ["joint", "another"])
def test_bases_of_one_space_are_judged_as_they_come(space, tmp_path, monkeypatch):
    generator = np.random.default_rng(0)
    said = generator.normal(size=(200, 96)).astype(np.float32)
    seen = np.asarray(said + 0.9 * generator.normal(size=said.shape) + 2.0, np.float32)
    paths = []
    for number in range(200):
        paths.append(tmp_path / f"{number:03d}.png")
        Image.new("RGB", (8, 8), (number, 0, 0)).save(paths[-1])
    titles = tuple(str(number) for number in range(200))
    shop = Examples(np.array(titles, object), tuple(paths), titles, titles, ("A",) * 200)
    monkeypatch.setattr(_Numbers, "space", space)
    setting = replace(with_aims(("titles",)), base="pixels", text="numbers", width=96, views=1)
    found = []
    with suppress(NotBetter):
        adapt(
            shop,
            setting,
            load=lambda name: _Pixels(seen) if name == "pixels" else _Numbers(said),
            out=tmp_path / "ours",
            cache=tmp_path / "maps",
            watch=found.append,
        )
    whole, rows = found[0].whole(), found[0].cut.hold
    if space != "joint":
        assert whole is None  # nothing of 96 numbers was cut
        return
    assert whole is not None
    own = float((own_ranks(said[rows], seen[rows]) < 1).mean())
    assert own > 0.8
    assert whole[1].as_dict()["recall@1"] == pytest.approx(own)


def test_labels_are_told_apart_by_what_was_learned_from():
    categories = ("A > x",) * 5 + ("A > y",) * 4 + ("B",) * 5 + (None, "A > x > deep", "C")
    count = len(categories)
    nothing = (None,) * count
    examples = Examples(np.arange(count).astype(object), nothing, nothing, nothing, categories)
    labels = examples.labels(np.arange(count - 3))
    assert labels.tolist() == [1] * 5 + [0] * 4 + [2] * 5 + [-1, 1, -1]


def test_what_names_no_domain_is_ranked_beside_home_and_no_source(tmp_path):
    home = Home(tmp_path)
    columns = {tables.ITEM_ID: list("abcd"), tables.TITLE: list("abcd")}
    for domains, count, others in (
        (["home", None, "clothing", "home"], 3, 1),
        (["home", None, None, "home"], 4, None),
        ([None, None, "clothing", None], 4, None),
    ):
        frame = pd.DataFrame(columns | {tables.DOMAIN: domains})
        frame = frame.reindex(columns=tables.ITEMS.names)
        home.items.parent.mkdir(parents=True, exist_ok=True)
        frame.to_parquet(home.items)
        target, source = of_home(home)
        assert len(target) == count
        assert (None if source is None else len(source)) == others


def test_a_table_of_photos_is_a_source(tmp_path):
    drawn(0, generator=np.random.default_rng(0)).save(tmp_path / "1.png")
    (tmp_path / "items.csv").write_text("item_id,category,image_path\nb,X > y,1.png\na,Z,no.png\n")
    found = of_folder(tmp_path)
    assert found.ids.tolist() == ["a", "b"]
    assert found.with_photo.tolist() == [False, True]
    assert found.categories == ("Z", "X > y")
