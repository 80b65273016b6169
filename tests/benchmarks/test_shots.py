"""The benchmark of shots: a cell is of its data and its code."""

import sys
from pathlib import Path

import pytest

from benchmarks import kept_results, shots, shots_cells
from benchmarks.grid import Cut, Opened
from benchmarks.shots_tables import WHOLE
from coldstart_models.benchmark_run import SplitPlan
from tests.coldstart_models.checkerboard import (
    CUTOFF,
    board_split,
)

CUT = Cut("board", "board", "marketplace", SplitPlan(cutoff=CUTOFF))
USERS = list(range(60))


@pytest.fixture
def measured(monkeypatch, tmp_path):
    """Run the benchmark on a board of some size; how often it was measured."""
    (catalogue, split), times = board_split(), []

    def cell(of, split, *, seed):
        assert of is catalogue
        times.append(seed)
        found = {"none": [0.5] * 60, WHOLE: [0.5] * 60}
        pool = {"shots": 1, "users": USERS, "without": [0.5] * 60, "with": found}
        contest = {"winner": "none", "kept": "bayes"}
        return {"seed": seed, "contest": contest, "pools": [pool], "warm": None, "seconds": 1.0}

    monkeypatch.setattr(shots, "GRID", (CUT,))
    monkeypatch.setattr(shots, "CELLS", tmp_path)
    monkeypatch.setattr(shots_cells, "measured", cell)
    monkeypatch.setattr(sys, "argv", ["shots", "--cuts", "board", "--no-tables"])

    def run(*, events):
        opened = Opened(catalogue, lambda seed: split, None, (34, events, "", ""))
        monkeypatch.setattr(shots, "open_cut", lambda cut, **where: opened)
        shots.main()
        return len(times)

    return run


def test_a_cell_is_measured_again_where_its_data_or_code_is_another(measured, monkeypatch, capsys):
    assert measured(events=510) == 1
    assert measured(events=510) == 1
    assert measured(events=511) == 2
    monkeypatch.setattr(kept_results, "code_version", lambda module: "another")
    assert measured(events=511) == 3
    told = "about 60 users; won on validation: `none`; kept: `bayes`."
    assert told in capsys.readouterr().out


def test_a_kept_cell_is_read_once(measured, monkeypatch, tmp_path):
    measured(events=510)
    read, read_text = [], Path.read_text

    def watched(path, *given, **named):
        read.append(path)
        return read_text(path, *given, **named)

    monkeypatch.setattr(Path, "read_text", watched)
    assert measured(events=510) == 1
    assert [path for path in read if path.parent == tmp_path] == list(tmp_path.iterdir())
