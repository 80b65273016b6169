"""A person who is erased is in no file, and the rest is as if they had never come."""

import html
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import markupsafe
import pandas as pd
import pyarrow.parquet as pq
import pytest
import redis

from coldstart_models import erasing
from coldstart_models.erasing import erase_user, finish_erasure
from coldstart_models.errors import ErasureError
from coldstart_models.event_intake import take_events
from coldstart_models.online_push import push_online
from feature_repo import event_log as event_log_module
from feature_repo.environment import ENVIRONMENT_VARIABLE
from feature_repo.erasure import event_rows, feature_rows, journal, kept_files
from feature_repo.erasure.tombstones import Tombstones, bury
from feature_repo.event_log import event_log
from feature_repo.feature_tables import CREATED_TIMESTAMP, FEATURE_TABLES, ITEM_STATS, USER_HISTORY
from feature_repo.home import REPOSITORY, Home
from feature_repo.jobs.aggregate import aggregate
from feature_repo.jobs.transaction import locked
from feature_repo.lineage import AGGREGATED, log_position
from feature_repo.log_state import new_generation, write_base
from feature_repo.page_log import PageLog, ServedPage, read_pages
from feature_repo.served_log import Served, ServedLog, read_served
from feature_repo.store import Store
from tests import redis_servers
from tests.coldstart_models.stateful_search import files_with, objects_with
from tests.feature_repo.samples import write_items
from tests.kept_state import KeptState
from validation import tables

USER = "person-zq7x"
SESSION = "visit-zq7x"
START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
COUNTED = [name for name in AGGREGATED if not name.startswith("user")]


class Killed(BaseException):
    """The process dies here."""


def event(
    number: int, user: str, item: str, *, kind: str = "click", day: int = 0
) -> dict[str, Any]:
    return {
        "event_id": f"e{number}",
        "user_id": user,
        "item_id": item,
        "event_type": kind,
        "event_timestamp": START + timedelta(days=day, minutes=number),
        "session_id": SESSION if user == USER else None,
        "source": "test",
    }


EVENTS = [
    event(number, user, item, kind=kind, day=number)
    for number, (user, item, kind) in enumerate(
        [
            ("ann", "lamp", "click"),
            (USER, "lamp", "click"),
            (USER, "sofa", "purchase"),
            ("bob", "lamp", "purchase"),
            (USER, "rug", "impression"),
            ("ann", "sofa", "click"),
            (USER, "lamp", "cart"),
            ("bob", "vase", "click"),
            (USER, "lonely", "click"),
        ]
    )
]


@pytest.mark.parametrize("user_id", ["o'brien@shop.example", 'the "boss"', "r&d <1>"])
def test_a_report_that_shows_an_id_of_signs_goes_with_the_person(
    tmp_path: Path, user_id: str
) -> None:
    """However the report spells it: as our templates do, as `html.escape` does, as JSON or CSV."""
    home = Home(tmp_path)
    home.gate_results.mkdir(parents=True)
    escaped = (str(markupsafe.escape(user_id)), html.escape(user_id))
    for number, text in enumerate(escaped):
        (home.gate_results / f"{number}.html").write_text(f"<td>user_id is '{text}';</td>")
    (home.gate_results / "rows.json").write_text(json.dumps({"key": user_id}))
    pd.DataFrame({"key": [user_id]}).to_csv(home.gate_results / "rows.csv")
    (home.gate_results / "other.html").write_text("<td>o&#39;neill</td>")
    assert kept_files.drop_reports(home, user_id) == 4
    assert [path.name for path in home.gate_results.iterdir()] == ["other.html"]


def take(home: Home, store: Store, rows: list[dict[str, Any]], *, now: datetime = NOW) -> Any:
    frame = pd.DataFrame(rows, columns=tables.EVENTS.names, dtype=object)
    return take_events(frame, home=home, store=store, recommender=None, now=now)


