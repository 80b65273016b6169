"""Data of a cut: made once by one code, and known by what it holds."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from benchmarks import grid
from benchmarks.grid import READY, Cut, fingerprint_of, open_cut
from coldstart_models.benchmark_run import SplitPlan, StoredSource
from tests.coldstart_models.checkerboard import CUTOFF, board

CUT = Cut("board", "board", "marketplace", SplitPlan(cutoff=CUTOFF))


def stored(*, title: str = "lamp", user: str = "u1") -> StoredSource:
    catalogue = board()
    catalogue.frame.loc[0, "title"] = title
    events = pd.DataFrame({"user_id": [user], "item_id": ["a1"]})
    return StoredSource(None, catalogue, events, None)  # type: ignore[arg-type]


def test_data_is_known_by_its_contents_and_not_by_how_much_there_is() -> None:
    first = fingerprint_of(stored())
    assert fingerprint_of(stored()) == first
    assert (
        len({first, fingerprint_of(stored(title="sofa")), fingerprint_of(stored(user="u2"))}) == 3
    )


def test_data_is_made_anew_where_what_makes_it_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    monkeypatch.setattr(grid, "build_store", lambda source, *, home, **_: made.append(source))
    monkeypatch.setattr(grid, "read_stored", lambda home: stored())
    monkeypatch.setattr(grid, "splitter", lambda stored, plan, *, domain: None)
    (tmp_path / CUT.store).mkdir()
    for _ in range(2):
        open_cut(CUT, data=tmp_path, stores=tmp_path)
    assert len(made) == 1
    monkeypatch.setattr(grid, "data_version", lambda: "another")
    open_cut(CUT, data=tmp_path, stores=tmp_path)
    assert len(made) == 2
    open_cut(replace(CUT, source="complete-journey"), data=tmp_path, stores=tmp_path)
    assert made[2] != made[1]
    assert (tmp_path / CUT.store / READY).exists()
