import json
import math
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from feature_repo.errors import JobError
from feature_repo.feature_tables import FEATURE_TABLES, HISTORY_LENGTH
from feature_repo.home import Home
from feature_repo.jobs.aggregate import aggregate
from tests.feature_repo.samples import NOW, at, events_frame, write_events, write_items


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "state")
    write_items(
        home,
        {"item_id": "sofa", "category": "Home > Sofas", "price": 400.0, "title": "Sofa"},
        {
            "item_id": "lamp",
            "category": "Home > Lamps",
            "price": 25.0,
            "listed_at": at("2024-01-05"),
        },
        {"item_id": "bag", "domain": "clothing", "price": 100.0, "available": False},
    )
    return home


def read(home: Home, view: str) -> pd.DataFrame:
    return pq.read_table(home.feature_table(view)).to_pandas()


def test_a_row_is_the_state_after_all_events_of_a_moment_known_from_a_microsecond_later(
    home: Home,
) -> None:
    write_events(
        home,
        events_frame(
            ("u", "sofa", "click", "2024-01-10 12:00:00"),
            ("u", "lamp", "purchase", "2024-01-10 12:00:00"),
            ("u", "bag", "impression", "2024-01-11"),
            ("u", "bag", "click", "2024-01-12"),
            unit_price=[None, 20.0, None, None],
        ),
    )
    aggregate(home=home, now=NOW)
    rows = read(home, "user_history")
    assert list(rows["event_timestamp"]) == [
        at("2024-01-10 12:00:00.000001"),
        at("2024-01-12 00:00:00.000001"),
    ]
    first, second = rows.to_dict("records")
    assert list(first["history_item_ids"]) == ["sofa", "lamp"]
    assert (first["event_count"], first["impression_count"]) == (2, 0)
    assert list(second["history_item_ids"]) == ["sofa", "lamp", "bag"]
    assert list(second["history_prices"]) == [400.0, 20.0, 100.0]
    assert (second["event_count"], second["impression_count"], second["click_count"]) == (3, 1, 2)
    assert json.loads(second["category_counts"]) == {"Home": 2, "clothing": 1}
    assert json.loads(second["category_last_us"])["Home"] == second["history_time_us"][1]
    assert second["last_purchase_us"] == at("2024-01-10 12:00:00").value // 1000
    assert second["price_mean"] == pytest.approx((400 + 20 + 100) / 3)
    assert second["log_price_mean"] == pytest.approx(
        (math.log(400) + math.log(20) + math.log(100)) / 3
    )
    assert set(rows["created_timestamp"]) == {pd.Timestamp(NOW)}


def test_the_history_holds_the_last_positive_events_up_to_its_length_newest_last(
    home: Home,
) -> None:
    log = [("u", "sofa", "impression", "2024-01-01")]
    count = HISTORY_LENGTH + 10
    items = [f"i{day:03d}" for day in range(count)]
    log += [
        ("u", item, "click", str(at("2024-01-02") + pd.Timedelta(days=day)))
        for day, item in enumerate(items)
    ]
    write_events(home, events_frame(*log))
    aggregate(home=home, now=NOW)
    histories = [list(row) for row in read(home, "user_history")["history_item_ids"]]
    assert histories == [
        items[max(0, seen - HISTORY_LENGTH) : seen] for seen in range(1, count + 1)
    ]


def test_equal_times_keep_the_order_of_the_log(home: Home) -> None:
    moment = "2024-01-10"
    write_events(
        home,
        events_frame(*[("u", item, "click", moment) for item in ("lamp", "bag", "lamp", "sofa")]),
    )
    aggregate(home=home, now=NOW)
    (row,) = read(home, "user_history").to_dict("records")
    assert list(row["history_item_ids"]) == ["lamp", "bag", "lamp", "sofa"]


def test_a_user_who_was_only_shown_items_has_no_history(home: Home) -> None:
    write_events(home, events_frame(("u", "sofa", "impression", "2024-01-10")))
    aggregate(home=home, now=NOW)
    assert read(home, "user_history").empty


