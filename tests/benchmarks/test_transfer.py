"""The curve of transfer: measured once, paired, and never on a shop that was learned from."""

import json
import sys
from dataclasses import replace

import pytest

from benchmarks import kept_results, tables, transfer, transfer_tables
from benchmarks.grid import Cut
from coldstart_models.benchmark_run import SplitPlan
from coldstart_models.errors import ConfigError
from coldstart_models.general import pretraining_job
from coldstart_models.general.contrast import GeneralSchedule
from tests.coldstart_models.general.shops import stored_shop

SHORT = GeneralSchedule(steps=40, check_every=20, users=32, candidates=64, rate=1e-2)
CUTS = tuple(
    Cut(name, name, "marketplace", SplitPlan(random_items=0.2)) for name in ("a", "b", "c")
)
SEEDS = {"a": 0, "b": 1, "c": 2}


@pytest.fixture
def bench(monkeypatch, tmp_path, capsys):
    """Run the benchmark on three small shops; what it said and its document."""
    document = tmp_path / "benchmarks.md"
    document.write_text("a\n<!-- table:transfer -->\n<!-- /table:transfer -->\nb\n")
    monkeypatch.setattr(transfer, "GRID", CUTS)
    monkeypatch.setattr(transfer, "HOME_OF", {cut.store: cut for cut in CUTS})
    monkeypatch.setattr(transfer, "TRANSFER", tmp_path / "transfer")
    monkeypatch.setattr(
        transfer, "_stored", lambda cut, _: stored_shop(cut.store, seed=SEEDS[cut.store])
    )
    monkeypatch.setattr(
        transfer,
        "pretrain_shops",
        lambda shops, **how: pretraining_job.pretrain_shops(shops, schedule=SHORT, **how),
    )

    def run(*arguments):
        given = ["--into", str(document), "--targets", "c", "--sources", "a,b,c", *arguments]
        monkeypatch.setattr(sys, "argv", ["transfer", *given])
        transfer.main()
        return capsys.readouterr().out, document.read_text()

    return run


def test_the_curve_is_paired_and_tells_what_was_learned_from(bench, tmp_path):
    said, document = bench("--shares", "0.25", "--seeds", "1")
    assert "c: general model of a, b" in said
    rows = [line for line in document.splitlines() if line.startswith("| `c`")]
    assert [row.split("|")[2].strip() for row in rows] == ["25%"]
    assert "general for `c`: a (" in document
    assert document.startswith("a\n<!-- table:transfer -->\n")
    assert document.endswith("<!-- /table:transfer -->\nb\n")
    told = tables.published(json.loads((tmp_path / "transfer.json").read_text()))
    assert rows[0] in told.splitlines()
    assert "- general for `c`: a (" in told
    assert "points" not in told
    points = sorted((tmp_path / "transfer" / "points").iterdir())
    assert len(points) == 4
    written = [point.stat().st_mtime_ns for point in points]
    _, again = bench("--shares", "1,0.25", "--seeds", "2", "--no-measuring")
    assert [line for line in again.splitlines() if line.startswith("| `c`")] == rows
    assert len(list((tmp_path / "transfer" / "points").iterdir())) == 4
    assert [point.stat().st_mtime_ns for point in points] == written


def test_a_point_is_of_its_data_and_its_code(tmp_path, monkeypatch):
    point, cut = transfer.Point("c", 0, 0.1, transfer_tables.ALONE, ""), CUTS[2]
    first = point.path(tmp_path, cut, (240, 1200, "", "hash"))
    assert first == point.path(tmp_path, cut, (240, 1200, "", "hash"))
    others = {
        point.path(tmp_path, cut, (240, 1201, "", "hash")),
        point.path(tmp_path, replace(cut, plan=SplitPlan(random_items=0.3)), (240, 1200, "", "")),
    }
    monkeypatch.setattr(kept_results, "code_version", lambda module: "another")
    others.add(point.path(tmp_path, cut, (240, 1200, "", "hash")))
    assert len(others - {first}) == 3


def test_a_general_model_that_saw_the_target_is_refused(bench, monkeypatch):
    real = transfer._sources
    monkeypatch.setattr(transfer, "_sources", lambda names, options: real([*names, "c"], options))
    with pytest.raises(ConfigError, match="learned from c, which is the target c"):
        bench("--shares", "1", "--seeds", "1")


def test_a_general_model_is_of_the_sources_that_were_there(bench, monkeypatch, tmp_path):
    away = Cut("b", "b", "table:{data}/b", SplitPlan(random_items=0.2))
    monkeypatch.setattr(transfer, "HOME_OF", {**transfer.HOME_OF, "b": away})
    asked = ("--shares", "0.25", "--seeds", "1", "--data", str(tmp_path))
    said, _ = bench(*asked)
    assert "not learned from: b: there is no folder" in said
    assert "c: general model of a\n" in said
    (tmp_path / "b").mkdir()
    said, _ = bench(*asked)
    assert "c: general model of a, b" in said


