"""What was served against what is joined: honest serving shows nothing, planted skew is found."""

import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from starlette.testclient import TestClient

from bentos.recommender.service import RecommenderService
from coldstart_models import cli
from coldstart_models.event_intake import take_events
from feature_repo import served_log
from feature_repo.errors import JobError
from feature_repo.event_log import event_log
from feature_repo.feature_tables import PUSH_SUFFIX, USER_HISTORY
from feature_repo.home import Home
from feature_repo.jobs.aggregate import aggregate
from feature_repo.jobs.skew import skew
from feature_repo.served_log import Served, ServedLog, read_served
from feature_repo.store import Store
from tests.bentos.fakes import CountingRecommender
from validation import tables

CLICK = {"event_type": "click", "event_timestamp": "2026-02-01T10:00:00Z"}


@pytest.fixture
def service(
    home: Home,
    recommender: CountingRecommender,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
) -> Any:
    """The service over real Feast that keeps every request; only the recommender stands in."""
    (tmp_path / "coldstart.toml").write_text("[serve]\nlogged_share = 1.0\n")
    monkeypatch.setenv("COLDSTART_CONFIG", str(tmp_path / "coldstart.toml"))
    home.registry.unlink()
    Store(home).apply()
    monkeypatch.setattr(
        "coldstart_models.recommending.Recommender.load", lambda home, tag: recommender
    )
    return RecommenderService.inner()


def post_events(client: TestClient, *rows: tuple[str, str, str]) -> None:
    events = [{**CLICK, "event_id": e, "user_id": user, "item_id": item} for e, user, item in rows]
    answer = client.post("/events", json={"events": events})
    assert len(answer.json()["accepted"]) == len(rows), answer.text


def take_undated(event_id: str, user: str, item: str, *, home: Home) -> None:
    """An event that comes late and does not say when it came."""
    row = {**CLICK, "event_id": event_id, "user_id": user, "item_id": item, "source": "file"}
    frame = pd.DataFrame([row], columns=tables.EVENTS.names, dtype=object)
    taken = take_events(
        frame, home=home, store=Store(home), recommender=None, now=datetime.now(UTC)
    )
    assert taken.accepted == (event_id,)


def ask(client: TestClient, *users: str) -> None:
    for user in users:
        assert client.post("/recommend", json={"user_id": user, "k": 1}).status_code == 200


