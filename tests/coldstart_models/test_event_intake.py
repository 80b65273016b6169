"""Events taken in batch by batch end in the state that the batch job computes, bit for bit."""

import time
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coldstart_models.event_intake import EventsResult, event_taker, take_events
from coldstart_models.online_push import push_online
from feature_repo.errors import NotApplied
from feature_repo.event_log import event_log
from feature_repo.feature_tables import ITEM_STATS, USER_HISTORY
from feature_repo.home import Home
from feature_repo.jobs.aggregate import aggregate
from feature_repo.jobs.catalogue import write
from feature_repo.store import Store
from tests.feature_repo.samples import write_items
from validation import engine, gate, quarantine, tables

VIEWS = [USER_HISTORY.name, ITEM_STATS.name]
START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
ITEMS = {"lamp": 19.99, "sofa": 0.1, "rug": None, "vase": 1234.5678}


class Killed(BaseException):
    """The process dies here."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("intake") / "home")
    write_items(
        home,
        *(
            {"item_id": name, "title": name, "price": price, "category": f"Home > {name}"}
            for name, price in ITEMS.items()
        ),
    )
    return home


@pytest.fixture(scope="module")
def store(home: Home) -> Store:
    store = Store(home)
    store.apply()
    return store


def raw(*rows: dict[str, Any]) -> pd.DataFrame:
    whole = [{"source": "test", **row} for row in rows]
    return pd.DataFrame(whole, columns=tables.EVENTS.names, dtype=object)


def click(event_id: str, user: str, item: str = "lamp", **more: Any) -> dict[str, Any]:
    row = {"event_id": event_id, "user_id": user, "item_id": item, "event_type": "click"}
    return {**row, "event_timestamp": START, **more}


def take(home: Home, store: Any, *rows: dict[str, Any]) -> EventsResult:
    return take_events(raw(*rows), home=home, store=store, recommender=None, now=NOW)


def history(store: Store, user: str) -> list[str] | None:
    (row,) = store.online([f"{USER_HISTORY.name}:history_item_ids"], [{"user_id": user}])
    found: list[str] | None = row[f"{USER_HISTORY.name}__history_item_ids"]
    return found


class Dying:
    """A store that lets some pushes through and dies at the next."""

    def __init__(self, store: Store, pushes: int) -> None:
        self._store, self._left = store, pushes

    def push(self, *arguments: Any, **named: Any) -> None:
        if not self._left:
            raise Killed
        self._left -= 1
        self._store.push(*arguments, **named)


events = st.builds(
    lambda number, user, item, kind, hours, price: {
        "number": number,
        "user": user,
        "item_id": item,
        "event_type": kind,
        "event_timestamp": START + timedelta(hours=hours),
        "unit_price": price,
        "quantity": 1.0 if kind == tables.PURCHASE else None,
    },
    number=st.integers(0, 12),
    user=st.sampled_from(["ann", "bob"]),
    item=st.sampled_from(sorted(ITEMS)),
    kind=st.sampled_from([tables.IMPRESSION, tables.CLICK, tables.CART, tables.PURCHASE]),
    hours=st.sampled_from([0, 1, 23, 24, 25, 700]),
    price=st.sampled_from([None, 0.1, 0.2, 0.3, 1e6]),
)
batches = st.lists(
    st.tuples(
        st.lists(events, min_size=1, max_size=5),
        st.sampled_from(["whole", "whole", "whole", "die in push", "die between", "compact"]),
    ),
    min_size=1,
    max_size=4,
)
rounds = count()


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(batches=batches, redelivered=st.booleans())
def test_after_any_interleaving_online_is_what_aggregate_computes(
    home: Home,
    store: Store,
    batches: list[tuple[list[dict[str, Any]], str]],
    redelivered: bool,
) -> None:
    """Batches, events that come twice, late ones, deaths in and before the push, compactions."""
    example = next(rounds)
    for drawn, fate in batches:
        rows = [
            {
                **{name: value for name, value in one.items() if name not in ("number", "user")},
                "event_id": f"{example}-{one['number']}",
                "user_id": f"{one['user']}-{example}",
            }
            for one in drawn
        ]
        if fate.startswith("die"):
            with pytest.raises(Killed):
                take(home, Dying(store, 0 if fate == "die between" else 1), *rows)
            if redelivered:  # the message was not acknowledged
                take(home, store, *rows)
        else:
            take(home, store, *rows)
        if fate == "compact":
            event_log(home).compact()
    push_online(home, store, recommender=None, now=NOW)  # as whoever takes events in next does
    aggregate(home=home, now=NOW)
    compared = store.read_back(views=VIEWS, sample=10**9)
    assert compared.differences == ()
    assert compared.checked


def test_what_was_appended_and_not_pushed_is_pushed_by_whoever_comes_next(
    home: Home, store: Store
) -> None:
    with pytest.raises(Killed):
        take(home, Dying(store, 0), click("dead-1", "dora", "sofa"))
    assert history(store, "dora") is None
    take(home, store, click("dead-2", "emil"))
    assert history(store, "dora") == ["sofa"]


def test_a_slow_process_does_not_push_an_older_state_over_a_newer_one(
    home: Home, store: Store
) -> None:
    """The slow one reads, the fast one appends and wants to push: it waits for the slow one."""
    from concurrent.futures import ThreadPoolExecutor
    from threading import Event

    reading, fast_is_there = Event(), Event()

    class Slow:
        def push(self, view: str, frame: pd.DataFrame, **named: Any) -> None:
            reading.set()
            fast_is_there.wait(60)
            store.push(view, frame, **named)

    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(take, home, Slow(), click("slow-1", "fred", "lamp"))
        assert reading.wait(30)
        fast = pool.submit(take, home, store, click("fast-1", "fred", "rug", event_timestamp=NOW))
        deadline = time.monotonic() + 60
        while event_log(home).rows_where(tables.EVENT_ID, ["fast-1"]).empty:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        fast_is_there.set()
        slow.result(60)
        fast.result(60)
    assert history(store, "fred") == ["lamp", "rug"]


def test_a_sound_event_counts_where_a_bad_one_of_its_id_came_first(
    home: Home, store: Store
) -> None:
    taken = take(
        home,
        store,
        click("again", "gita", "ghost"),
        click("again", "gita", "sofa"),
        click("again", "gita", "rug"),
    )
    assert (taken.accepted, taken.duplicates) == (("again",), ("again",))
    assert [row.id for row in taken.quarantined] == ["again"]
    assert history(store, "gita") == ["sofa"]


def test_one_look_of_the_gate_judges_every_repeat(
    home: Home, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []

    def counted(frame: pd.DataFrame, **asked: Any) -> gate.GateResult:
        looks.append(len(frame))
        return check_events(frame, **asked)

    check_events = gate.check_events
    monkeypatch.setattr(gate, "check_events", counted)
    bad = [click("often", "lea", f"ghost-{number}") for number in range(30)]
    sound = [click("often", "lea", "rug"), click("often", "lea", "sofa")]
    taken = take(home, store, *bad, *sound, click("often", "lea", "ghost"))
    assert looks == [33]
    assert (taken.accepted, taken.duplicates) == (("often",), ("often",))
    assert [row.id for row in taken.quarantined] == ["often"] * 31
    assert taken.quarantined[-1].reasons[0].startswith("Row 32: item 'ghost' is not in")
    assert history(store, "lea") == ["rug"]


@pytest.mark.parametrize("odd", [["a"], {"a": 1}, 7, 7.5, True, "\x00", "é" * 500])
def test_any_json_value_may_be_an_id(home: Home, store: Store, odd: Any) -> None:
    taken = take(
        home, store, click("fine", f"hal-{odd!r}"[:90]), click(odd, "ida"), click(odd, "i")
    )
    assert len(taken.accepted) + len(taken.duplicates) + len(taken.quarantined) == 3
    log = event_log(home).read([tables.EVENT_ID])[tables.EVENT_ID].to_pandas()
    assert log.is_unique
    assert log.notna().all()


@pytest.mark.parametrize("none", [None, "", " \t"])
def test_an_event_without_an_id_is_held_back_and_stops_no_other(
    home: Home, store: Store, none: str | None
) -> None:
    whole, user = f"whole {none!r}", f"kim {none!r}"
    taken = take(home, store, click(none, user, "rug"), click(whole, user, "sofa"))
    assert taken.accepted == (whole,)
    (held,) = taken.quarantined
    assert "the event_id is missing" in held.reasons[0]
    assert history(store, user) == ["sofa"]


def test_after_an_ingest_new_events_go_online_and_old_places_do_not_count(
    home: Home, store: Store
) -> None:
    take(home, store, click("before", "jo", "lamp"))
    items = pd.read_parquet(home.items)
    kept = event_log(home).read().to_pandas()
    write(home, items, kept, None, {}, beside={})
    assert event_log(home).state().segments == ()
    take(home, store, click("after", "jo", "rug", event_timestamp=NOW))
    assert history(store, "jo") == ["lamp", "rug"]


def test_two_processes_that_quarantine_at_once_lose_no_row(home: Home, store: Store) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(take, home, store, click(f"bad-{n}", "kim", "ghost")) for n in range(8)]
        for one in done:
            one.result(120)
    held = set(quarantine.load(home.quarantine, "events")["key"])
    assert {f"bad-{n}" for n in range(8)} <= held


def test_a_consumer_has_the_gate_loaded_before_its_first_event(home: Home, store: Store) -> None:
    engine.context.cache_clear()
    event_taker(home)
    assert engine.context.cache_info().currsize == 1


def test_a_consumer_starts_on_registered_features_and_reads_no_offline_table_for_it(
    home: Home, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("feature_repo.store.extent", lambda *_, **__: pytest.fail("a table"))
    event_taker(home)
    with pytest.raises(NotApplied, match="run `coldstart apply`"):
        event_taker(Home(tmp_path))


def test_no_catalogue_is_told(tmp_path: Path, store: Store) -> None:
    from coldstart_models.errors import NotEnoughData

    with pytest.raises(NotEnoughData, match="coldstart ingest"):
        take(Home(tmp_path), store, click("a", "b"))
