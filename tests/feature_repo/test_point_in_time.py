"""Leaks planted one by one, looked for through Feast: what could not be known must not be seen."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from feature_repo.feature_definitions import BEHAVIOUR_EXPIRY
from feature_repo.feature_tables import FEATURE_TABLES, LISTING_CHANGES
from feature_repo.home import Home
from feature_repo.jobs.aggregate import aggregate
from feature_repo.jobs.behaviour import ITEM_BEHAVIOUR, USER_BEHAVIOUR, newest_rows
from feature_repo.jobs.materialize import materialize
from feature_repo.on_demand_features import ON_DEMAND_TABLES
from feature_repo.store import PushTo, Store
from tests.feature_repo.samples import NOW, at, events_frame, write_events, write_items

CATALOGUE: Sequence[dict[str, Any]] = (
    {"item_id": "sofa", "category": "Home > Sofas", "domain": "home", "price": 400.0},
    {"item_id": "lamp", "category": "Light", "domain": "home", "price": 25.0},
    {"item_id": "vase", "category": "Light", "domain": "garden", "price": 5.0},
    {"item_id": "new", "category": "Light", "domain": "home", "price": 9.0},
)
LOG = (
    ("u1", "sofa", "click", "2024-03-01 10:00:00"),
    ("u1", "lamp", "impression", "2024-03-01 10:05:00"),
    ("u1", "lamp", "purchase", "2024-03-01 10:10:00"),
    ("u2", "lamp", "click", "2024-03-02 11:00:00"),
    ("u1", "vase", "cart", "2024-03-05 09:00:00"),
)
MOMENT = "2024-03-05 09:20:00"
BEHAVIOUR = "behaviour_v1"
SERVED = ("coldstart_v1", BEHAVIOUR)
OF_SOMEBODY = {name: one for name, one in FEATURE_TABLES.items() if one is not LISTING_CHANGES}
"""All but what state folders tell each other."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(Home(tmp_path))
    write_items(store.home, *CATALOGUE)
    aggregated(store, *LOG)
    store.apply()
    return store


def aggregated(store: Store, *log: tuple[str, str, str, str], **columns: Sequence[Any]) -> None:
    """Make this the whole log and compute the tables of it."""
    write_events(store.home, events_frame(*log, **columns))
    aggregate(home=store.home, now=NOW)


def asked(*moments: str, user: str = "u1", item: str = "lamp") -> pd.DataFrame:
    rows = [{"user_id": user, "item_id": item, "category_id": "Light"} for _ in moments]
    times = pd.to_datetime(list(moments), utc=True, format="ISO8601")
    return pd.DataFrame(rows).assign(event_timestamp=times)


def every_feature(store: Store, entities: pd.DataFrame) -> pd.DataFrame:
    """All features there are, stored and on demand."""
    names = [
        *(f"{name}:{column.name}" for name, t in OF_SOMEBODY.items() for column in t.features),
        *(f"{name}:{feature}" for name, t in ON_DEMAND_TABLES.items() for feature in t.features),
    ]
    return store.historical(entities, names)


def received(*moments: str | None) -> dict[str, pd.DatetimeIndex]:
    return {"received_at": pd.to_datetime(list(moments), utc=True, format="ISO8601")}


def test_every_feature_is_in_a_service(store: Store) -> None:
    served = {name for service in SERVED for name in store.registered().services[service]}
    stored = {f"{n}__{column.name}" for n, t in OF_SOMEBODY.items() for column in t.features}
    on_demand = {f"{n}__{feature}" for n, t in ON_DEMAND_TABLES.items() for feature in t.features}
    assert served == stored | on_demand


def test_a_later_event_changes_no_earlier_row_of_any_feature(store: Store) -> None:
    entities = asked("2024-03-01 10:07:00", "2024-03-02 11:00:00", MOMENT)
    before = every_feature(store, entities)
    later = [(user, item, "purchase", MOMENT) for user in ("u1", "u2") for item in ("lamp", "sofa")]
    aggregated(store, *LOG, *later)
    pd.testing.assert_frame_equal(every_feature(store, entities), before)
    after = store.historical(asked("2024-03-05 09:20:00.000001"), BEHAVIOUR)
    assert after["user_activity__purchase_count_life"].item() == 3
    assert after["item_activity__purchase_count_life"].item() == 3