def built(folder: Path, rows: list[dict[str, Any]]) -> tuple[Home, Store]:
    """A shop in which the events came one batch at a time, half before and half after a merge."""
    home = Home(folder)
    write_items(
        home,
        *(
            {"item_id": name, "title": name, "price": 9.0, "category": f"Home > {name[:1]}"}
            for name in ("lamp", "lonely", "rug", "sofa", "vase")
        ),
    )
    store = Store(home)
    store.apply()
    half = len(rows) // 2
    for row in rows[:half]:
        take(home, store, [row])
    aggregate(home=home, now=NOW)
    store.materialize()
    for row in rows[half:]:
        take(home, store, [row])
    return home, store


SHORT, INDEXED = 50_000, 1
"""From how many events on the log has an index."""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], KeptState]:
    """The shop of EVENTS, built once for either log."""

    @cache
    def made(indexed_from: int) -> KeptState:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(event_log_module, "INDEXED_FROM", indexed_from)
            home, _ = built(tmp_path_factory.mktemp("kept") / "home", EVENTS)
        state = KeptState(home)
        state.keep("built")
        return state

    return made


@pytest.fixture(params=[SHORT, INDEXED], ids=["short log", "indexed log"])
def shop(
    request: pytest.FixtureRequest,
    kept: Callable[[int], KeptState],
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[Home, Store]:
    monkeypatch.setattr(event_log_module, "INDEXED_FROM", request.param)
    home = kept(request.param).put_back("built")
    return home, Store(home)


@pytest.fixture
def short(kept: Callable[[int], KeptState]) -> tuple[Home, Store]:
    home = kept(SHORT).put_back("built")
    return home, Store(home)


def keep_copies(home: Home, store: Store) -> None:
    """What else holds the person: served requests and pages, quarantine, truth, reports."""
    served, pages = ServedLog(home, share=1.0), PageLog(home)
    for user in (USER, "ann"):
        served.keep(
            Served(NOW, "recommend", USER_HISTORY.name, user, {"history_item_ids": ["lamp"]})
        )
        for user_id, session_id in ((user, None), (None, SESSION if user == USER else "visit-1")):
            pages.keep(
                ServedPage(
                    "p", NOW, user_id, session_id, "m", None, None, None, None, ("lamp",), (1.0,)
                )
            )
    bad = {**event(90, USER, "nowhere"), "event_type": "stare"}
    assert len(take(home, store, [bad]).quarantined) == 1
    frame = pd.DataFrame({"user_id": [USER, "ann"], "item_id": ["lamp"] * 2, "utility": [1.0, 2.0]})
    frame.to_parquet(home.truth)
    home.reports.mkdir(parents=True)
    frame.to_parquet(home.reports / "rankings.parquet")
    (home.reports / "evaluation.html").write_text(f"<td>{USER}</td>", encoding="utf-8")
    (home.reports / "others.html").write_text(f"<td>{USER}-2</td>".replace("zq7x-2", "2"))
    for path in (
        home.events,
        home.feature_table(USER_HISTORY.name),
        home.served / "pages.jsonl",
        home.quarantine / "events.parquet",
    ):  # what writers that were killed left
        path.with_name(f".{path.name}.999.partial").write_text(USER, encoding="utf-8")


def erase(home: Home, store: Store, **more: Any) -> erasing.Receipt:
    return erase_user(USER, home=home, store=store, recommender=None, now=NOW, **more)


@pytest.mark.parametrize("indexed_from", [SHORT, INDEXED], ids=["short log", "indexed log"])
def test_the_person_is_in_no_file_and_in_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, indexed_from: int
) -> None:
    monkeypatch.setattr(event_log_module, "INDEXED_FROM", indexed_from)
    home, store = built(tmp_path / "home", EVENTS)  # by the store that is looked through
    keep_copies(home, store)
    assert len(files_with(home.root, USER)) > 8
    receipt = erase(home, store)
    assert files_with(home.root, USER) == []
    assert files_with(home.root, SESSION) == []
    assert objects_with([store, event_log(home)], USER) == []
    assert receipt.erased["events"] == 5
    assert receipt.erased["served_requests"] == 1
    assert receipt.erased["served_pages"] == 2
    assert (receipt.erased["quarantine"], receipt.erased["truth"], receipt.erased["reports"]) == (
        1,
        1,
        2,
    )
    assert [one.key for one in read_served(home)] == ["ann"]
    assert [one.user_id or one.session_id for one in read_pages(home)] == ["ann", "visit-1"]
    assert pq.read_table(home.truth)["user_id"].to_pylist() == ["ann"]
    assert (home.reports / "others.html").exists()


