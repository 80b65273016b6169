import json
import sys
from pathlib import Path

import pytest

from benchmarks import grid, quality, quality_tables, standings
from benchmarks.grid import Cut, Opened
from coldstart_models.benchmark_run import SplitPlan
from tests.coldstart_models.checkerboard import (
    CUTOFF,
    board_split,
)

BOARD = Cut("board", "board", "marketplace", SplitPlan(cutoff=CUTOFF))
ABSENT = Cut("absent", "absent", "table:{data}/absent", SplitPlan(random_items=0.2), seeds=5)


@pytest.fixture
def bench(monkeypatch, tmp_path, capsys):
    """Run the benchmark on the checkerboard with these arguments; what it said and its document."""
    catalogue, split = board_split()
    opened = Opened(catalogue, lambda seed: split, None, (34, 510, "", ""))
    document = tmp_path / "benchmarks.md"
    document.write_text("a\n<!-- table:quality -->\n<!-- /table:quality -->\nb\n")
    for module in (grid, quality, quality_tables, standings):
        monkeypatch.setattr(module, "GRID", (BOARD, ABSENT))
    monkeypatch.setattr(quality, "QUALITY", tmp_path / "quality")
    monkeypatch.setattr(quality, "open_cut", lambda cut, **_: opened)

    def run(*arguments):
        given = ["--into", str(document), "--data", str(tmp_path), "--trials", "1", *arguments]
        monkeypatch.setattr(sys, "argv", ["quality", *given])
        quality.main()
        return capsys.readouterr().out, document.read_text()

    return run


def test_what_is_measured_goes_between_the_marks_and_is_not_measured_again(bench, tmp_path):
    models = ("--models", "random,content-knn-tfidf,als-map")
    said, document = bench(*models)
    assert "left out: absent: there is no folder" in said
    assert "3 cells, 0 of them already measured" in said
    assert "| `als-map` |" in document
    assert document.startswith("a\n<!-- table:quality -->\n")
    assert len(list((tmp_path / "quality" / "cells").iterdir())) == 3
    again, same = bench(*models)
    assert "3 cells, 3 of them already measured" in again
    assert same.partition("CPU hours")[0] == document.partition("CPU hours")[0]


def test_a_result_that_is_there_is_read_once(bench, tmp_path, monkeypatch):
    models = ("--models", "random,constant")
    bench(*models)
    read, read_text = [], Path.read_text

    def watched(path, *given, **named):
        read.append(path)
        return read_text(path, *given, **named)

    monkeypatch.setattr(Path, "read_text", watched)
    bench(*models)
    cells = tmp_path / "quality" / "cells"
    assert sorted(path for path in read if path.parent == cells) == sorted(cells.iterdir())


def test_no_cell_is_started_after_the_time(bench, tmp_path):
    said, _ = bench("--models", "random,constant", "--hours", "-1", "--no-tables")
    assert "-1 hours are over: 2 cells are left" in said
    assert not (tmp_path / "quality" / "cells").exists()


def test_a_cell_from_before_launch_months_counts_and_is_measured_anew(bench, tmp_path):
    arguments = ("--models", "random,constant")
    bench(*arguments)
    folder = tmp_path / "quality" / "cells"
    (path,) = folder.glob("board-0-random-*.json")
    whole = json.loads(path.read_text())
    old = whole | {"pools": [one for one in whole["pools"] if one["pool"] != "month"]}
    path.write_text(json.dumps({name: one for name, one in old.items() if name != "months"}))
    said, document = bench(*arguments, "--no-measuring")
    assert "2 cells, 2 of them already measured" in said
    assert "Not measured yet: `random`." in document
    said, document = bench(*arguments)
    assert "1 of them without launch months" in said
    assert "Not measured yet" not in document
    assert json.loads(path.read_text())["pools"] == whole["pools"]
