"""The shop that training is measured on is one that can be learned from."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchmarks import training
from feature_repo.home import Home
from validation import tables


def test_nobody_chooses_what_is_not_listed_yet_and_tastes_show(tmp_path: Path) -> None:
    home = Home(tmp_path)
    training.write_shop(home, 20_000, generator=np.random.default_rng(0))
    items = pq.read_table(home.items).to_pandas().set_index(tables.ITEM_ID)
    events = pq.read_table(home.events).to_pandas()
    assert (len(items), len(events)) == (training.LISTINGS, 20_000)
    chosen = items.loc[events[tables.ITEM_ID]]
    times = events[tables.EVENT_TIMESTAMP].to_numpy()
    assert (chosen[tables.LISTED_AT].to_numpy() <= times).all()
    assert events[tables.EVENT_TIMESTAMP].is_monotonic_increasing
    kinds = chosen[tables.CATEGORY].to_numpy()
    favourite = (
        events.assign(kind=kinds)
        .groupby(tables.USER_ID)["kind"]
        .agg(lambda own: own.value_counts(normalize=True).iloc[0])
    )
    assert favourite.mean() > 0.5  # by chance a fortieth


def test_growth_is_of_each_stage_from_the_smallest_log_to_the_largest() -> None:
    rows = [
        {"events": events, "stage": stage, "ms a step": step, "seconds": 2.0, "MB": megabytes}
        for events, stage, step, megabytes in (
            (100, "train", 10.0, 500),
            (100, "meta-train", 20.0, 500),
            (1_000, "train", 11.0, 600),
            (1_000, "meta-train", 20.0, 750),
        )
    ]
    found = training.growth(rows)
    assert found["train: events"] == 10
    assert (found["train: ms a step"], found["train: MB"]) == (1.1, 1.2)
    assert (found["meta-train: ms a step"], found["meta-train: MB"]) == (1.0, 1.5)


def test_a_shop_that_is_not_there_is_left_out_with_the_reason(tmp_path: Path) -> None:
    assert training.real_shop(None) == {"online_retail_dev_y1, left out": "no --data was given"}
    (reason,) = training.real_shop(tmp_path).values()
    assert reason == f"{tmp_path} does not hold it"
