"""A disk or an online store that is full as listings come: refused is as it was, told is there."""

import base64
import io
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from starlette.testclient import TestClient

from feature_repo.event_log import event_log
from feature_repo.home import Home
from feature_repo.listing_changes import ListingChanges
from feature_repo.store import Store
from tests.bentos.fakes import CLICK
from tests.filling_disk import FillingDisk
from validation import tables


@pytest.fixture
def service(service_over_feast: Any) -> Any:
    return service_over_feast


@pytest.fixture
def disk(home: Home, monkeypatch: pytest.MonkeyPatch) -> FillingDisk:
    """Where the state folder lies."""
    return FillingDisk(home.root, monkeypatch)


def photo(number: int) -> str:
    """One that is no copy of another number's."""
    squares = np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(squares).resize((96, 96), Image.Resampling.NEAREST).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def listing(name: str, number: int) -> dict[str, Any]:
    return {
        "item_id": name,
        "title": f"Vase {name}",
        "price": 20.0,
        "currency": "EUR",
        "photo_base64": photo(number),
    }


def state(client: TestClient, home: Home) -> dict[str, Any]:
    """What the shop's customers and the next start would see of the listings."""
    asked = {"user_id": "nobody", "k": 100, "pool": "all"}
    shown = client.post("/recommend", json=asked).json()["items"]
    return {
        "catalogue": tables.ITEMS.to_pandas(pq.read_table(home.items)).to_dict("records"),
        "photos": home.photo_fingerprints.read_bytes() if home.photo_fingerprints.exists() else b"",
        "shown": sorted((one["item_id"], one["title"], one["price"]) for one in shown),
    }


def ids(home: Home) -> set[str]:
    return set(pq.read_table(home.items)[tables.ITEM_ID].to_pylist())


def titles(home: Home) -> dict[str, str]:
    listed = pq.read_table(home.items, columns=[tables.ITEM_ID, tables.TITLE]).to_pylist()
    return {one[tables.ITEM_ID]: one[tables.TITLE] for one in listed}


def partials(home: Home) -> list[Path]:
    return list(home.root.rglob("*.partial"))


def test_wherever_the_disk_fills_up_listings_are_all_there_or_all_as_before(
    client: TestClient, home: Home, disk: FillingDisk
) -> None:
    refused, told = 0, 0
    taken = client.post("/listings", json={"listings": [listing("lamp-2", 99)]})
    assert taken.json()["accepted"] == ["lamp-2"], taken.text
    for writes in range(60):
        before, other = state(client, home), ListingChanges(home)
        new, title = f"vase-{told}", f"Brass lamp number {told}"
        changed = {"item_id": "lamp-2", "title": title, "price": 41}
        with disk.room_for(writes):
            answer = client.post("/listings", json={"listings": [listing(new, told), changed]})
        if answer.status_code == 507:
            refused += 1
            assert "nothing was taken in" in answer.json()["error"]
            assert state(client, home) == before, disk.refused
            assert partials(home) == []
            assert other.ids() == []
            continue
        assert answer.json()["accepted"] == ["lamp-2", new], answer.text
        after = state(client, home)
        assert new in ids(home)
        assert (new, f"Vase {new}", 20.0) in after["shown"]
        assert ("lamp-2", title, 41.0) in after["shown"]
        assert other.ids() == ["lamp-2", new]
        if not disk.refused:
            break
        told += 1
    else:
        pytest.fail("the disk took less than everything sixty times")
    assert refused >= 8, "photo, quarantine, history, features, catalogue"
    assert told >= 1, "the log of changes comes after what it tells"


