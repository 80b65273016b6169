"""The benchmark of adaptation: who sees what, and what a row says."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from benchmarks import adaptation, adaptation_cells
from benchmarks.adaptation import METRICS, RESNET50, VARIANTS, base_of, name_of, row_of
from benchmarks.adaptation_cells import Cell, Found, Shop, cell
from coldstart_models.benchmark_run import read_stored
from coldstart_models.domain.aims import LABELS, PAIRS, Aims
from coldstart_models.domain.examples import of_home
from coldstart_models.domain.freedom import Freedom
from coldstart_models.domain.setting import Setting
from feature_repo.catalogs.registry import open_source
from feature_repo.home import Home
from feature_repo.jobs.ingest import ingest
from tests.coldstart_models.domain.photos import KINDS, KindWords, drawn, photo_encoder
from validation import gate

NOW = datetime(2026, 11, 1, tzinfo=UTC)
SETTING = Setting(
    base="tiny",
    text="words",
    aims=Aims(objectives=("titles",)),
    freedom=Freedom(),
    width=12,
    validate=0.3,
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A table of 200 listings with photos, each user fond of one kind."""
    folder = tmp_path_factory.mktemp("shop")
    generator = np.random.default_rng(0)
    (folder / "images").mkdir()
    items, events = ["item_id,title,category"], ["user_id,item_id,event_type,seq"]
    for number in range(200):
        kind = number % 4
        drawn(kind, generator=generator).save(folder / f"images/i{number:03d}.png")
        items.append(f"i{number:03d},{KINDS[kind]} number {number},Home > {KINDS[kind]}")
    for user in range(40):
        for seq, place in enumerate(generator.permutation(50)[:20]):
            events.append(f"u{user:02d},i{place * 4 + user % 4:03d},purchase,{seq}")
    (folder / "items.csv").write_text("\n".join(items) + "\n")
    (folder / "interactions.csv").write_text("\n".join(events) + "\n")
    home, spec = Home(tmp_path_factory.mktemp("home")), f"table:{folder}"
    ingest(
        open_source(spec, photos=home.photos, as_of=NOW), home=home, spec=spec, now=NOW, gate=gate
    )
    return Shop("tiny", read_stored(home), of_home(home)[0], None)


def load(name):
    return photo_encoder() if name.startswith("tiny") else KindWords()


def test_only_what_is_called_so_sees_categories_or_titles_of_the_home():
    for name, setting in VARIANTS.items():
        assert (LABELS in setting.aims.objectives) == ("labels" in name)
        assert (PAIRS in setting.aims.objectives) == ("pairs" in name)
        assert (setting.text is not None) == ("pairs" in name or name == "titles")


def found(precision: float, ndcg: float) -> Found:
    items = np.full((40, 3), np.nan)
    items[:20] = (1.0, precision, 0.5)
    users = np.full((30, 1), np.nan)
    users[:10] = ndcg
    return Found(items, users)


def test_a_row_tells_means_gains_and_intervals_of_the_held_out_alone():
    before = found(0.4, 0.1)
    cells = [
        Cell(before, found(0.3, 0.1), found(0.5, 0.1), better=True),
        Cell(before, found(0.3, 0.1), before, better=False),
    ]
    row = row_of("shop", "labels", cells)
    assert list(row) == ["data", "variant", "seeds", "kept", *METRICS]
    assert (row["seeds"], row["kept"]) == (2, 1)
    assert row["precision@10"] == "0.4000 → 0.4500, +12.5% (+12.5% to +12.5%)"
    assert row["ndcg@10"].startswith("0.1000 → 0.1000, +0.0%")


def test_every_base_and_number_of_blocks_has_results_of_its_own():
    asked = [("efficientnet-lite0", 0), ("efficientnet-lite0", 3), (RESNET50, 0), (RESNET50, 1)]
    assert [name_of(*one) for one in asked] == [
        "adaptation",
        "adaptation_3_blocks",
        "adaptation_resnet50",
        "adaptation_resnet50_1_blocks",
    ]


def test_a_base_is_begun_once_from_the_other_domain_and_not_where_nothing_is_to_be_measured(
    tmp_path, monkeypatch
):
    generator, source = np.random.default_rng(0), tmp_path / "clothing_images"
    for number in range(60):
        (source / KINDS[number % 2]).mkdir(parents=True, exist_ok=True)
        photo = drawn(number % 2, generator=generator)
        photo.save(source / KINDS[number % 2] / f"{number}.png")
    monkeypatch.setattr(adaptation, "FOLDER", tmp_path / "results")
    monkeypatch.setattr(
        adaptation, "BEGINNING", replace(adaptation.BEGINNING, size=32, epochs=1, batch=8)
    )
    monkeypatch.setattr(adaptation, "load_encoder", lambda name: photo_encoder())
    assert base_of("efficientnet-lite0", tmp_path, only_kept=True) == "efficientnet-lite0"
    with pytest.raises(SystemExit, match="resnet50 was not begun yet"):
        base_of(RESNET50, tmp_path, only_kept=True)
    (tmp_path / "results").mkdir()
    first = base_of(RESNET50, tmp_path, only_kept=False)
    monkeypatch.setattr(adaptation, "begin", None)  # not begun again
    assert base_of(RESNET50, tmp_path, only_kept=True) == first
    drawn(0, generator=generator).save(source / KINDS[0] / "more.png")
    with pytest.raises(SystemExit, match="not begun yet"):  # other photos, other weights
        base_of(RESNET50, tmp_path, only_kept=True)


def test_a_metric_that_was_not_measured_is_a_dash():
    cells = [Cell(found(0.4, np.nan), found(0.4, np.nan), found(0.5, np.nan), better=True)]
    assert row_of("shop", "labels", cells)["ndcg@10"] == "–"


def test_a_cell_is_measured_once_on_items_that_nothing_was_learned_from(
    shop, tmp_path, monkeypatch
):
    def measured(one=shop, setting=SETTING, *, only_kept=False):
        return cell(one, setting, told="tiny", folder=tmp_path, load=load, only_kept=only_kept)

    assert measured(only_kept=True) is None
    found = measured()
    cold = ~np.isnan(found.whole.items[:, 1])
    assert cold.sum() == 40
    assert found.better
    for side in (found.cut, found.after):
        assert np.array_equal(~np.isnan(side.items[:, 1]), cold)
    precision = [np.nanmean(one.items[:, 1]) for one in (found.whole, found.cut, found.after)]
    assert precision[2] > precision[0] != precision[1]
    ndcg = [np.nanmean(one.users) for one in (found.whole, found.after)]
    assert 0 < ndcg[0] < ndcg[1]
    monkeypatch.setattr(adaptation_cells, "_measured", None)  # not measured again
    assert np.array_equal(measured().after.items, found.after.items, equal_nan=True)
    elsewhere = replace(SETTING, base="tiny:/another/folder/of/it")
    assert measured(setting=elsewhere, only_kept=True) is not None  # its hash is the same
    others = (
        {"setting": replace(SETTING, seed=1)},
        {"one": replace(shop, target=replace(shop.target, titles=(None,) * len(shop.target)))},
        {"one": replace(shop, stored=replace(shop.stored, events=shop.stored.events[1:]))},
    )
    assert [measured(**other, only_kept=True) for other in others] == [None] * 3