def test_data_that_is_not_there_is_left_out(bench, monkeypatch, tmp_path):
    absent = Cut("c", "c", "table:{data}/nowhere", SplitPlan(random_items=0.2))
    monkeypatch.setattr(transfer, "GRID", (absent,))
    with pytest.raises(ValueError, match="no point was measured"):
        bench("--data", str(tmp_path))


def result(arm, seed, values, *, share=0.1, target="t"):
    return {
        "target": target,
        "seed": seed,
        "share": share,
        "arm": arm,
        "events": 10,
        "candidates": 5,
        "users": list(range(len(values))),
        "values": [[0.0, value, 0.0, 0.5] for value in values],
        "general": None,
        "generated": False,
    }


def test_generated_data_is_called_so_as_a_target_and_as_a_source():
    told = {"name": "s", "contents": 5, "pairs": 7, "generated": True}
    made = {"sources": [told, {**told, "name": "r", "generated": False}], "kept_step": 3}
    alone = {**result(transfer_tables.ALONE, 0, [0.2]), "generated": True}
    moved = {**result(transfer_tables.TRANSFERRED, 0, [0.3]), "generated": True, "general": made}
    text = transfer_tables.published([alone, moved], machine={})
    assert "| `t`, generated data | 10% |" in text
    assert "s (generated, 5 contents, 7 pairs); r (5 contents, 7 pairs)" in text


def test_the_gain_is_the_mean_of_paired_differences_over_both_others():
    alone = [
        result(transfer_tables.ALONE, 0, [0.2, 0.4]),
        result(transfer_tables.ALONE, 1, [0.2, 0.4]),
    ]
    moved = [result(transfer_tables.TRANSFERRED, 0, [0.3, 0.5])]
    unlearned = [result(transfer_tables.UNLEARNED, 0, [0.35, 0.35])]
    whole = [result(transfer_tables.WHOLE, 0, [0.5, 0.7])]
    text = transfer_tables.published([*alone, *moved, *unlearned, *whole], machine={"cpus": 2})
    (row,) = (line for line in text.splitlines() if line.startswith("| `t`"))
    cells = [cell.strip() for cell in row.split("|")[1:-1]]
    assert cells[1:4] == ["10%", "10", "1"]
    assert cells[5:9] == [".3000", ".3500", "**.4000**", "+.1000 (+.1000 to +.1000)"]
    assert cells[9] == "+33.3"
    assert cells[10].startswith("+.0500 (−.0500 to +.1500")
    assert cells[12:] == [".6000", "+100.0"]
    text = transfer_tables.published([*alone, *moved], machine={"cpus": 2})
    assert "| – | **.4000** |" in text
    assert text.count("| – | – |\n") == 1


def test_targets_and_shares_that_were_not_measured_stay_as_the_page_shows_them():
    made = {"sources": [{"name": "s", "contents": 5, "pairs": 7, "generated": False}]}

    def told(target, share, ndcg, step, page=""):
        alone = result(transfer_tables.ALONE, 0, [0.2], share=share, target=target)
        moved = result(transfer_tables.TRANSFERRED, 0, [ndcg], share=share, target=target)
        moved |= {"general": {**made, "kept_step": step}}
        return transfer_tables.published([alone, moved], machine={"cpus": step}, page=page)

    page = told("ikea", 0.1, 0.3, 1)
    assert "of an earlier run" not in page
    page = told("ikea", 1.0, 0.4, 1, page)
    page = told("retail-06-01", 0.1, 0.5, 2, page)
    page = told("ikea", 0.1, 0.6, 3, page)
    rows = tables.rows_of(page)
    found = [(row["target"], row["share"], row[transfer_tables.TRANSFERRED]) for row in rows]
    assert found == [
        ("`retail-06-01`", "10%", "**.5000**"),
        ("`ikea`", "100%", "**.4000**"),
        ("`ikea`", "10%", "**.6000**"),
    ]
    assert page.splitlines()[-4:] == [
        "- general for `retail-06-01`: s (5 contents, 7 pairs); kept step 2",
        "- general for `ikea`: s (5 contents, 7 pairs); kept step 3",
        "- machine: cpus 3",
        "- of an earlier run: `retail-06-01`",
    ]


def test_the_bound_learns_from_the_whole_log_and_ranks_by_the_histories_of_the_share():
    stored = stored_shop("c", seed=SEEDS["c"])
    split = transfer.splitter(stored, CUTS[2].plan)(0)
    alone, whole = (
        transfer.measured(transfer.Point("c", 0, 0.25, arm, ""), stored, split, None)
        for arm in (transfer_tables.ALONE, transfer_tables.WHOLE)
    )
    assert whole["events"] == alone["events"] < len(split.training)
    assert whole["users"] == alone["users"]
    assert whole["values"] != alone["values"]
    assert transfer_tables.WHOLE in transfer.arms_of(0.25)
    assert transfer.arms_of(1.0) == transfer_tables.ARMS
