"""Who made each feature, from what, when and by what: in records, in the registry, in `info`."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from coldstart_models.online_push import caught_up
from feature_repo.encoders.encoder import Modality
from feature_repo.event_log import event_log
from feature_repo.feature_tables import FEATURE_TABLES
from feature_repo.home import Home
from feature_repo.jobs.aggregate import aggregate
from feature_repo.jobs.extract import extract
from feature_repo.lineage import (
    MADE_BY,
    SOURCES,
    code_version,
    keys_with_events,
    lineage_of,
    log_position,
)
from feature_repo.store import Store
from tests.feature_repo.samples import CountingEncoder, events_frame, write_events, write_items
from validation import tables

NOW = datetime(2024, 6, 1, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "state")
    write_items(home, {"item_id": "lamp", "title": "abc", "price": 2.0}, {"item_id": "rug"})
    write_events(home, events_frame(("ann", "lamp", "click", "2024-01-01T10:00:00")))
    extract(
        home=home,
        now=NOW,
        image_encoder=None,
        text_encoder=CountingEncoder(Modality.TEXT),
    )
    aggregate(home=home, now=NOW)
    return home


def test_a_job_says_what_it_read_when_and_with_which_code(home: Home) -> None:
    told = lineage_of(home, "user_history")
    assert (told.made_by, told.rows, told.made_at) == ("aggregate", 1, NOW)
    assert (told.inputs["items"].rows, told.inputs["events"].rows) == (2, 1)
    assert told.inputs["items"].version.startswith("sha256:")
    assert told.code_version == code_version()
    assert told.newest == datetime(2024, 1, 1, 10, 0, 0, 1, tzinfo=UTC)
    assert list(lineage_of(home, "item_profile").inputs) == ["items"]
    assert log_position(home, "user_history") == event_log(home).state().position


def test_embeddings_name_their_encoder_and_its_hash(home: Home) -> None:
    told = lineage_of(home, "item_text_embedding")
    assert (told.made_by, told.encoders) == ("extract", ("counting-text hash-text-1",))
    assert told.inputs["items"].rows == 2


def test_an_unknown_origin_is_left_out_and_a_tables_own_facts_are_not(home: Home) -> None:
    told = lineage_of(home, "item_vector").tags()
    assert told == {"made_by": "train", "made_from": told["made_from"], "rows": "0"}


def test_the_registry_and_info_tell_it(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    from coldstart_models.commands import info

    store = Store(home)
    store.apply()
    tags = store._feast.get_feature_view("user_history").tags
    assert tags["made_by"] == "aggregate"
    assert tags["made_at"] == NOW.isoformat()
    assert tags["code_version"] == code_version()
    assert "events: 1 rows of" in tags["inputs"]
    encoder = store._feast.get_feature_view("item_text_embedding").tags["encoder"]
    assert encoder == "counting-text hash-text-1"

    event_log(home).append(
        tables.EVENTS.to_arrow(
            events_frame(("bob", "rug", "click", "2024-01-02")).assign(event_id="new")
        )
    )
    later = datetime(2024, 6, 2, tzinfo=UTC)
    aggregate(home=home, now=later)
    store.materialize()
    fresh = Store(home)._feast.get_feature_view("user_history").tags
    assert (fresh["made_at"], fresh["rows"]) == (later.isoformat(), "2")

    monkeypatch.setenv("COLDSTART_HOME", str(home.root))
    info.run(json=True)
    told = json.loads(capsys.readouterr().out)["lineage"]
    assert set(told) == set(FEATURE_TABLES)
    assert told["user_history"]["inputs"]["events"]["rows"] == 2
    assert "history_item_ids" in told["user_history"]["features"]
    info.run()
    assert "Who made the features" in capsys.readouterr().out


def test_materialize_does_not_leave_an_older_state_over_a_pushed_one(home: Home) -> None:
    store = Store(home)
    store.apply()
    new = events_frame(("ann", "rug", "click", "2024-01-02")).assign(event_id="new")
    event_log(home).append(tables.EVENTS.to_arrow(new))
    feature = "user_history:history_item_ids"
    asked = [{"user_id": "ann"}]
    name = "user_history__history_item_ids"
    with caught_up(home, store, now=NOW):
        store.materialize()
        assert store.online([feature], asked)[0][name] == ["lamp"]
    assert store.online([feature], asked)[0][name] == ["lamp", "rug"]


def test_a_log_that_another_program_replaced_is_another_log(home: Home) -> None:
    since = event_log(home).state().position
    frame = tables.EVENTS.to_pandas(event_log(home).read())
    more = events_frame(*[("cid", "rug", "click", "2024-01-02")] * 3)
    write_events(home, pd.concat([more, frame], ignore_index=True))
    assert keys_with_events(home, "user_history", since=since) == set()
    now = event_log(home).state().position
    assert keys_with_events(home, "user_history", since=replace(now, rows=3)) == {"ann"}


def test_every_feature_view_has_a_maker_and_a_source() -> None:
    assert set(MADE_BY) == set(SOURCES) == set(FEATURE_TABLES)
