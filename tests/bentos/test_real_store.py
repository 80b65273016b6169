"""The same flows over a real Feast store: registered, pushed to, read online."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from feature_repo.home import Home
from feature_repo.store import Store

pytestmark = pytest.mark.slow


@pytest.fixture
def service(service_over_feast: Any) -> Any:
    return service_over_feast


def test_events_and_listings_reach_feast_and_a_restart_remembers_them(
    client: TestClient, home: Home
) -> None:
    assert client.post("/recommend", json={"user_id": "bob"}).json()["fallback"] == "popular"
    click = {"user_id": "bob", "event_type": "click", "event_timestamp": "2026-02-01T10:00:00Z"}
    events = [
        {**click, "event_id": "e1", "item_id": "sofa"},
        {**click, "event_id": "e2", "item_id": "lamp"},
    ]
    taken = client.post("/events", json={"events": events})
    assert taken.json()["accepted"] == ["e1", "e2"], taken.text
    listing = {"item_id": "vase", "title": "Blue vase", "price": 20.0}
    assert client.post("/listings", json={"listings": [listing]}).json()["accepted"] == ["vase"]

    fresh = Store(home)
    (user,) = fresh.online(
        ["user_history:history_item_ids", "user_history:click_count"], [{"user_id": "bob"}]
    )
    assert sorted(user["user_history__history_item_ids"]) == ["lamp", "sofa"]
    assert user["user_history__click_count"] == 2
    (item,) = fresh.online(
        ["item_profile:price", "item_vector:model", "item_text_embedding:embedding"],
        [{"item_id": "vase"}],
    )
    assert item["item_profile__price"] == 20.0
    assert item["item_vector__model"] == "coldstart-siamese:test"
    assert item["item_text_embedding__embedding"] == [9.0]
    assert list(fresh.vectors("item_text_embedding").item_ids) == ["vase"]
    (adapted,) = fresh.online(["item_adaptation:support"], [{"item_id": "sofa"}])
    assert adapted["item_adaptation__support"] == 1

    scored = client.post("/score", json={"user_id": "bob", "item_ids": ["sofa", "vase"]}).json()
    assert [row["score"] for row in scored["scores"]] == [1.75, 9.0]
