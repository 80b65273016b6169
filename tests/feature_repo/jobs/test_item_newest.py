"""Items' newest rows from sums and what came since are, bit for bit, those of all their events."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from coldstart_models.feature_rows import item_stats_rows
from feature_repo import event_log as module
from feature_repo.event_log import EventLog
from feature_repo.feature_tables import ITEM_ACTIVITY, ITEM_STATS
from feature_repo.home import Home
from feature_repo.jobs import item_newest
from feature_repo.jobs.behaviour import ITEM_BEHAVIOUR, newest_rows
from feature_repo.jobs.decay import ERA
from feature_repo.jobs.item_behaviour import POPULARITY_HALF_LIFE_US
from feature_repo.jobs.small_database import small_database
from validation import tables

NOW = datetime(2026, 6, 1, tzinfo=UTC)
START = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = (0, 1, 2, 23, 24, 25, 24 * 7, 24 * 30, 24 * 30 + 1)
ERA_HOURS = ERA * POPULARITY_HALF_LIFE_US // 3_600_000_000
ITEM_IDS = ["lamp", "rug", "söfa", "Vase", "Z", "lamp "]

EVENTS = st.lists(
    st.builds(
        lambda user, item, kind, hours, era, microseconds, late: {
            "user_id": user,
            "item_id": item,
            "event_type": kind,
            "event_timestamp": START
            + timedelta(hours=hours + era * ERA_HOURS, microseconds=microseconds),
            "late": late,
        },
        user=st.sampled_from(["ann", "bob", "cid", "dee"]),
        item=st.sampled_from(ITEM_IDS),
        kind=st.sampled_from(tables.EVENT_TYPES),
        hours=st.sampled_from(HOURS),
        era=st.sampled_from([0, 0, 0, 1, 2]),
        microseconds=st.sampled_from([-1, 0, 1, 1234]),
        late=st.sampled_from([None, None, 0, 1, 24, 24 * 31]),
    ),
    min_size=1,
    max_size=40,
)


def table_of(events: list[dict[str, Any]], start: int) -> Any:
    rows = [
        {
            **{name: value for name, value in event.items() if name != "late"},
            "event_id": f"e{start + number}",
            "received_at": None
            if event["late"] is None
            else event["event_timestamp"] + timedelta(hours=event["late"]),
        }
        for number, event in enumerate(events)
    ]
    return pa.Table.from_pylist(
        [{name: row.get(name) for name in tables.EVENTS.names} for row in rows],
        schema=tables.EVENTS.schema,
    )


def of_all_events(log: EventLog) -> dict[str, pd.DataFrame]:
    """By the SQL of the job over every event."""
    events = log.find(tables.ITEM_ID, ITEM_IDS)
    rows = {ITEM_STATS.name: item_stats_rows(events, now=NOW)}
    return rows | newest_rows(
        ITEM_BEHAVIOUR, events.to_pandas(), items=tables.ITEMS.empty(), now=NOW
    )


@pytest.mark.parametrize("collide", [False, True], ids=["hashed", "all of one hash"])
@settings(
    max_examples=30,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(events=EVENTS, cut=st.integers(0, 40), second=st.integers(0, 40))
def test_the_rows_are_those_of_the_job_s_sql_over_all_events(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    collide: bool,
    events: list[dict[str, Any]],
    cut: int,
    second: int,
) -> None:
    """Any share of them in the large file, appended in any order, late ones and merges."""
    monkeypatch.setattr(module, "INDEXED_FROM", 0)
    if collide:
        for name in ("item_sums", "item_newest"):
            monkeypatch.setattr(f"feature_repo.jobs.{name}.USER_HASH", "7::UBIGINT")
    log = EventLog(Home(tmp_path_factory.mktemp("log")))
    for first, last in ((0, cut), (cut, second)):
        if events[first:last]:
            log.append(table_of(events[first:last], first))
        log.begin()
        log.compact()
    rest = events[max(cut, second) :]
    if rest:
        log.append(table_of(rest, max(cut, second)))
    summed = log.of_items(ITEM_IDS)
    assert summed is not None
    found = summed.newest_rows(ITEM_IDS, now=NOW)
    expected = of_all_events(log)
    assert set(found) == {ITEM_STATS.name, ITEM_ACTIVITY.name}
    for name, rows in expected.items():
        pd.testing.assert_frame_equal(found[name], rows, check_exact=True)


def test_a_short_log_has_no_sums_and_an_unknown_item_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = EventLog(Home(tmp_path))
    event = {"user_id": "ann", "item_id": "lamp", "event_type": "click", "late": None}
    log.append(table_of([{**event, "event_timestamp": START}], 0))
    assert log.of_items(["lamp"]) is None
    monkeypatch.setattr(module, "INDEXED_FROM", 1)
    log.compact()
    summed = log.of_items(["sofa", "lamp"])
    assert summed is not None
    assert summed.newest_rows(["sofa"], now=NOW) == {}
    (row,) = summed.newest_rows(["sofa", "lamp"], now=NOW)[ITEM_STATS.name].to_dict("records")
    assert (row["item_id"], row["click_count"], row["user_count"]) == ("lamp", 1, 1)


def test_what_came_after_the_large_file_is_grouped_before_python_sees_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two people's 400 events are two kinds, two people and an era."""

    class Counting:
        def __init__(self, asked: Any) -> None:
            self._asked = asked

        def __getattr__(self, name: str) -> Any:
            return getattr(self._asked, name)

        def sql(self, *arguments: Any) -> Any:
            return Counting(self._asked.sql(*arguments))

        def fetchall(self) -> list[Any]:
            found: list[Any] = self._asked.fetchall()
            seen.append(len(found))
            return found

        def to_arrow_table(self) -> Any:
            found = self._asked.to_arrow_table()
            seen.append(found.num_rows)
            return found

    seen: list[int] = []
    monkeypatch.setattr(module, "INDEXED_FROM", 0)
    log = EventLog(Home(tmp_path))
    log.begin()
    log.compact()
    events = [
        {"item_id": "lamp", "user_id": f"u{n % 2}", "event_type": kind, "late": None}
        | {"event_timestamp": START + timedelta(minutes=n)}
        for n in range(200)
        for kind in ("impression", "click")
    ]
    log.append(table_of(events, 0))
    summed = log.of_items(["lamp"])
    assert summed is not None
    with small_database() as connection:
        later = item_newest._later(Counting(connection), summed.later)["lamp"]
    assert seen == [2, 2, 1]
    assert {kind: len(times) for kind, times in later.times.items() if len(times)} == {
        "impression": 200,
        "click": 200,
    }
    assert set(later.people) == {"u0", "u1"}