def test_a_later_event_changes_no_earlier_row(home: Home) -> None:
    log = [("u", "sofa", "click", "2024-01-10"), ("v", "lamp", "cart", "2024-01-11")]
    write_events(home, events_frame(*log))
    aggregate(home=home, now=NOW)
    before = {view: read(home, view) for view in ("user_history", "item_stats")}
    write_events(home, events_frame(*log, ("u", "sofa", "purchase", "2024-02-01")))
    aggregate(home=home, now=NOW)
    for view, rows in before.items():
        pd.testing.assert_frame_equal(
            read(home, view).merge(rows[[FEATURE_TABLES[view].key, "event_timestamp"]]), rows
        )


def test_statistics_of_a_day_are_known_from_the_next_midnight(home: Home) -> None:
    write_events(
        home,
        events_frame(
            ("u", "sofa", "impression", "2024-01-10 08:00"),
            ("u", "sofa", "click", "2024-01-10 23:59:59.999999"),
            ("v", "sofa", "impression", "2024-01-11"),
            ("u", "sofa", "purchase", "2024-01-11"),
            ("v", "sofa", "click", "2024-01-11"),
        ),
    )
    aggregate(home=home, now=NOW)
    rows = read(home, "item_stats").to_dict("records")
    assert [row["event_timestamp"] for row in rows] == [at("2024-01-11"), at("2024-01-12")]
    assert [row["impression_count"] for row in rows] == [1, 2]
    assert [row["click_count"] for row in rows] == [1, 2]
    assert [row["user_count"] for row in rows] == [1, 2]
    assert rows[0]["ctr"] == pytest.approx((1 + 1) / (1 + 20))
    assert rows[1]["cvr"] == pytest.approx((1 + 1) / (2 + 20))


def test_a_profile_is_known_from_the_listing_or_from_2000_where_that_is_unknown(
    home: Home,
) -> None:
    aggregate(home=home, now=NOW)
    rows = read(home, "item_profile").set_index("item_id")
    assert rows.loc["lamp", "event_timestamp"] == at("2024-01-05")
    assert rows.loc["sofa", "event_timestamp"] == at("2000-01-01")
    assert rows.loc["sofa", "top_category"] == "Home"
    assert rows.loc["bag", "top_category"] == "clothing"
    assert list(rows.loc[["bag", "lamp"], "available"]) == [False, True]


def test_every_table_exists_afterwards_empty_but_typed_where_nothing_filled_it(home: Home) -> None:
    result = aggregate(home=home, now=NOW)
    assert set(result.created) == {
        "item_image_embedding",
        "item_text_embedding",
        "item_vector",
        "item_adaptation",
        "listing_changes",
    }
    for name, table in FEATURE_TABLES.items():
        stored = pq.read_schema(home.feature_table(name))
        assert stored.remove_metadata() == table.schema
    filled = set(FEATURE_TABLES) - set(result.created)
    assert result.as_dict()["rows"] == {name: 3 * (name == "item_profile") for name in filled}


def test_a_log_of_before_arrivals_were_kept_counts_events_as_known_at_once(home: Home) -> None:
    write_events(home, events_frame(("u", "sofa", "click", "2024-01-10")))
    log = pq.read_table(home.events)
    pq.write_table(log.drop_columns(["received_at"]), home.events)
    aggregate(home=home, now=NOW)
    known = at("2024-01-10 00:00:00.000001")
    for view in ("user_history", "user_activity", "item_activity"):
        assert list(read(home, view)["event_timestamp"]) == [known]


def test_statistics_of_a_late_event_wait_for_the_midnight_after_its_arrival(home: Home) -> None:
    arrived = pd.to_datetime(["2024-01-12 08:00"], utc=True)
    late = events_frame(("u", "sofa", "click", "2024-01-10"), received_at=arrived)
    write_events(home, late)
    aggregate(home=home, now=NOW)
    assert list(read(home, "item_stats")["event_timestamp"]) == [at("2024-01-13")]
    assert list(read(home, "category_stats")["event_timestamp"]) == [at("2024-01-13")]


def test_running_twice_gives_the_same_tables(home: Home) -> None:
    write_events(home, events_frame(("u", "sofa", "click", "2024-01-10")))
    aggregate(home=home, now=NOW)
    first = read(home, "user_history")
    aggregate(home=home, now=NOW)
    pd.testing.assert_frame_equal(read(home, "user_history"), first)


def test_without_a_catalogue_the_error_says_to_ingest(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="coldstart ingest"):
        aggregate(home=Home(tmp_path), now=NOW)
