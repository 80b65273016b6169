"""Mended rows come again as what they are now, and their source may be mended too."""

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from feature_repo.catalogs import table
from feature_repo.home import Home
from feature_repo.jobs.ingest import ingest
from feature_repo.jobs.resubmit import held_rows, resubmit
from validation import gate, tables

NOW = datetime(2026, 6, 1, tzinfo=UTC)
HEAD = "user_id,item_id,event_type,timestamp\n"
GOOD = "u,a,click,2024-01-01T10:00:00\n"


def ingested(home: Home, folder: Path, events: str, *, head: str = HEAD) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "items.csv").write_text("item_id,title\na,Oak table\nb,Pine chair\n")
    (folder / "events.csv").write_text(head + events)
    ingest(table.read(folder), home=home, gate=gate, now=NOW)


def mend(home: Home, **values: str) -> None:
    """What a person does: export, write other values, resubmit."""
    rows = held_rows(home, tables.EVENTS.name).assign(**values)
    resubmit(home=home, gate=gate, now=NOW, table=tables.EVENTS.name, mended=rows)


def logged(home: Home) -> pd.DataFrame:
    log = pq.read_table(home.events).to_pandas()
    return log.sort_values(tables.EVENT_TIMESTAMP, ignore_index=True)


@pytest.mark.parametrize(
    ("bad", "values", "good"),
    [
        (
            "v,a,click,2024-13-45\n",
            {tables.EVENT_TIMESTAMP: "2024-01-03T10:00:00Z"},
            "v,a,click,2024-01-03T10:00:00\n",
        ),
        (
            "v,gone,click,2024-01-03T10:00:00\n",
            {tables.ITEM_ID: "b"},
            "v,b,click,2024-01-03T10:00:00\n",
        ),
    ],
)
def test_a_row_that_is_mended_in_quarantine_and_in_its_source_is_one_event(
    tmp_path: Path, bad: str, values: dict[str, str], good: str
) -> None:
    home = Home(tmp_path / "home")
    ingested(home, tmp_path / "shop", GOOD + bad)
    mend(home, **values)
    once = logged(home)
    assert once[tables.USER_ID].tolist() == ["u", "v"]
    assert held_rows(home, tables.EVENTS.name).empty
    ingested(home, tmp_path / "shop", GOOD + good)
    pd.testing.assert_frame_equal(logged(home), once)


def test_what_no_id_is_made_of_may_be_mended_and_the_id_stays(tmp_path: Path) -> None:
    """Of two alike events one was held: as the second of them it stays one of two."""
    home, head = Home(tmp_path / "home"), HEAD.replace("\n", ",quantity\n")
    row = GOOD.replace("\n", ",{}\n")
    ingested(home, tmp_path / "shop", row.format(1) + row.format(-1), head=head)
    (event_id,) = held_rows(home, tables.EVENTS.name)[tables.EVENT_ID]
    mend(home, quantity="2")
    assert event_id in logged(home)[tables.EVENT_ID].tolist()
    assert len(logged(home)) == 2


def test_an_id_of_the_source_stays(tmp_path: Path) -> None:
    home, head = Home(tmp_path / "home"), "event_id," + HEAD
    own = "0" * 32
    ingested(home, tmp_path / "shop", f"e1,{GOOD}{own},v,gone,click,2024-01-03\n", head=head)
    mend(home, item_id="b")
    assert logged(home)[tables.EVENT_ID].tolist() == ["e1", own]
