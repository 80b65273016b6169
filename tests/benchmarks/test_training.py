"""The shop that training is measured on is one that can be learned from."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmarks import generated_shop, training
from feature_repo.home import Home
from validation import tables


def test_nobody_chooses_what_is_not_listed_yet_and_tastes_show(tmp_path: Path) -> None:
    home = Home(tmp_path)
    generated_shop.write_shop(home, 20_000, generator=np.random.default_rng(0))
    items = pq.read_table(home.items).to_pandas().set_index(tables.ITEM_ID)
    events = pq.read_table(home.events).to_pandas()
    assert (len(items), len(events)) == (generated_shop.LISTINGS, 20_000)
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


def test_a_log_that_is_written_in_pieces_is_the_log_that_is_written_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, pieces = Home(tmp_path / "whole"), Home(tmp_path / "pieces")
    generated_shop.write_shop(whole, 5_000, generator=np.random.default_rng(0))
    monkeypatch.setattr(generated_shop, "ROWS", 700)
    generated_shop.write_shop(pieces, 5_000, generator=np.random.default_rng(0))
    assert pq.ParquetFile(pieces.events).num_row_groups == 8
    assert pq.read_table(pieces.events).equals(pq.read_table(whole.events))
    assert pq.read_table(pieces.items).equals(pq.read_table(whole.items))
    ids = pq.read_table(pieces.events)[tables.EVENT_ID].to_pylist()
    assert ids[:2] == ["e0", "e1"]
    assert len(set(ids)) == 5_000


def test_a_shop_that_stays_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(training, "apart", lambda work: calls.append(work) or "1 s")
    for events in (100, 200):  # what making a shop leaves behind
        (tmp_path / f"events-{events}").mkdir()
    first = training.made(tmp_path, 100)
    again = training.made(tmp_path, 100)
    assert (first.root, len(calls)) == (again.root, 1)
    training.made(tmp_path, 200)
    assert len(calls) == 2


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
    assert training.growth(rows[:2]) == {}


def test_a_shop_that_is_not_there_is_left_out_with_the_reason(tmp_path: Path) -> None:
    assert training.real_shop(None) == {"online_retail_dev_y1, left out": "no --data was given"}
    (reason,) = training.real_shop(tmp_path).values()
    assert reason == f"{tmp_path} does not hold it"