def test_wherever_the_disk_fills_up_a_deletion_is_finished_by_asking_again(
    client: TestClient, home: Home, disk: FillingDisk
) -> None:
    for writes in range(40):
        name = f"vase-{writes}"
        taken = client.post("/listings", json={"listings": [listing(name, writes)]})
        assert taken.json()["accepted"] == [name], taken.text
        with disk.room_for(writes):
            answer = client.post("/listings/delete", json={"item_ids": [name]})
        if answer.status_code == 507:
            assert "deleted where this is sent again" in answer.json()["error"]
            answer = client.post("/listings/delete", json={"item_ids": [name]})
        assert answer.status_code == 200, answer.text
        assert name not in ids(home)
        assert name not in str(state(client, home)["shown"])
        assert Store(home).online(["item_profile:title"], [{"item_id": name}]) == [
            {"item_id": name, "item_profile__title": None}
        ]
        if not disk.refused:
            break
    else:
        pytest.fail("the disk took less than everything forty times")
    assert writes >= 3


def test_changes_of_two_sources_between_which_the_disk_fills_up_are_finished_by_asking_again(
    client: TestClient, home: Home, disk: FillingDisk
) -> None:
    taken = client.post("/listings", json={"listings": [listing("vase", 1)]})
    assert taken.json()["accepted"] == ["vase"], taken.text
    told_in_part = 0
    for writes in range(40):
        wanted = {"sofa": f"Linen sofa {writes}", "vase": f"Vase {writes}"}
        body = {"listings": [{"item_id": name, "title": wanted[name]} for name in wanted]}
        with disk.room_for(writes):
            answer = client.post("/listings/update", json=body)
        done = titles(home).items() & wanted.items()
        if answer.status_code == 507:
            assert "what it did not change yet is changed where this is" in answer.json()["error"]
            told_in_part += len(done) == 1
            answer = client.post("/listings/update", json=body)
        assert sorted(answer.json()["accepted"]) == ["sofa", "vase"], answer.text
        assert titles(home).items() >= wanted.items()
        if not disk.refused:
            break
    else:
        pytest.fail("the disk took less than everything forty times")
    assert told_in_part >= 3


def test_a_changed_photo_that_finds_no_room_is_refused_with_507(
    client: TestClient, home: Home, disk: FillingDisk
) -> None:
    before = state(client, home)
    body = {"listings": [{"item_id": "sofa", "photo_base64": photo(99)}]}
    with disk.room_for(0):
        answer = client.post("/listings/update", json=body)
    assert (answer.status_code, answer.headers["retry-after"]) == (507, "30")
    assert state(client, home) == before
    assert client.post("/listings/update", json=body).json()["accepted"] == ["sofa"]


@contextmanager
def full_store(service: Any) -> Iterator[None]:
    """SQLite's own error of a full disk, from the very connection that the service writes by."""
    feast = service._online._store._feast
    connection: sqlite3.Connection = feast._get_provider().online_store._get_conn(feast.config)
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    try:
        yield
    finally:
        connection.execute("PRAGMA max_page_count = 1000000")


def test_listings_that_a_full_sqlite_does_not_take_are_refused_and_leave_nothing(
    client: TestClient, home: Home, service: Any
) -> None:
    before, other = state(client, home), ListingChanges(home)
    body = {"listings": [listing(f"vase-{one}", one) for one in range(40)]}
    for one in body["listings"]:
        one["brand"] = base64.b64encode(os.urandom(15_000)).decode()
    with full_store(service):
        answer = client.post("/listings", json=body)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1"), answer.text
        assert "full" in answer.json()["error"]
        assert state(client, home) == before
        assert other.ids() == []
    taken = client.post("/listings", json=body)
    assert len(taken.json()["accepted"]) == 40, taken.text
    assert len(ids(home)) == 43


def test_events_that_a_full_sqlite_does_not_take_are_in_the_log_and_follow(
    client: TestClient, home: Home, service: Any
) -> None:
    events = [{**CLICK, "user_id": f"u{one}", "event_id": f"e{one}"} for one in range(300)]
    with full_store(service):
        taken = client.post("/events", json={"events": events})
        assert taken.status_code == 200, taken.text
        assert taken.json()["deferred"] is True
        assert len(taken.json()["accepted"]) == len(events)
    assert event_log(home).state().rows == len(events)
    service.follow()
    rows = [{"user_id": f"u{one}"} for one in range(300)]
    online = Store(home).online(["user_history:click_count"], rows)
    assert [one["user_history__click_count"] for one in online] == [1] * 300
