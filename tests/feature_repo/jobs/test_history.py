from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from feature_repo.feature_tables import USER_HISTORY
from feature_repo.home import Home
from feature_repo.jobs import aggregate as aggregate_job
from feature_repo.jobs.aggregate import aggregate
from feature_repo.jobs.behaviour import newest_rows
from tests.feature_repo.samples import NOW, at, events_frame, write_events, write_items
from validation import tables


def history_rows(events: pd.DataFrame, items: pd.DataFrame) -> pd.DataFrame:
    """As the service computes them."""
    return newest_rows([USER_HISTORY], events, items=items, now=NOW)[USER_HISTORY.name]


def test_the_service_computes_exactly_the_rows_of_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aggregate_job, "EVENTS_A_CHUNK", 100)
    home, generator = Home(tmp_path), np.random.default_rng(3)
    items = [
        {"item_id": f"i{n}", "category": f"c{n % 5} > x", "price": float(n) + 0.1}
        for n in range(30)
    ]
    write_items(home, *items)
    log = [
        (
            f"u{generator.integers(5)}",
            f"i{generator.integers(30)}",
            str(generator.choice(tables.EVENT_TYPES)),
            str(at("2024-01-01") + pd.Timedelta(hours=int(hour))),
        )
        for hour in generator.integers(0, 300, 400)
    ]
    events = events_frame(
        *log, quantity=generator.integers(1, 9, 400), unit_price=generator.gamma(2, 20, 400)
    ).sort_values("event_timestamp", kind="stable")
    write_events(home, events)
    aggregate(home=home, now=NOW)
    job = pq.read_table(home.feature_table("user_history")).to_pandas()
    catalogue = pq.read_table(home.items).to_pandas()
    for user, rows in job.groupby("user_id"):
        for moment in rows["event_timestamp"].iloc[[0, len(rows) // 2, -1]]:
            known = events[(events["user_id"] == user) & (events["event_timestamp"] < moment)]
            computed = history_rows(known, catalogue)
            expected = rows[rows["event_timestamp"] == moment].reset_index(drop=True)
            pd.testing.assert_frame_equal(computed, expected, check_exact=True, check_dtype=False)


def test_events_without_a_positive_one_give_no_row() -> None:
    shown = events_frame(("u", "i", "impression", "2024-01-10"))
    row = history_rows(shown, tables.ITEMS.empty())
    assert len(row) == 0
    assert list(row.columns) == USER_HISTORY.schema.names


def test_an_item_out_of_the_catalogue_still_counts_in_the_history() -> None:
    chosen = events_frame(("u", "gone", "click", "2024-01-10"))
    (row,) = history_rows(chosen, tables.ITEMS.empty()).to_dict("records")
    assert list(row["history_item_ids"]) == ["gone"]
    assert row["category_counts"] == "{}"
    assert np.isnan(row["history_prices"]).all()
    assert np.isnan(row["price_mean"])