def test_over_redis_the_person_is_in_no_file_and_no_key_of_it_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "redis"
    with redis_servers.redis_server(folder) as url, redis.Redis.from_url(url) as client:
        port = client.connection_pool.connection_kwargs["port"]
        monkeypatch.setenv("COLDSTART_REDIS", f"127.0.0.1:{port}")
        monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(REPOSITORY / "feature_store.redis.yaml"))
        home, store = built(tmp_path / "home", EVENTS)
        assert files_with(folder, USER)
        assert keys_with(client, USER)
        others = keys_with(client, "ann")
        assert others

        erase(home, store)
        assert keys_with(client, USER) == []
        assert keys_with(client, SESSION) == []
        assert keys_with(client, "ann") == others
        deadline = time.monotonic() + redis_servers.SECONDS
        while files_with(folder, USER):  # Redis removes the files of before a moment later
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert files_with(home.root, USER) == []


def keys_with(client: redis.Redis, name: str) -> list[bytes]:
    """Of all hashes that have it in the key or in a value."""
    found = []
    for key in client.scan_iter():
        values = client.hgetall(key) if client.type(key) == b"hash" else {b"": client.dump(key)}
        if any(name.encode() in part for part in (key, *values, *values.values())):
            found.append(key)
    return sorted(found)


def test_the_receipt_holds_no_personal_data_and_is_kept(shop: tuple[Home, Store]) -> None:
    home, store = shop
    told = erase(home, store).as_dict()
    kept = [
        json.loads(line) for line in (home.erasures / journal.RECEIPTS).read_text().splitlines()
    ]
    assert kept == [json.loads(json.dumps(told))]
    assert USER not in json.dumps(told)
    assert len(str(told["user_hash"])) == 64
    assert (home.erasures / "salt").stat().st_mode & 0o077 == 0
    other = Home(home.root.parent / "elsewhere")
    other.erasures.mkdir(parents=True)
    assert bury(other, USER, now=NOW) != told["user_hash"]


def without_creation(home: Home, view: str) -> pd.DataFrame:
    frame = pq.read_table(home.feature_table(view)).to_pandas().drop(columns=CREATED_TIMESTAMP)
    table = FEATURE_TABLES[view]
    return frame.sort_values([table.key, tables.EVENT_TIMESTAMP], ignore_index=True)


def test_what_counted_the_person_is_as_if_they_had_never_come(
    shop: tuple[Home, Store], tmp_path: Path
) -> None:
    home, store = shop
    aggregate(home=home, now=NOW)
    erase(home, store)
    others = [row for row in EVENTS if row["user_id"] != USER]
    never, other_store = built(tmp_path / "never", others)
    aggregate(home=never, now=NOW)
    for view in (*COUNTED, USER_HISTORY.name):
        pd.testing.assert_frame_equal(without_creation(home, view), without_creation(never, view))
    features = [f"{ITEM_STATS.name}:{one.name}" for one in ITEM_STATS.features]
    asked = [{"item_id": item} for item in ("lamp", "lonely", "rug", "sofa", "vase")]
    push_online(never, other_store, recommender=None, now=NOW, item_ids={"lamp", "sofa", "vase"})
    assert store.online(features, asked) == other_store.online(features, asked)
    for view in COUNTED:
        if (place := log_position(home, view)) is not None:
            assert place.generation == event_log(home).state().generation
            assert place.rows == len(others)


