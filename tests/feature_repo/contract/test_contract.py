"""What every environment promises, on real stores; each test uses users and items of its own."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from feature_repo.errors import StoreError
from feature_repo.feature_definitions import BEHAVIOUR_EXPIRY
from feature_repo.feature_tables import FEATURE_TABLES
from feature_repo.home import Home
from feature_repo.jobs.materialize import materialize
from feature_repo.store import PushTo, Store
from tests.feature_repo.feature_samples import awkward_rows
from tests.feature_repo.samples import NOW, at

STATS = ["item_stats:click_count", "item_stats:ctr"]
CLICKS = "item_stats__click_count"
VECTOR = ["item_vector:vector", "item_vector:model"]


def entities(*rows, index=None):
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "event_timestamp"], index=index)
    frame["event_timestamp"] = pd.to_datetime(frame["event_timestamp"], utc=True, format="ISO8601")
    return frame


def stats(*rows):
    """Rows of (item, event time, clicks) or (item, event time, clicks, created)."""
    table = FEATURE_TABLES["item_stats"]
    whole = [row if len(row) == 4 else (*row, "2024-06-01") for row in rows]
    frame = pd.DataFrame(
        {
            "item_id": [row[0] for row in whole],
            "event_timestamp": [at(row[1]) for row in whole],
            "click_count": [row[2] for row in whole],
            "created_timestamp": [at(row[3]) for row in whole],
        }
    )
    for column in table.features:
        if column.name not in frame:
            frame[column.name] = 0.25 if str(column.dtype) == "double" else 0
    return frame


def vectors(*rows, model="tower:1"):
    return pd.DataFrame(
        {
            "item_id": [item for item, _, _ in rows],
            "vector": [np.asarray(values, np.float32) for _, _, values in rows],
            "model": [model] * len(rows),
            "event_timestamp": [at(moment) for _, moment, _ in rows],
        }
    )


def clicks(store, asked, **options):
    found = store.historical(asked, STATS, **options)
    return [None if pd.isna(value) else int(value) for value in found[CLICKS]]


def test_rows_come_back_in_order_with_duplicates_nulls_for_the_cold_and_their_index(store):
    store.replace(
        "item_stats",
        stats(("a", "2024-01-01", 1), ("a", "2024-01-02", 2), ("b", "2024-01-01", 5)),
        now=NOW,
    )
    asked = entities(
        ("u2", "b", "2024-01-05"),
        ("u1", "cold", "2024-01-05"),
        ("u1", "a", "2024-01-01 12:00:00"),
        ("u2", "b", "2024-01-05"),
        ("u1", "a", "2024-01-02"),
        ("u1", "a", "2023-12-31"),
        index=[7, 3, 3, 1, 0, 9],
    ).assign(label=[1, 0, 1, 0, 1, 0])
    found = store.historical(asked, STATS)
    pd.testing.assert_frame_equal(found[list(asked.columns)], asked)
    assert clicks(store, asked) == [5, None, 1, 5, 2, None]
    assert clicks(store, asked, chunk=2) == [5, None, 1, 5, 2, None]


def test_rows_that_share_user_and_time_are_all_kept(store):
    store.replace("item_stats", stats(*((f"i{n}", "2024-01-01", n) for n in range(5))), now=NOW)
    asked = entities(*(("same", f"i{n}", "2024-01-05") for n in range(5)))
    assert clicks(store, asked) == [0, 1, 2, 3, 4]


def test_a_source_tie_on_key_and_time_does_not_fan_out_and_the_newest_created_counts(store):
    store.replace(
        "item_stats",
        stats(
            ("tie", "2024-01-01", 1, "2024-02-01"),
            ("tie", "2024-01-01", 2, "2024-02-03"),
            ("tie", "2024-01-01", 3, "2024-02-02"),
            ("twin", "2024-01-01", 4, "2024-02-01"),
            ("twin", "2024-01-01", 4, "2024-02-01"),
        ),
        now=NOW,
    )
    asked = entities(
        ("u", "tie", "2024-01-05"), ("u", "twin", "2024-01-05"), ("u", "tie", "2024-01-06")
    )
    assert clicks(store, asked) == [2, 4, 2]
    materialize(home=store.home, store=store, views=["item_stats"])
    read = store.online(STATS, [{"item_id": "tie"}, {"item_id": "twin"}])
    assert [row[CLICKS] for row in read] == [2, 4]


def test_moments_are_told_apart_to_the_microsecond_in_utc_wherever_the_rows_come_from(store):
    store.replace(
        "item_stats",
        stats(("m", "2024-03-31 01:30:00.000001", 1), ("m", "2024-03-31 01:30:00.000003", 2)),
        now=NOW,
    )
    asked = entities(
        ("u", "m", "2024-03-31 01:30:00"),
        ("u", "m", "2024-03-31 01:30:00.000001"),
        ("u", "m", "2024-03-31 01:30:00.000002"),
        ("u", "m", "2024-03-31 01:30:00.000003"),
    )
    assert clicks(store, asked) == [None, 1, 1, 2]
    elsewhere = asked.assign(
        event_timestamp=asked["event_timestamp"].dt.tz_convert("America/New_York")
    )
    assert clicks(store, elsewhere) == [None, 1, 1, 2]
    found = store.historical(elsewhere, STATS)
    assert str(found["event_timestamp"].dt.tz) == "America/New_York"
    pd.testing.assert_series_equal(found["event_timestamp"], elsewhere["event_timestamp"])


def test_a_feature_expires_after_its_ttl_to_the_microsecond(store):
    born = at("2010-01-01 00:00:00.000005")
    store.replace("item_stats", stats(("old", "2010-01-01 00:00:00.000005", 1)), now=NOW)
    edge = born + BEHAVIOUR_EXPIRY
    asked = entities(("u", "old", str(edge)), ("u", "old", str(edge + timedelta(microseconds=1))))
    assert clicks(store, asked) == [1, None]


def test_vectors_are_the_same_bits_offline_and_online(store):
    values = np.random.default_rng(0).standard_normal((5, 7)).astype(np.float32)
    values[1, :3] = [np.float32(1e-40), -0.0, np.float32(3.4e38)]
    store.replace(
        "item_vector",
        vectors(*((f"v{n}", "2024-01-01", values[n]) for n in range(5))),
        now=NOW,
    )
    done = materialize(home=store.home, store=store, views=["item_vector"])
    assert done.read_back.agrees
    assert done.result.rows == 5
    online = store.online(VECTOR, [{"item_id": f"v{n}"} for n in range(5)])
    read = np.array([row["item_vector__vector"] for row in online], np.float32)
    asked = entities(*(("u", f"v{n}", "2024-01-05") for n in range(5)))
    joined = store.historical(asked, VECTOR)
    past = np.array([np.asarray(one, np.float32) for one in joined["item_vector__vector"]])
    assert read.tobytes() == values.tobytes()
    assert past.tobytes() == values.tobytes()
    assert store.vectors("item_vector").matrix.tobytes() == values.tobytes()


def test_an_unknown_entity_is_none_in_its_place(store):
    store.replace("item_stats", stats(("known", "2024-01-01", 3)), now=NOW)
    materialize(home=store.home, store=store, views=["item_stats"])
    read = store.online(STATS, [{"item_id": "nobody"}, {"item_id": "known"}])
    assert [row[CLICKS] for row in read] == [None, 3]
    assert read[0] == {"item_id": "nobody", CLICKS: None, "item_stats__ctr": None}


def test_a_push_is_read_online_at_once_and_offline_from_then_on(store):
    store.replace("item_vector", vectors(("p0", "2024-01-01", [0.0, 1.0])), now=NOW)
    store.push("item_vector", vectors(("p1", "2024-01-02", [1.5, 2.5])), now=NOW)
    (row,) = store.online(VECTOR, [{"item_id": "p1"}])
    assert row["item_vector__vector"] == [1.5, 2.5]
    found = store.historical(entities(("u", "p1", "2024-01-01"), ("u", "p1", "2024-01-03")), VECTOR)
    assert found["item_vector__vector"].iloc[0] is None
    assert list(found["item_vector__vector"].iloc[1]) == [1.5, 2.5]


def test_the_last_write_of_a_key_stays_also_one_of_the_same_or_an_earlier_time(store):
    for moment, value in (("2024-01-02", 1.0), ("2024-01-02", 2.0), ("2024-01-01", 3.0)):
        store.push("item_vector", vectors(("again", moment, [value])), now=NOW, to=PushTo.ONLINE)
        (row,) = store.online(VECTOR, [{"item_id": "again"}])
        assert row["item_vector__vector"] == [value]
    twice = vectors(("twice", "2024-01-02", [1.0]), ("twice", "2024-01-01", [2.0]))
    store.push("item_vector", twice, now=NOW, to=PushTo.ONLINE)
    (row,) = store.online(VECTOR, [{"item_id": "twice"}])
    assert row["item_vector__vector"] == [2.0]
    store.replace(
        "item_stats", stats(("back", "2024-01-01", 1), ("back", "2024-01-02", 2)), now=NOW
    )
    materialize(home=store.home, store=store, views=["item_stats"])
    materialize(home=store.home, store=store, views=["item_stats"], end=at("2024-01-01 12:00:00"))
    (row,) = store.online(STATS, [{"item_id": "back"}])
    assert row[CLICKS] == 1


def test_awkward_values_of_every_view_are_read_back_by_count_and_value(store):
    for name, table in FEATURE_TABLES.items():
        store.replace(name, awkward_rows(table, count=14).to_pandas(), now=NOW)
    store.materialize()
    proof = store.read_back(sample=14)
    assert proof.differences == ()
    assert proof.checked == 14 * len(FEATURE_TABLES)
    assert {name: count.found for name, count in proof.counts.items()} == dict.fromkeys(
        FEATURE_TABLES, 14
    )


def test_what_is_removed_online_is_gone_and_what_stands_beside_it_stays(store):
    rows = stats(("gone", "2024-01-01", 1), ("stays", "2024-01-01", 2))
    store.push("item_stats", rows, now=NOW, to=PushTo.ONLINE)
    store.push("item_vector", vectors(("gone", "2024-01-01", [1.0])), now=NOW, to=PushTo.ONLINE)
    store.remove_online(["item_stats"], ["gone", "nobody"])
    store.forget_deleted()
    asked = [{"item_id": "gone"}, {"item_id": "stays"}]
    assert [row[CLICKS] for row in store.online(STATS, asked)] == [None, 2]
    (row,) = store.online(VECTOR, [{"item_id": "gone"}])
    assert row["item_vector__vector"] == [1.0]
    store.remove_online(["item_vector"], ["gone"])
    (row,) = store.online(VECTOR, [{"item_id": "gone"}])
    assert row["item_vector__vector"] is None


def test_a_row_that_is_missing_online_is_found_by_its_count(store):
    store.replace("item_stats", stats(*((f"c{n}", "2024-01-01", n) for n in range(40))), now=NOW)
    store.materialize(views=["item_stats"])
    store.replace("item_stats", stats(*((f"c{n}", "2024-01-01", n) for n in range(41))), now=NOW)
    proof = store.read_back(views=["item_stats"], sample=0)
    assert (proof.counts["item_stats"].expected, proof.counts["item_stats"].found) == (41, 40)
    assert not proof.agrees


def test_a_service_of_every_view_joins_and_features_of_user_and_item_are_those_of_the_moment(
    store,
):
    for name, table in FEATURE_TABLES.items():
        rows = awkward_rows(table, count=14)
        store.replace(name, rows.to_pandas(), now=NOW)
    asked = entities(
        ("user_id-é漢-9", "item_id-é漢-9", "2024-01-01"), ("nobody", "no item", "2024-01-01")
    )
    found = store.historical(asked, "coldstart_v1")
    assert len(found) == 2
    history = awkward_rows(FEATURE_TABLES["user_history"], count=14).to_pylist()[9]
    assert list(found["user_history__history_item_ids"].iloc[0]) == history["history_item_ids"]
    assert found["user_history__history_item_ids"].iloc[1] is None
    assert found["user_history__price_mean"].iloc[0] == history["price_mean"]
    assert found["user_item__category_affinity"].iloc[1] == 0.0


def test_what_is_registered_comes_back_and_another_store_on_the_folder_finds_it(store):
    again = Store(store.home)
    registered = again.registered()
    assert {view.name for view in registered.views} == set(FEATURE_TABLES)
    assert registered.services == store.registered().services


def test_a_folder_that_was_never_applied_says_so(environment, tmp_path):
    if environment == "postgres":
        pytest.skip("PostgreSQL holds the registry, whatever the folder")
    with pytest.raises(StoreError, match="coldstart apply"):
        Store(Home(tmp_path)).online(STATS, [{"item_id": "a"}])
