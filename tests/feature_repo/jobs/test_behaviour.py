"""The behaviour tables: the job equals the service bit for bit, and both equal plain Python."""

import json
import math
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from feature_repo.feature_tables import (
    AFFINITY_HALF_LIFE,
    DAY_US,
    FEATURE_TABLES,
    HOUR_US,
    ITEM_ACTIVITY,
    LIFE,
    POPULARITY_HALF_LIFE,
    SESSION_GAP,
    US,
    WINDOWS,
)
from feature_repo.home import Home
from feature_repo.jobs import aggregate as aggregate_job
from feature_repo.jobs import windows
from feature_repo.jobs.aggregate import aggregate
from feature_repo.jobs.behaviour import BEHAVIOUR_SQL, newest_rows
from tests.feature_repo.samples import NOW, at, events_frame, write_events, write_items
from validation import tables

CATALOGUE = (
    {"item_id": "i0", "category": "Home > Sofas", "domain": "home", "price": 0.1},
    {"item_id": "i1", "category": "Home > Lamps", "domain": "home", "price": 1999.99},
    {"item_id": "i2", "category": "Garden", "domain": "outdoor"},
    {"item_id": "i3", "domain": "food", "price": 3.3},
)
ITEM_IDS = ("i0", "i1", "i2", "i3", "gone")
START_US = at("2023-01-01").value // 1000
EDGES_US = (0, 1, 10 * 60_000_000, HOUR_US // 2, HOUR_US, DAY_US, 7 * DAY_US, 30 * DAY_US)
"""Pauses between events at which windows, visits and half-lives have their edges."""


@st.composite
def logs(draw: st.DrawFn) -> pd.DataFrame:
    """Logs of few keys with equal times, pauses at the windows' edges and late arrivals."""
    count = draw(st.integers(1, 25))
    moment, rows = START_US, []
    for _ in range(count):
        moment += draw(st.sampled_from(EDGES_US)) + draw(st.integers(-1, 1))
        happened = moment - draw(st.sampled_from((0, 0, 0, *EDGES_US)))
        rows.append(
            {
                "user_id": draw(st.sampled_from(("u0", "u1"))),
                "item_id": draw(st.sampled_from(ITEM_IDS)),
                "event_type": draw(st.sampled_from(tables.EVENT_TYPES)),
                "event_timestamp": happened,
                "received_at": draw(st.sampled_from((None, moment))),
                "quantity": draw(st.sampled_from((None, 1.0, 3.0, 0.3))),
                "unit_price": draw(st.sampled_from((None, 0.0, 9.99, 12345.678))),
                "session_id": draw(st.sampled_from((None, None, "s0", "s1"))),
            }
        )
    frame = pd.DataFrame(rows)
    for name in ("event_timestamp", "received_at"):
        frame[name] = pd.to_datetime(frame[name], unit="us", utc=True).dt.as_unit("us")
    return frame.assign(event_id=[f"e{row}" for row in range(count)], source="shop")


def known_us(log: pd.DataFrame) -> pd.Series:
    """When each event became known, µs since 1970."""
    return log[["event_timestamp", "received_at"]].max(axis=1).dt.as_unit("us").astype("int64")


def computed(log: pd.DataFrame, *, group: int = 50_000) -> dict[str, pd.DataFrame]:
    """Every behaviour table as the job writes it."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(aggregate_job, "EVENTS_A_CHUNK", group)
        home = Home(Path(folder))
        write_items(home, *CATALOGUE)
        write_events(home, log)
        aggregate(home=home, now=NOW)
        return {name: pq.read_table(home.feature_table(name)).to_pandas() for name in BEHAVIOUR_SQL}


def items() -> pd.DataFrame:
    return pd.DataFrame(list(CATALOGUE))


def as_known(log: pd.DataFrame, by_us: int) -> pd.DataFrame:
    """The events that were known by a moment, in the log's order."""
    return log[known_us(log) <= by_us]


QUICK = settings(
    max_examples=20,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    derandomize=True,
)
"""Each example runs the job: shrinking one would take minutes."""


@QUICK
@given(log=logs(), group=st.sampled_from((6, 50_000)), data=st.data())
def test_the_job_over_the_whole_log_equals_the_service_over_what_was_known(
    log: pd.DataFrame, group: int, data: st.DataObject
) -> None:
    """Bit for bit, at every moment, with the events in the order in which they arrived."""
    order = data.draw(st.permutations(range(len(log))))
    shuffled = log.iloc[order]
    whole = computed(log, group=group)
    by_us = data.draw(st.sampled_from(sorted(set(known_us(log)))))
    known = as_known(shuffled if ordered_by_time(log) else log, by_us)
    limit = pd.Timestamp(by_us + 1, unit="us", tz="UTC")
    for name in BEHAVIOUR_SQL:
        table = FEATURE_TABLES[name]
        rows = whole[name]
        newest = rows[rows["event_timestamp"] <= limit].groupby(table.key).tail(1)
        newest = newest.sort_values(table.key).reset_index(drop=True)
        online = newest_rows([table], known, items=items(), now=NOW)[name]
        pd.testing.assert_frame_equal(online, newest, check_exact=True, check_dtype=False)


def ordered_by_time(log: pd.DataFrame) -> bool:
    """No two events of a user share moment and time: nothing is left for the log's order to say."""
    keys = pd.DataFrame({"u": log["user_id"], "k": known_us(log), "t": log["event_timestamp"]})
    return not keys.duplicated().any()


@QUICK
@given(log=logs())
def test_every_value_is_what_plain_python_counts(log: pd.DataFrame) -> None:
    tables_ = computed(log)
    events = [
        {**row, "known": known, "us": row["event_timestamp"].value // 1000}
        for row, known in zip(log.to_dict("records"), known_us(log), strict=True)
    ]
    for row in tables_["user_activity"].to_dict("records"):
        seen = before(events, "user_id", row)
        for window in (*WINDOWS, LIFE):
            within = [one for one in seen if inside(one, row, window) and positive(one)]
            bought = [one for one in within if one["event_type"] == "purchase"]
            assert row[f"event_count_{window}"] == len(within)
            assert row[f"purchase_count_{window}"] == len(bought)
            assert row[f"spend_{window}"] == pytest.approx(sum(map(paid, bought)), abs=1e-4)
    for row in tables_["item_activity"].to_dict("records"):
        seen = before(events, "item_id", row)
        for window in (*WINDOWS, LIFE):
            within = [one for one in seen if inside(one, row, window)]
            kinds = Counter(one["event_type"] for one in within)
            for kind in ("impression", "click", "cart", "purchase"):
                assert row[f"{kind}_count_{window}"] == kinds[kind]
            users = {one["user_id"] for one in within if positive(one)}
            assert row[f"user_count_{window}"] == len(users)
        assert row["popularity"] == pytest.approx(
            sum(halved(one, row, POPULARITY_HALF_LIFE // US) for one in seen if positive(one)),
            abs=1e-6,
        )
    for row in tables_["user_affinities"].to_dict("records"):
        seen = [one for one in before(events, "user_id", row) if positive(one)]
        for column, place in (("domain_affinities", domain), ("category_affinities", category)):
            weights: Counter[str] = Counter()
            for one in seen:
                if place(one) is not None:
                    weights[place(one)] += halved(one, row, AFFINITY_HALF_LIFE // US)
            total = sum(weights.values())
            found = json.loads(row[column])
            assert set(found) == set(weights)
            for name, weight in weights.items():
                assert found[name] == pytest.approx(weight / total, abs=2e-6)
    check_sessions(tables_["user_session"], events)


def check_sessions(rows: pd.DataFrame, events: list[dict[str, Any]]) -> None:
    gap = SESSION_GAP // US
    for user_id in ("u0", "u1"):
        own = [one for one in events if one["user_id"] == user_id]
        own = [one for one in own if one["known"] - one["us"] <= gap]
        own.sort(key=lambda one: (one["known"], one["us"], events.index(one)))
        visit, last, found = 0, None, []
        for one in own:
            if one["session_id"] is None:
                visit += last is not None and one["known"] - last > gap
                last = one["known"]
            found.append(one["session_id"] or visit)
        expected = []
        for moment in sorted({one["known"] for one in own}):
            at_moment = [n for n, one in enumerate(own) if one["known"] == moment]
            if not any(positive(own[n]) for n in at_moment):
                continue
            inside_ = [
                one
                for n, one in enumerate(own)
                if found[n] == found[at_moment[-1]] and one["known"] <= moment
            ]
            chosen = [one for one in inside_ if positive(one)]
            expected.append(
                {
                    "session_id": own[at_moment[-1]]["session_id"],
                    "session_event_count": len(chosen),
                    "session_impression_count": len(inside_) - len(chosen),
                    "session_start_us": min(one["us"] for one in inside_),
                    "session_last_us": moment,
                    "session_categories": sorted({category(one) for one in chosen} - {None}),
                }
            )
        told = rows[rows["user_id"] == user_id].to_dict("records")
        assert [
            {name: list(row[name]) if name == "session_categories" else row[name] for name in one}
            for row, one in zip(told, expected, strict=True)
        ] == expected


def before(events: list[dict[str, Any]], key: str, row: dict[str, Any]) -> list[dict[str, Any]]:
    moment = (row["event_timestamp"].value - 1000) // 1000
    return [
        {**one, "at": moment} for one in events if one[key] == row[key] and one["known"] <= moment
    ]


def inside(one: dict[str, Any], row: dict[str, Any], window: str) -> bool:
    return window == LIFE or one["us"] > one["at"] - WINDOWS[window]


def positive(one: dict[str, Any]) -> bool:
    return one["event_type"] != "impression"


def halved(one: dict[str, Any], row: dict[str, Any], half_life: int) -> float:
    return math.exp2(-(one["at"] - one["us"]) / half_life)


def _item(one: dict[str, Any]) -> dict[str, Any]:
    return next((item for item in CATALOGUE if item["item_id"] == one["item_id"]), {})


def paid(one: dict[str, Any]) -> float:
    known = one["unit_price"] == one["unit_price"] and one["unit_price"] is not None
    price = one["unit_price"] if known else _item(one).get("price", 0.0)
    pieces = one["quantity"] if one["quantity"] and one["quantity"] == one["quantity"] else 1.0
    return float(price * pieces)


def domain(one: dict[str, Any]) -> Any:
    return _item(one).get("domain")


def category(one: dict[str, Any]) -> Any:
    item = _item(one)
    return item["category"].partition(" >")[0] if "category" in item else item.get("domain")


def test_an_item_with_more_events_than_a_window_counts_is_an_error_and_not_a_wrong_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = events_frame(*[("u0", "i0", "click", "2024-01-01")] * 3)
    monkeypatch.setattr(windows, "COUNT_BITS", 2)
    rows = newest_rows([ITEM_ACTIVITY], log, items=items(), now=NOW)[ITEM_ACTIVITY.name]
    assert rows["click_count_life"].item() == 3
    more = events_frame(*[("u0", "i0", "click", "2024-01-01")] * 4)
    with pytest.raises(duckdb.Error, match="one item_id has 4 events; windows count up to 3"):
        newest_rows([ITEM_ACTIVITY], more, items=items(), now=NOW)


def test_a_price_beyond_all_sense_in_an_old_log_stops_nobodys_features() -> None:
    """Job and service: the others' rows are as without it, and its own are of the highest price."""
    rows = [("u0", "i0", "purchase", "2024-01-01"), ("u1", "i1", "purchase", "2024-01-02")]
    bad = {"unit_price": [1e36, None], "quantity": [1e300, None]}
    highest = {"unit_price": [tables.HIGHEST_PRICE, None], "quantity": [tables.MOST_PIECES, None]}
    log, bounded = events_frame(*rows, **bad), events_frame(*rows, **highest)
    found, expected = computed(log), computed(bounded)
    for name in BEHAVIOUR_SQL:
        pd.testing.assert_frame_equal(found[name], expected[name], check_exact=True)
        table = FEATURE_TABLES[name]
        online = newest_rows([table], log, items=items(), now=NOW)[name]
        assert online[table.key].tolist() == found[name][table.key].tolist()
    spent = found["user_activity"].set_index("user_id")["spend_life"].to_dict()
    assert spent == {"u0": pytest.approx(1e17), "u1": 1999.99}


def test_the_price_of_a_listing_is_bounded_in_what_people_spent() -> None:
    log = events_frame(("u0", "i0", "purchase", "2024-01-01"))
    dear = pd.DataFrame([{"item_id": "i0", "price": 1e40}])
    for name in ("user_history", "user_activity"):
        rows = newest_rows([FEATURE_TABLES[name]], log, items=dear, now=NOW)[name]
        assert rows.filter(regex="^(spend_life|price_mean)$").iloc[0].tolist() == [1e11]