def test_a_late_event_is_seen_from_its_arrival_and_not_from_when_it_happened(store: Store) -> None:
    happened, arrived = "2024-03-02 00:00:00", "2024-03-04 12:00:00"
    entities = asked("2024-03-02 10:00:00", arrived)
    before = every_feature(store, entities)
    late = ("u1", "lamp", "purchase", happened)
    aggregated(store, *LOG, late, **received(*[None] * len(LOG), arrived))
    pd.testing.assert_frame_equal(every_feature(store, entities), before)
    after = store.historical(
        asked("2024-03-04 12:00:00.000001", "2024-03-05 00:00:00"),
        [
            "user_activity:purchase_count_7d",
            "user_activity:purchase_count_1d",
            "user_history:purchase_count",
            "item_activity:purchase_count_life",
            "item_stats:purchase_count",
            "user_session:session_last_us",
        ],
    )
    assert list(after["user_activity__purchase_count_7d"]) == [2, 2]
    assert list(after["user_activity__purchase_count_1d"]) == [0, 0]
    assert list(after["user_history__purchase_count"]) == [2, 2]
    assert list(after["item_activity__purchase_count_life"]) == [2, 2]
    assert list(after["item_stats__purchase_count"]) == [1, 2]
    visits = after["user_session__session_last_us"]
    assert list(visits) == [at("2024-03-01 10:10:00").value // 1000] * 2


def test_a_row_that_is_created_later_replaces_one_of_its_moment_and_leaves_earlier_ones(
    store: Store,
) -> None:
    """What a late push says of a moment is not what was known before that moment."""
    moment = at("2024-03-03")
    first = adaptation(bias=1.0, known=moment)
    store.push("item_adaptation", first, now=datetime.fromisoformat("2024-03-03T00:00+00:00"))
    second = adaptation(bias=2.0, known=moment)
    store.push("item_adaptation", second, now=NOW)
    entities = asked("2024-03-02 23:59:59.999999", "2024-03-03", "2024-03-04")
    found = store.historical(entities, ["item_adaptation:bias"])["item_adaptation__bias"]
    np.testing.assert_array_equal(found, [np.nan, 2.0, 2.0])


def adaptation(*, bias: float, known: pd.Timestamp) -> pd.DataFrame:
    row = {"item_id": "lamp", "delta": [0.0], "bias": bias, "support": 1, "model": "m"}
    return pd.DataFrame([{**row, "event_timestamp": known}])


def test_an_items_future_statistics_are_not_seen(store: Store) -> None:
    entities = asked("2024-03-01 10:05:00", "2024-03-01 10:10:00", user="nobody")
    names = [
        f"item_activity:{kind}_count_{window}"
        for kind in ("impression", "click", "purchase", "user")
        for window in ("1h", "30d", "life")
    ]
    others = ["item_activity:popularity", "item_stats:click_count", "item_trend:ctr"]
    before = store.historical(entities, [*names, *others])
    assert before.loc[0, "item_activity__popularity"] != before.loc[0, "item_activity__popularity"]
    assert before.loc[1, "item_activity__impression_count_life"] == 1
    assert before.loc[1, "item_activity__purchase_count_life"] == 0
    crowd = [(f"v{n}", "lamp", "click", "2024-03-01 10:10:00") for n in range(50)]
    aggregated(store, *LOG, *crowd)
    pd.testing.assert_frame_equal(store.historical(entities, [*names, *others]), before)
    after = store.historical(asked("2024-03-01 10:10:00.000001"), [*names, *others])
    assert after["item_activity__user_count_life"].item() == 51
    assert after["item_activity__popularity"].item() == pytest.approx(51)
    assert after["item_stats__click_count"].isna().item()


def test_a_category_prior_is_of_the_days_before_and_not_of_today(store: Store) -> None:
    entities = asked("2024-03-01 23:59:59.999999", "2024-03-02", "2024-03-03", item="new")
    names = ["item_trend:ctr", "item_trend:cvr", "category_stats:click_count"]
    found = store.historical(entities, names)
    first = (0 + 1) / (1 + 20), (1 + 1) / (1 + 20)
    second = (1 + 1) / (1 + 20), (1 + 1) / (1 + 20)
    np.testing.assert_allclose(found["item_trend__ctr"], [0.05, first[0], second[0]])
    np.testing.assert_allclose(found["item_trend__cvr"], [0.05, first[1], second[1]])
    np.testing.assert_array_equal(found["category_stats__click_count"], [np.nan, 0, 1])
    crowd = [(f"v{n}", "vase", "click", "2024-03-03 00:00:00") for n in range(50)]
    aggregated(store, *LOG, *crowd)
    pd.testing.assert_frame_equal(store.historical(entities, names), found)


def test_a_day_that_is_not_over_has_no_category_row(store: Store) -> None:
    aggregate(home=store.home, now=datetime.fromisoformat("2024-03-02T23:00+00:00"))
    found = store.historical(asked("2024-03-04"), ["category_stats:click_count"])
    assert found["category_stats__click_count"].item() == 0


def test_two_events_of_one_microsecond_are_one_row_seen_together_or_not_at_all(
    store: Store,
) -> None:
    moment = "2024-03-06 12:00:00.000007"
    twins = [("u1", "sofa", "purchase", moment), ("u1", "lamp", "purchase", moment)]
    aggregated(store, *LOG, *twins)
    entities = asked(moment, "2024-03-06 12:00:00.000008", "2024-03-06 12:00:00.000008")
    found = every_feature(store, entities)
    assert len(found) == 3
    assert list(found["user_activity__purchase_count_life"]) == [1, 3, 3]
    assert list(found["user_history__event_count"]) == [3, 5, 5]
    assert list(found["user_session__session_event_count"]) == [1, 2, 2]
    assert list(found["item_activity__purchase_count_life"]) == [1, 2, 2]
    for view in (*USER_BEHAVIOUR, *ITEM_BEHAVIOUR):
        rows = pd.read_parquet(store.home.feature_table(view.name))
        assert not rows.duplicated([view.key, "event_timestamp"]).any()


def test_a_feature_is_seen_up_to_its_ttl_and_not_a_microsecond_longer(store: Store) -> None:
    last = at("2024-03-05 09:00:00.000001") + BEHAVIOUR_EXPIRY
    edge = [last, last + timedelta(microseconds=1)]
    entities = asked(*map(str, edge), item="vase")
    found = store.historical(
        entities,
        ["user_activity:event_count_life", "item_activity:cart_count_life", "item_profile:price"],
    )
    np.testing.assert_array_equal(found["user_activity__event_count_life"], [3, np.nan])
    np.testing.assert_array_equal(found["item_activity__cart_count_life"], [1, np.nan])
    assert list(found["item_profile__price"]) == [5.0, 5.0]


def test_who_has_no_feature_yet_is_kept_with_nulls(store: Store) -> None:
    entities = pd.concat(
        [
            asked(MOMENT, user="nobody", item="unknown"),
            asked("2024-03-01 10:00:00"),
            asked(MOMENT),
            asked(MOMENT, user="nobody"),
        ],
        ignore_index=True,
    )
    entities.loc[0, "category_id"] = None
    found = every_feature(store, entities)
    pd.testing.assert_frame_equal(
        found[list(entities.columns)], entities.assign(category_id=[None, *["Light"] * 3])
    )
    user_columns = [name for name in found if str(name).startswith(("user_a", "user_s", "user_r"))]
    assert found.loc[[0, 1, 3], user_columns].isna().all(axis=None)
    item_columns = [name for name in found if str(name).startswith("item_activity")]
    assert found.loc[[0, 1], item_columns].isna().all(axis=None)
    assert found.loc[[2, 3], item_columns].notna().all(axis=None)
    assert found.loc[0, "item_trend__ctr"] == 0.05
    assert found.loc[2, user_columns].notna().sum() > 15


@pytest.mark.parametrize("hours", [0.3, 0.6, 30.0, 24 * 40.0])
def test_online_at_a_moment_is_the_join_at_that_moment(store: Store, hours: float) -> None:
    """Long after the last event too: the on-demand features carry the stored rows on."""
    moment = at("2024-03-05 09:00:00") + pd.Timedelta(hours=hours)
    materialize(home=store.home, store=store, end=moment.to_pydatetime())
    check_online(store, moment)


def test_events_that_are_pushed_are_online_what_the_job_makes_of_the_whole_log(
    store: Store,
) -> None:
    materialize(home=store.home, store=store, end=at("2024-03-05 09:05").to_pydatetime())
    more = [
        ("u1", "lamp", "click", "2024-03-05 09:10:00"),
        ("u2", "lamp", "purchase", "2024-03-05 09:15:00"),
    ]
    log = events_frame(*LOG, *more)
    items = pd.DataFrame(list(CATALOGUE))
    users = newest_rows(USER_BEHAVIOUR, log, items=items, now=NOW)
    pushed = newest_rows(ITEM_BEHAVIOUR, log, items=items, now=NOW)
    for view, rows in {**users, **pushed}.items():
        store.push(view, rows, now=NOW, to=PushTo.ONLINE)
    aggregated(store, *LOG, *more)
    check_online(store, at(MOMENT))


def check_online(store: Store, moment: pd.Timestamp) -> None:
    entities = asked(str(moment))
    joined = every_feature(store, entities)
    names = [name for name in joined.columns if name not in entities.columns]
    references = [name.replace("__", ":", 1) for name in names]
    ids = {"user_id": "u1", "item_id": "lamp", "category_id": "Light"}
    (online,) = store.online(references, [ids], now=moment.to_pydatetime())
    for name in names:
        assert plain(joined[name].item()) == plain(online[name]), name


def plain(value: Any) -> Any:
    if isinstance(value, (list, np.ndarray)):
        return [plain(one) for one in value]
    return None if value is None or value != value else value


def test_windows_and_visits_run_out_while_nothing_happens(store: Store) -> None:
    moments = ["2024-03-05 09:30:00", "2024-03-05 09:30:00.000001", "2024-03-05 10:00:00"]
    found = store.historical(
        asked(*moments, "2024-03-12 09:00:00"),
        [
            "user_activity:event_count_1h",
            "user_recency:event_count_1h_now",
            "user_recency:event_count_7d_now",
            "user_recency:spend_30d_now",
            "user_recency:session_event_count_now",
            "user_recency:session_minutes",
            "user_recency:hours_since_cart",
            "item_trend:click_count_7d_now",
            "item_trend:popularity_now",
        ],
    )
    assert list(found["user_activity__event_count_1h"]) == [1, 1, 1, 1]
    assert list(found["user_recency__event_count_1h_now"]) == [1, 1, 0, 0]
    assert list(found["user_recency__event_count_7d_now"]) == [3, 3, 3, 0]
    assert list(found["user_recency__spend_30d_now"]) == [25.0] * 4
    assert list(found["user_recency__session_event_count_now"]) == [1, 0, 0, 0]
    np.testing.assert_allclose(found["user_recency__session_minutes"], [30, np.nan, np.nan, np.nan])
    np.testing.assert_allclose(found["user_recency__hours_since_cart"][[0, 2]], [0.5, 1.0])
    assert list(found["item_trend__click_count_7d_now"]) == [1, 1, 1, 0]
    clicked, bought = at("2024-03-02 11:00:00"), at("2024-03-01 10:10:00")
    weeks = [(at("2024-03-12 09:00:00") - one) / pd.Timedelta(days=7) for one in (clicked, bought)]
    expected = sum(2.0**-age for age in weeks)
    assert found["item_trend__popularity_now"].iloc[-1] == pytest.approx(expected)


def test_affinities_weigh_recent_events_more(store: Store) -> None:
    found = store.historical(
        asked(MOMENT, item="vase"),
        ["user_affinities:domain_affinities", "user_item_affinity:domain_share"],
    )
    shares = json.loads(found["user_affinities__domain_affinities"].item())
    old = 2 ** -((at("2024-03-05 09:00") - at("2024-03-01 10:05")) / pd.Timedelta(days=30))
    assert shares["garden"] == pytest.approx(1 / (1 + 2 * old), abs=1e-4)
    assert found["user_item_affinity__domain_share"].item() == shares["garden"]
