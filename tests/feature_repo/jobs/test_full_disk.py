"""A disk that fills up while a source is ingested: what it changes changes whole, or not at all."""

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from feature_repo import event_log as module
from feature_repo.catalogs.source import Ordering, SourceData
from feature_repo.event_log import event_log
from feature_repo.home import Home
from feature_repo.jobs.ingest import IngestResult, ingest
from feature_repo.jobs.resubmit import held_rows, resubmit
from tests.feature_repo.samples import photo
from tests.filling_disk import FillingDisk
from validation import gate, quarantine, tables

NOW = datetime(2024, 6, 1, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def disk(home: Home, monkeypatch: pytest.MonkeyPatch) -> FillingDisk:
    """Where the state folder lies."""
    return FillingDisk(home.root, monkeypatch)


def shop(home: Home, title: str, *, colour: str, truth: bool = True) -> SourceData:
    """A good listing with a photo, one that the gate holds back, and an event on each."""
    pixels = photo(home.root.parent / f"{colour}.png", colour)
    items = pd.DataFrame(
        {
            tables.ITEM_ID: ["a", "b"],
            tables.TITLE: [title, "Vase"],
            tables.PRICE: ["10", "n/a"],
            tables.IMAGE_PATH: [str(pixels), None],
            tables.SOURCE: "shop",
        }
    )
    events = pd.DataFrame(
        {
            tables.USER_ID: ["u", "v"],
            tables.ITEM_ID: ["a", "b"],
            tables.EVENT_TIMESTAMP: "2024-01-02",
            tables.EVENT_TYPE: tables.PURCHASE,
            tables.SOURCE: "shop",
        }
    )
    known = pd.DataFrame({tables.USER_ID: ["u"], tables.ITEM_ID: ["a"], "chance": [0.5]})
    return SourceData("shop", items, events, Ordering.TIME, False, known if truth else None)


def run(source: SourceData, home: Home, *, replace: bool = False) -> IngestResult:
    return ingest(source, home=home, gate=gate, now=NOW, replace=replace)


def state(home: Home) -> dict[str, bytes]:
    """Every file but the gate's history, which tells of whatever was judged."""
    files = (path for path in home.root.rglob("*") if path.is_file())
    return {
        str(path.relative_to(home.root)): path.read_bytes()
        for path in files
        if home.gate_results not in path.parents and path.name != ".lock"
    }


@pytest.mark.parametrize("replace", [False, True])
def test_wherever_the_disk_fills_up_an_ingest_is_whole_or_never_was(
    home: Home, disk: FillingDisk, monkeypatch: pytest.MonkeyPatch, replace: bool
) -> None:
    monkeypatch.setattr(module, "INDEXED_FROM", 1)
    run(shop(home, "Lamp", colour="red"), home)
    before, refused = state(home), 0
    for writes in range(40):
        source = shop(home, "Brass lamp", colour="blue", truth=False)
        with disk.room_for(writes):
            try:
                run(source, home, replace=replace)
            except OSError:
                refused += 1
                assert state(home) == before, disk.refused
            else:
                break
    after = state(home)
    assert refused >= 7, "items, events, index, sources, photos, both quarantines, journal"
    assert pq.read_table(home.items)[tables.TITLE].to_pylist() == ["Brass lamp"]
    assert event_log(home).state().rows == 1
    assert not [name for name in after if "partial" in name]
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    assert {str(path.relative_to(home.root)) for path in (home.items, home.truth)} < changed
    assert str(home.photo_fingerprints.relative_to(home.root)) in changed
    for table, key in (("items", "b"), ("events", "b")):
        held = quarantine.load(home.quarantine, table)
        assert len(held) == 1, table
        assert key in held["row"].iloc[0]


def test_rows_that_were_mended_stay_in_quarantine_until_they_are_in_the_catalogue(
    home: Home, disk: FillingDisk
) -> None:
    run(shop(home, "Lamp", colour="red"), home)
    mended = held_rows(home, "items").assign(price="12.50")
    before = state(home)
    for writes in range(40):
        with disk.room_for(writes):
            try:
                resubmit(home=home, gate=gate, now=NOW, table="items", mended=mended)
            except OSError:
                assert state(home) == before, disk.refused
            else:
                break
    assert writes >= 5
    assert pq.read_table(home.items)[tables.ITEM_ID].to_pylist() == ["a", "b"]
    assert quarantine.load(home.quarantine, "items").empty
