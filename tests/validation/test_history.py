from pathlib import Path

import pytest

from tests.validation.conftest import NOW, Listings
from validation import gate, history
from validation.errors import ValidationError
from validation.summary import summary_of


def record(folder: Path, listings: Listings, *sources: str) -> None:
    for source in sources:
        result = gate.check_items(
            listings("a", "b", price=["1", "-1"]), known_items=None, now=NOW, source=source
        )
        history.record([summary_of([result])], folder=folder, source=source, step="ingest")


def test_runs_come_back_oldest_first_with_their_counts(tmp_path: Path, listings: Listings) -> None:
    record(tmp_path, listings, "spring", "summer", "spring")
    runs = history.runs(tmp_path)
    assert [run.source for run in runs] == ["spring", "summer", "spring"]
    assert (runs[0].received, runs[0].quarantined, runs[0].held) == (2, 1, 0.5)
    assert runs[0].reason_counts == {"price_not_negative": 1}
    assert len(history.runs(tmp_path, source="spring", last=1)) == 1


def test_without_any_run_there_is_none(tmp_path: Path) -> None:
    assert history.runs(tmp_path) == []


def test_an_unfinished_last_line_is_passed_over_and_a_broken_one_is_named(
    tmp_path: Path, listings: Listings
) -> None:
    record(tmp_path, listings, "spring")
    path = tmp_path / history.FILE
    whole = path.read_text()
    path.write_text(whole + whole[:20])
    assert len(history.runs(tmp_path)) == 1
    path.write_text("{}\n" + whole)
    with pytest.raises(ValidationError, match=r"line 1 of .*runs\.jsonl"):
        history.runs(tmp_path)