def test_honest_serving_shows_no_difference_and_a_planted_one_is_told(
    client: TestClient, home: Home, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    post_events(client, ("e1", "bob", "sofa"), ("e2", "bob", "lamp"), ("e3", "cid", "lamp"))
    ask(client, "bob", "cid", "nobody")
    post_events(client, ("e4", "cid", "chair"))
    take_undated("e5", "bob", "chair", home=home)
    ask(client, "bob")
    with pytest.raises(JobError, match="coldstart aggregate"):
        skew(home=home)
    aggregate(home=home, now=datetime.now(UTC))
    honest = skew(home=home)
    # Both chairs were chosen before the first requests and came after them: of the second nobody
    # wrote down when, so training would see it.
    assert {(one.key, one.feature) for one in honest.differences} == {
        ("bob", "history_item_ids"),
        ("bob", "history_event_types"),
        ("bob", "history_time_us"),
        ("bob", "history_quantities"),
        ("bob", "history_prices"),
    }
    assert (honest.requests, honest.values) == (4, 20)

    monkeypatch.setattr("sys.argv", ["coldstart", "skew", "--json"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 3
    told = json.loads(capsys.readouterr().out)
    first = next(one for one in told["differences"] if one["feature"] == "history_item_ids")
    assert first["served"] == ["sofa", "lamp"]
    assert first["joined"] == ["chair", "sofa", "lamp"]
    assert (first["endpoint"], first["view"]) == ("recommend", USER_HISTORY.name)


def test_nothing_differs_where_events_come_before_they_are_read(
    client: TestClient, home: Home, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    post_events(client, ("e1", "bob", "sofa"), ("e2", "bob", "lamp"), ("e3", "cid", "lamp"))
    ask(client, "bob", "cid", "nobody")
    client.post("/score", json={"user_id": "cid", "item_ids": ["sofa"]})
    aggregate(home=home, now=datetime.now(UTC))
    found = skew(home=home)
    assert (found.requests, found.values, found.differences) == (4, 20, ())
    monkeypatch.setattr("sys.argv", ["coldstart", "skew"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert not stopped.value.code
    assert "20 features compared: 0 differ" in capsys.readouterr().out


def test_a_value_that_was_changed_online_alone_is_found(
    client: TestClient, service: Any, home: Home
) -> None:
    post_events(client, ("e1", "bob", "sofa"))
    post_events(client, ("e2", "cid", "lamp"))
    aggregate(home=home, now=datetime.now(UTC))
    rows = Store(home)
    from feature_repo.offline_tables import latest_rows

    planted = latest_rows(home, USER_HISTORY.name, keys=["bob"]).to_pandas()
    planted.at[0, "history_item_ids"] = ["rug"]
    rows._feast.push(f"{USER_HISTORY.name}{PUSH_SUFFIX}", planted)
    ask(client, "bob", "cid")
    (found,) = skew(home=home).differences
    assert (found.key, found.feature) == ("bob", "history_item_ids")
    assert (found.served, found.joined) == (["rug"], ["sofa"])


def test_new_listings_learn_from_what_a_consumer_took_in(
    client: TestClient, service: Any, home: Home, recommender: CountingRecommender
) -> None:
    service.follow()
    assert recommender.adaptations == []
    row = {**CLICK, "event_id": "e1", "user_id": "bob", "item_id": "sofa", "source": "stream"}
    frame = pd.DataFrame([row], columns=tables.EVENTS.names, dtype=object)
    now = datetime.now(UTC)
    taken = take_events(frame, home=home, store=Store(home), recommender=None, now=now)
    assert taken.adapted == ()
    service.follow()
    service.follow()
    assert recommender.adaptations == [("sofa", 1)]
    (row,) = Store(home).online(["item_adaptation:support"], [{"item_id": "sofa"}])
    assert row["item_adaptation__support"] == 1
    assert event_log(home).state().rows == 1


def served(number: int, features: dict[str, Any] | None = None) -> Served:
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number)
    return Served(moment, "recommend", "user_history", f"u{number}", features or {"x": [1.5]})


def test_the_log_of_what_was_served_is_a_sample_for_its_owner_alone(tmp_path: Any) -> None:
    home = Home(tmp_path)
    half = ServedLog(home, share=0.5)
    for number in range(400):
        half.keep(served(number, {"x": [float("nan"), None, "a"]}))
    kept = list(read_served(home))
    assert 150 < len(kept) < 250
    assert kept[0].features == {"x": [None, None, "a"]}
    assert [one.key for one in kept] == [
        f"u{n}" for n in range(400) if half.keeps(f"u{n}", served(n).served_at)
    ]
    assert os.stat(home.served / "requests.jsonl").st_mode & 0o077 == 0
    assert len(list(read_served(home, since=served(300).served_at))) < len(kept) / 2


def test_a_share_of_zero_writes_nothing_and_another_than_zero_to_one_is_refused(
    tmp_path: Any,
) -> None:
    ServedLog(Home(tmp_path), share=0.0).keep(served(1))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(JobError, match="expected 0 to 1"):
        ServedLog(Home(tmp_path), share=1.5)


def test_arrays_that_a_store_gives_are_kept_as_lists(tmp_path: Any) -> None:
    log, given = ServedLog(Home(tmp_path), share=1.0), np.array([1.5, np.nan])
    log.keep(served(1, {"x": given, "y": [np.int64(3)], "z": np.array(["a"], object)}))
    (kept,) = read_served(Home(tmp_path))
    assert kept.features == {"x": [1.5, None], "y": [3], "z": ["a"]}


def test_full_files_make_room_and_the_oldest_goes(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served_log, "FILE_BYTES", 400)
    monkeypatch.setattr(served_log, "FILES", 3)
    log = ServedLog(Home(tmp_path), share=1.0)
    for number in range(30):
        log.keep(served(number))
    files = sorted(path.name for path in Home(tmp_path).served.glob("[!.]*"))
    assert files == ["requests.1.jsonl", "requests.2.jsonl", "requests.jsonl"]
    keys = [one.key for one in read_served(Home(tmp_path))]
    assert keys == [f"u{n}" for n in range(30 - len(keys), 30)]
    assert 3 <= len(keys) < 30


def test_a_line_of_something_else_is_named(tmp_path: Any) -> None:
    home = Home(tmp_path)
    home.served.mkdir()
    (home.served / "requests.jsonl").write_text("{}\n")
    with pytest.raises(JobError, match=r"requests\.jsonl, line 1 is no served request"):
        list(read_served(home))
