"""Listings change, go, and learn from customers that are given, over HTTP."""

import os
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from prometheus_client import REGISTRY
from starlette.testclient import TestClient

from coldstart_models.data.shop_clock import ShopClock
from coldstart_models.log_clock import LogClock
from feature_repo.feature_tables import FEATURE_TABLES
from feature_repo.home import Home
from tests.bentos.fakes import CountingRecommender, MemoryStore, colour_encoders
from tests.bentos.test_service import error
from validation import tables


@pytest.fixture(autouse=True)
def encoders(service: Any) -> None:
    service._encoders = colour_encoders()


def catalogue(home: Home) -> pd.DataFrame:
    frame: pd.DataFrame = tables.ITEMS.to_pandas(pq.read_table(home.items))
    return frame.set_index(tables.ITEM_ID)


@pytest.mark.parametrize("way", ["POST", "DELETE"])
def test_a_deleted_listing_is_nowhere_but_in_histories(
    client: TestClient, home: Home, store: MemoryStore, recommender: CountingRecommender, way: str
) -> None:
    new = {"item_id": "vase", "title": "Blue vase", "price": 20.0}
    assert client.post("/listings", json={"listings": [new]}).json()["accepted"] == ["vase"]
    assert "vase" in store.rows["item_vector"]
    if way == "POST":
        told = client.post("/listings/delete", json={"item_ids": ["vase", "none"]}).json()
        assert (told["deleted"], told["unknown"]) == (["vase"], ["none"])
    else:
        told = client.delete("/listings/vase").json()
        assert (told["deleted"], told["unknown"]) == (["vase"], [])
    assert sorted(catalogue(home).index) == ["chair", "lamp", "sofa"]
    assert "vase" not in recommender.prior
    assert all("vase" not in rows for rows in store.rows.values())
    for table in FEATURE_TABLES.values():
        if table.key == tables.ITEM_ID:
            stored = pq.read_table(home.feature_table(table.name))[tables.ITEM_ID].to_pylist()
            assert "vase" not in stored
    ids = [item["item_id"] for item in client.post("/recommend", json={}).json()["items"]]
    assert sorted(ids) == ["chair", "lamp", "sofa"]
    assert client.delete("/listings/vase").json()["unknown"] == ["vase"]


@pytest.mark.parametrize("way", ["POST", "PATCH"])
def test_an_update_changes_what_it_names_and_keeps_the_source(
    client: TestClient, home: Home, way: str
) -> None:
    change = {"price": 65.0, "available": False}
    if way == "POST":
        body = {"listings": [{"item_id": "sofa", **change}]}
        answer = client.post("/listings/update", json=body)
    else:
        answer = client.patch("/listings/sofa", json=change)
    assert answer.status_code == 200, answer.text
    assert answer.json()["accepted"] == ["sofa"]
    row = catalogue(home).loc["sofa"]
    assert (row[tables.PRICE], row[tables.AVAILABLE]) == (65.0, False)
    assert (row[tables.TITLE], row[tables.SOURCE]) == ("Linen sofa", "tiny")
    assert len(catalogue(home)) == 3
    shown = client.post("/recommend", json={"k": 3}).json()["items"]
    assert {item["item_id"]: item["price"] for item in shown}["sofa"] == 65.0


def test_a_bad_change_is_held_back_and_the_listing_stays(client: TestClient, home: Home) -> None:
    answer = client.patch("/listings/sofa", json={"price": -5})
    assert answer.json()["accepted"] == []
    assert "price" in answer.json()["quarantined"][0]["reasons"][0]
    assert catalogue(home).loc["sofa", tables.PRICE] == 700.0


def test_what_cannot_be_changed_says_why(client: TestClient) -> None:
    assert client.patch("/listings/none", json={"price": 1}).status_code == 404
    answer = client.post("/listings/update", json={"listings": [{"item_id": "none"}]})
    assert answer.status_code == 404
    assert "not in the catalogue: none" in error(answer)
    assert client.patch("/listings/sofa", json={"colour": "red"}).status_code == 400
    assert client.patch("/listings/sofa", content=b"no").status_code == 415
    json = {"Content-Type": "application/json"}
    assert client.patch("/listings/sofa", content=b"no", headers=json).status_code == 400


def test_a_listing_learns_from_given_customers(
    client: TestClient,
    store: MemoryStore,
    recommender: CountingRecommender,
    home: Home,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hours = pd.date_range("2026-01-01", periods=48, freq="h", tz="UTC").as_unit("us").asi8
    clock = ShopClock.of(np.repeat(hours, 3))  # three choices an hour
    monkeypatch.setattr(LogClock, "now", lambda self: clock if self.home == home else None)
    customers = [
        {"history": [{"item_id": "lamp", "event_timestamp": "2026-01-01T00:00:00Z"}]},
        {"history": [], "chosen_at": "2026-01-02T00:00:00Z"},
    ]
    told = client.post("/adapt", json={"item_id": "chair", "customers": customers}).json()
    assert (told["item_id"], told["support"]) == ("chair", 2)
    assert recommender.adaptations == [("chair", 2)]
    assert recommender.supporters == [[("lamp",), ()]]
    ((given_no_time, given),) = recommender.moments
    assert given == 3 * 24.0
    assert given_no_time > 3 * 48  # as of now, after the log
    assert store.rows["item_adaptation"]["chair"]["support"] == 2
    none = client.post("/adapt", json={"item_id": "chair", "customers": []})
    assert none.status_code == 400


@pytest.mark.parametrize("way", ["listings", "listings/update"])
def test_listings_are_encoded_on_all_processors_and_shown_before_others_change_them(
    client: TestClient, service: Any, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    usual, processors, held = torch.get_num_threads(), set[int](), list[bool]()
    add, run = service.shelf.add, CountingRecommender.add_listings

    def watched(*given: Any) -> pd.DataFrame:
        processors.add(torch.get_num_threads())
        return run(*given)

    def shown(items: pd.DataFrame) -> None:
        held.append(service._intake.locked())
        add(items)

    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    monkeypatch.setattr(CountingRecommender, "add_listings", watched)
    monkeypatch.setattr(service.shelf, "add", shown)
    named = "vase" if way == "listings" else "sofa"
    try:
        answer = client.post(
            f"/{way}", json={"listings": [{"item_id": named, "title": "A blue one"}]}
        )
    finally:
        torch.set_num_threads(usual)
    assert answer.json()["accepted"] == [named]
    assert processors == {3}
    assert held == [True]


def test_changed_listings_are_counted(client: TestClient) -> None:
    def counted() -> dict[str, float]:
        return {
            outcome: REGISTRY.get_sample_value(
                "coldstart_intake_rows_total", {"kind": "listings", "outcome": outcome}
            )
            or 0.0
            for outcome in ("accepted", "quarantined")
        }

    before = counted()
    changes = [{"item_id": "sofa", "price": 65.0}, {"item_id": "lamp", "price": -5.0}]
    client.post("/listings/update", json={"listings": changes})
    assert {name: count - before[name] for name, count in counted().items()} == {
        "accepted": 1,
        "quarantined": 1,
    }