def test_people_are_searched_where_they_are_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "INDEXED_FROM", 1)
    log = EventLog(Home(tmp_path))
    event = {"item_id": "lamp", "event_type": "click", "event_timestamp": START, "late": None}
    log.append(table_of([{**event, "user_id": f"u{n}"} for n in range(9)], 0))
    log.compact()
    summed = log.of_items(["lamp"])
    assert summed is not None
    lamp = summed.sums.of("lamp")
    assert lamp is not None
    assert len(lamp.people) == 9
    assert all(lamp.people[name].flags.aligned for name in ("hash", "last", "row"))


def test_no_event_of_the_large_file_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But a row for each user that came again, who is told from others of the same hash."""
    monkeypatch.setattr(module, "INDEXED_FROM", 1)
    log = EventLog(Home(tmp_path))
    event = {"item_id": "lamp", "event_type": "click", "event_timestamp": START, "late": None}
    log.append(table_of([{**event, "user_id": f"u{n % 50}"} for n in range(500)], 0))
    log.compact()
    log.append(table_of([{**event, "user_id": "u7"}, {**event, "user_id": "new"}], 500))
    summed = log.of_items(["lamp"])
    assert summed is not None
    asked: list[int] = []

    def users(numbers: Any) -> list[str]:
        asked.extend(np.asarray(numbers).tolist())
        return list(summed.users(numbers))

    rows = item_newest.ItemLog(summed.sums, users, summed.later).newest_rows(["lamp"], now=NOW)
    assert asked == [7]
    assert rows[ITEM_ACTIVITY.name]["user_count_life"].tolist() == [51]
    assert rows[ITEM_ACTIVITY.name]["click_count_life"].tolist() == [502]