def test_events_of_before_do_not_come_back_and_later_ones_begin_a_new_life(
    shop: tuple[Home, Store],
) -> None:
    home, store = shop
    erase(home, store)
    taken = take(home, store, [EVENTS[1], event(50, "ann", "rug")])
    assert (taken.refused, taken.accepted, taken.quarantined) == (("e1",), ("e50",), ())
    spoilt = {**event(60, USER, "lamp"), "event_timestamp": "no time"}
    assert take(home, store, [spoilt]).refused == ("e60",)
    assert files_with(home.root, USER) == []
    rows = tables.EVENTS.to_arrow(pd.DataFrame([EVENTS[2]]).astype({"session_id": "str"}))
    event_log(home).append(rows)
    assert files_with(home.root, USER) == []
    new = {**event(70, USER, "vase"), "event_timestamp": NOW + timedelta(hours=1)}
    assert take(home, store, [new], now=NOW + timedelta(hours=2)).accepted == ("e70",)
    (row,) = store.online([f"{USER_HISTORY.name}:history_item_ids"], [{"user_id": USER}])
    assert row[f"{USER_HISTORY.name}__history_item_ids"] == ["vase"]


STEPS = [
    (event_rows, "_write_without"),
    (event_rows, "_remove_left_over"),
    (erasing.event_rows, "move_lineage"),
    (feature_rows, "drop_user"),
    (kept_files, "drop_pages"),
    (feature_rows, "compute_again"),
    (erasing, "_bring_online"),
    (journal, "finish"),
]


@pytest.mark.parametrize(("module", "step"), STEPS, ids=[step for _, step in STEPS])
def test_an_erasure_that_is_killed_is_finished(
    short: tuple[Home, Store], monkeypatch: pytest.MonkeyPatch, module: Any, step: str
) -> None:
    home, store = short
    keep_copies(home, store)

    def die(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(module, step, die)
        with pytest.raises(Killed):
            erase(home, store)
    assert take(home, store, [EVENTS[1]]).refused == ("e1",)
    finished = finish_erasure(home, Store(home), recommender=None)
    assert finished is not None
    assert finished.finished_earlier
    assert files_with(home.root, USER) == []
    left = event_log(home).read([tables.EVENT_ID])[tables.EVENT_ID].to_pylist()
    assert left == ["e0", "e3", "e5", "e7"]
    assert finish_erasure(home, store, recommender=None) is None


def ingested_again(home: Home) -> None:
    """An ingest that read the log before puts it in place as a new one."""
    state = event_log(home).state()
    partial = home.events.with_name("next.parquet")
    write_base(state.read(), partial, generation=new_generation())
    partial.replace(home.events)
    event_log(home).forget_replaced()


def test_an_erasure_waits_for_an_ingest_that_read_whom_to_refuse(
    short: tuple[Home, Store],
) -> None:
    home, store = short
    with ThreadPoolExecutor(1) as beside:
        with locked(home.events.parent):
            erasure = beside.submit(erase, home, store)
            time.sleep(0.3)
            assert Tombstones.read(home).erased_at == {}
            ingested_again(home)
        assert erasure.result(60).erased["events"] == 5
    assert files_with(home.root, USER) == []


@pytest.mark.parametrize("killed", [False, True])
def test_a_log_that_was_replaced_before_it_was_rewritten_is_looked_at_again(
    short: tuple[Home, Store], monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    home, store = short
    rewrite = event_rows.rewrite_log

    def late(*given: Any) -> Any:
        ingested_again(home)
        monkeypatch.setattr(event_rows, "rewrite_log", rewrite)
        if killed:
            raise Killed
        return rewrite(*given)

    monkeypatch.setattr(event_rows, "rewrite_log", late)
    if killed:
        with pytest.raises(Killed):
            erase(home, store)
        receipt = finish_erasure(home, store, recommender=None)
        assert receipt is not None
    else:
        receipt = erase(home, store)
    assert receipt.erased["events"] == 5
    assert files_with(home.root, USER) == []
    left = event_log(home).read([tables.EVENT_ID])[tables.EVENT_ID].to_pylist()
    assert left == ["e0", "e3", "e5", "e7"]


def test_a_person_nobody_knows_gets_a_receipt_of_nothing(shop: tuple[Home, Store]) -> None:
    home, store = shop
    before = event_log(home).state().position
    receipt = erase_user("nobody", home=home, store=store, recommender=None, now=NOW)
    assert set(receipt.erased.values()) == {0}
    assert event_log(home).state().position == before
    with pytest.raises(ErasureError, match="empty"):
        erase_user("", home=home, store=store, recommender=None, now=NOW)
