"""One real local Feast on tiny data; tests that change it use users and items of their own."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from feature_repo.errors import NotApplied, StoreError, UnknownFeature
from feature_repo.feature_tables import FEATURE_TABLES, USER_HISTORY
from feature_repo.home import Home
from feature_repo.jobs.aggregate import aggregate
from feature_repo.jobs.behaviour import newest_rows
from feature_repo.jobs.materialize import materialize
from feature_repo.on_demand_features import ON_DEMAND_TABLES
from feature_repo.store import PushTo, Store
from tests.feature_repo.samples import NOW, at, events_frame, write_events, write_items
from validation import tables

LOG = events_frame(
    ("u1", "sofa", "click", "2010-03-01 10:00:00"),
    ("u1", "lamp", "purchase", "2010-03-02 10:00:00"),
    ("u2", "lamp", "click", "2010-03-02 11:00:00"),
)
HISTORY = ["user_history:history_item_ids", "user_history:event_count"]
ITEMS = "user_history__history_item_ids"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return applied(Home(tmp_path_factory.mktemp("state")))


def applied(home: Home) -> Store:
    """A store of two listings and the log."""
    write_items(
        home,
        {"item_id": "sofa", "category": "Home > Sofas", "price": 400.0, "title": "Sofa"},
        {"item_id": "lamp", "category": "Light", "price": 25.0, "listed_at": at("2010-02-20")},
    )
    write_events(home, LOG)
    aggregate(home=home, now=NOW)
    store = Store(home)
    store.apply()
    return store


def entities(*rows: tuple[str, str, str], index: list[int] | None = None) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "event_timestamp"], index=index)
    frame["event_timestamp"] = pd.to_datetime(frame["event_timestamp"], utc=True, format="ISO8601")
    return frame


def vector_row(item_id: str, values: list[float], moment: str) -> dict[str, Any]:
    return {
        "item_id": item_id,
        "vector": np.array(values, np.float32),
        "model": "tower:1",
        "event_timestamp": at(moment),
    }


def test_historical_keeps_every_row_in_order_with_duplicates_and_cold_users(store: Store) -> None:
    asked = entities(
        ("u2", "sofa", "2010-03-05"),
        ("nobody", "sofa", "2010-03-05"),
        ("u1", "unknown", "2010-03-05"),
        ("u2", "sofa", "2010-03-05"),
        ("u1", "lamp", "2009-01-01"),
        index=[7, 3, 3, 1, 0],
    ).assign(label=[1, 0, 1, 0, 1])
    found = store.historical(asked, [*HISTORY, "item_profile:price"], chunk=2)
    pd.testing.assert_frame_equal(found[list(asked.columns)], asked)
    assert [None if items is None else list(items) for items in found[ITEMS]] == [
        ["lamp"],
        None,
        ["sofa", "lamp"],
        ["lamp"],
        None,
    ]
    np.testing.assert_array_equal(found["item_profile__price"], [400, 400, np.nan, 400, np.nan])


def test_a_row_at_the_moment_of_an_event_does_not_see_it_and_one_microsecond_later_does(
    store: Store,
) -> None:
    found = store.historical(
        entities(
            ("u1", "sofa", "2010-03-02 10:00:00"), ("u1", "sofa", "2010-03-02 10:00:00.000001")
        ),
        HISTORY,
    )
    assert [list(items) for items in found[ITEMS]] == [["sofa"], ["sofa", "lamp"]]


def test_a_planted_later_event_changes_no_earlier_training_row(tmp_path: Path) -> None:
    store = Store(Home(tmp_path))
    write_items(store.home, {"item_id": "sofa", "price": 400.0, "category": "Home"})
    asked = entities(("u1", "sofa", "2010-03-02 10:00:00"), ("u1", "sofa", "2010-03-02 12:00:00"))
    service = "coldstart_v1"
    write_events(store.home, LOG)
    aggregate(home=store.home, now=NOW)
    store.apply()
    before = store.historical(asked, service)
    planted = events_frame(
        ("u1", "trap", "purchase", "2010-03-02 10:00:00"),
        ("u1", "trap", "purchase", "2010-03-02 12:00:00"),
        ("u2", "sofa", "purchase", "2010-03-02 12:00:00"),
    ).assign(event_id=["p1", "p2", "p3"])
    write_events(store.home, pd.concat([LOG, planted]))
    aggregate(home=store.home, now=NOW + timedelta(days=1))
    after = store.historical(asked, service)
    first = slice(0, 1)
    pd.testing.assert_frame_equal(after.iloc[first], before.iloc[first])
    assert list(after[ITEMS].iloc[1]) == ["sofa", "lamp", "trap"]


def test_features_of_user_and_item_together_are_those_of_the_moment(store: Store) -> None:
    features = [
        f"user_item:{name}"
        for name in ("log_price_ratio", "category_affinity", "days_since_listed")
    ]
    asked = entities(("u1", "lamp", "2010-03-03"), ("nobody", "sofa", "2010-03-03"))
    found = store.historical(asked, features)
    expected = np.log(25) - (np.log(400) + np.log(25)) / 2
    assert found["user_item__log_price_ratio"].iloc[0] == pytest.approx(expected)
    assert list(found["user_item__category_affinity"]) == [0.5, 0.0]
    assert found["user_item__days_since_listed"].iloc[0] == pytest.approx(11)
    assert np.isnan(found["user_item__days_since_listed"].iloc[1])
    materialize(home=store.home, store=store)
    ids = [{"user_id": "u1", "item_id": "lamp"}, {"user_id": "nobody", "item_id": "sofa"}]
    online = store.online(features, ids, now=at("2010-03-03"))
    assert online[0]["user_item__log_price_ratio"] == pytest.approx(expected)
    assert online[1]["user_item__days_since_listed"] is None
    with pytest.raises(StoreError, match="now="):
        store.online(features, ids)


def test_materialize_covers_old_data_and_online_equals_offline(tmp_path: Path) -> None:
    store = applied(Home(tmp_path))
    done = materialize(home=store.home, store=store)
    assert done.read_back.agrees
    item_views, user_views, category_views = 3, 4, 1
    assert done.read_back.checked == 2 * (item_views + user_views + category_views)
    views = {view.name: view for view in done.result.views}
    assert views["user_history"].rows == 2
    assert views["user_history"].start == at("2010-03-01 10:00:00.000001")
    assert views["item_vector"].rows == 0
    (row,) = store.online(HISTORY, [{"user_id": "u1"}])
    assert row == {"user_id": "u1", ITEMS: ["sofa", "lamp"], "user_history__event_count": 2}


def test_materialize_up_to_an_end_brings_online_what_was_known_then(tmp_path: Path) -> None:
    home = Home(tmp_path)
    write_items(home, {"item_id": "sofa"})
    write_events(home, LOG)
    aggregate(home=home, now=NOW)
    store = Store(home)
    store.apply()
    done = materialize(home=home, store=store, end=at("2010-03-02"), views=["user_history"])
    assert (done.result.rows, done.read_back.checked) == (1, 1)
    (row,) = store.online(HISTORY, [{"user_id": "u1"}])
    assert row[ITEMS] == ["sofa"]


def test_an_unknown_entity_reads_as_none_in_its_place(store: Store) -> None:
    materialize(home=store.home, store=store)
    rows = store.online(HISTORY, [{"user_id": "nobody"}, {"user_id": "u2"}])
    assert rows[0] == {"user_id": "nobody", ITEMS: None, "user_history__event_count": None}
    assert rows[1][ITEMS] == ["lamp"]
    assert store.online(HISTORY, []) == []


def test_a_pushed_history_is_read_online_at_once_and_offline_from_then_on(store: Store) -> None:
    items = pq.read_table(store.home.items).to_pandas()
    events = events_frame(("new", "lamp", "cart", "2010-04-01"))
    rows_of = newest_rows([USER_HISTORY], events, items=items, now=NOW)
    store.push("user_history", rows_of["user_history"], now=NOW)
    (online,) = store.online(HISTORY, [{"user_id": "new"}])
    assert (online[ITEMS], online["user_history__event_count"]) == (["lamp"], 1)
    found = store.historical(
        entities(("new", "sofa", "2010-04-01"), ("new", "sofa", "2010-04-02")), HISTORY
    )
    assert found[ITEMS].iloc[0] is None
    assert list(found[ITEMS].iloc[1]) == ["lamp"]


def test_pushed_vectors_come_back_bit_by_bit(store: Store) -> None:
    values = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)
    frame = pd.DataFrame([vector_row(f"v{n}", list(values[n]), "2024-01-01") for n in range(3)])
    store.push("item_vector", frame, now=NOW)
    ids = [{"item_id": f"v{n}"} for n in range(3)]
    online = store.online(["item_vector:vector", "item_vector:model"], ids)
    read = np.array([row["item_vector__vector"] for row in online], np.float32)
    np.testing.assert_array_equal(read, values)
    assert {row["item_vector__model"] for row in online} == {"tower:1"}
    kept = store.vectors("item_vector")
    np.testing.assert_array_equal(kept.matrix[np.isin(kept.item_ids, ["v0", "v1", "v2"])], values)


def test_pushing_a_row_twice_keeps_it_once_and_only_offline_leaves_online_alone(
    store: Store,
) -> None:
    frame = pd.DataFrame([vector_row("twice", [1.0] * 5, "2024-01-01")])
    store.push("item_vector", frame, now=NOW, to=PushTo.OFFLINE)
    store.push("item_vector", frame, now=NOW, to="offline")
    rows = pq.read_table(store.home.feature_table("item_vector")).to_pandas()
    assert (rows["item_id"] == "twice").sum() == 1
    assert (
        store.online(["item_vector:model"], [{"item_id": "twice"}])[0]["item_vector__model"] is None
    )


def test_a_push_that_lacks_a_column_or_an_id_is_refused_by_name(store: Store) -> None:
    row = vector_row("x", [1.0], "2024-01-01")
    with pytest.raises(StoreError, match="lack the column\\(s\\) model"):
        store.push("item_vector", pd.DataFrame([row]).drop(columns="model"), now=NOW)
    with pytest.raises(StoreError, match="have no item_id"):
        store.push("item_vector", pd.DataFrame([{**row, "item_id": None}]), now=NOW)
    with pytest.raises(StoreError, match="does not hold"):
        store.push("item_vector", pd.DataFrame([{**row, "vector": "text"}]), now=NOW)
    with pytest.raises(UnknownFeature, match="item_vektor"):
        store.push("item_vektor", pd.DataFrame([row]), now=NOW)


def test_unknown_features_and_services_are_named(store: Store) -> None:
    with pytest.raises(UnknownFeature, match="user_history:no_such"):
        store.online(["user_history:no_such"], [{"user_id": "u1"}])
    with pytest.raises(UnknownFeature, match="coldstart_v1"):
        store.historical(entities(("u1", "sofa", "2010-03-05")), "coldstart_v99")


def test_entity_rows_without_time_zone_or_id_are_refused(store: Store) -> None:
    asked = entities(("u1", "sofa", "2010-03-05"))
    naive = asked.assign(event_timestamp=asked["event_timestamp"].dt.tz_localize(None))
    with pytest.raises(StoreError, match="time-zone aware"):
        store.historical(naive, HISTORY)
    with pytest.raises(StoreError, match="some are null"):
        store.historical(asked.assign(user_id=None), HISTORY)
    with pytest.raises(StoreError, match="lack 'event_timestamp'"):
        store.historical(asked[["user_id"]], HISTORY)


def test_no_entity_rows_give_no_rows_but_the_columns(store: Store) -> None:
    empty = entities(("u1", "sofa", "2010-03-05")).iloc[:0]
    assert list(store.historical(empty, HISTORY).columns) == [
        "user_id",
        "item_id",
        "event_timestamp",
        "user_history__history_item_ids",
        "user_history__event_count",
    ]


def test_a_fresh_store_can_be_applied_and_answers_none(tmp_path: Path) -> None:
    store = Store(Home(tmp_path / "fresh"))
    registered = store.apply()
    assert {view.name for view in registered.views} == set(FEATURE_TABLES)
    assert set(registered.on_demand) == set(ON_DEMAND_TABLES)
    assert "item_vector__vector" in registered.services["coldstart_v1"]
    assert not any(view.stale for view in registered.views)
    assert store.time_range() is None
    assert materialize(home=store.home, store=store).result.rows == 0
    assert store.online(HISTORY, [{"user_id": "u"}])[0][ITEMS] is None
    found = store.historical(entities(("u", "i", "2010-03-05")), "coldstart_v1")
    assert len(found) == 1
    assert store.vectors("item_vector").matrix.shape == (0, 0)


def test_a_table_is_stale_until_it_is_materialized_and_after_it_is_rewritten(
    tmp_path: Path,
) -> None:
    store = Store(Home(tmp_path))
    store.apply()
    store.replace("item_vector", pd.DataFrame([vector_row("a", [1.0], "2024-01-01")]), now=NOW)

    def stale() -> bool:
        return next(v.stale for v in store.registered().views if v.name == "item_vector")

    assert stale()
    materialize(home=store.home, store=store)
    assert not stale()
    store.apply()
    assert not stale()
    store.replace("item_vector", pd.DataFrame([vector_row("a", [2.0], "2024-01-01")]), now=NOW)
    assert stale()


def test_a_home_that_is_not_there_and_one_that_is_not_applied_say_what_to_do(
    tmp_path: Path,
) -> None:
    with pytest.raises(StoreError, match="COLDSTART_HOME"):
        Store(Home(tmp_path / "absent")).online(HISTORY, [{"user_id": "u"}])
    with pytest.raises(NotApplied, match="coldstart apply"):
        Store(Home(tmp_path)).historical(entities(("u", "i", "2010-03-05")), HISTORY)
    assert not (tmp_path / "registry.db").exists()


def test_time_range_spans_the_tables_asked_for(store: Store) -> None:
    assert store.time_range(["item_profile"]) == (at("2000-01-01"), at("2010-02-20"))


def test_replacing_by_no_rows_empties_a_table_and_keeps_its_types(tmp_path: Path) -> None:
    store = Store(Home(tmp_path))
    nothing = pd.DataFrame(
        {"item_id": [], "delta": [], "bias": [], "support": [], "model": [], "event_timestamp": []}
    )
    store.replace("item_adaptation", nothing, now=NOW)
    kept = pq.read_table(store.home.feature_table("item_adaptation"))
    assert kept.schema.equals(FEATURE_TABLES["item_adaptation"].schema)
    assert kept.num_rows == 0


def test_a_push_does_not_read_the_registry_anew(store: Store) -> None:
    events = events_frame(("new", "lamp", "cart", "2010-04-01"))
    rows = newest_rows([USER_HISTORY], events, items=tables.ITEMS.empty(), now=NOW)
    store.push("user_history", rows["user_history"], now=NOW, to="online")
    read = store._feast.registry.cached_registry_proto
    store.push("user_history", rows["user_history"], now=NOW, to="online")
    assert store._feast.registry.cached_registry_proto is read
    assert not any(one.precompute_online for one in store._feast.list_feature_services())
