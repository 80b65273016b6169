"""A person who is erased over HTTP is in no file and in nothing that the service holds."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from prometheus_client import generate_latest
from starlette.testclient import TestClient

from bentos.recommender.service import RecommenderService
from coldstart_models.erasing import erase_user
from feature_repo.erasure import journal
from feature_repo.home import Home
from tests.bentos.fakes import CountingRecommender, MemoryStore
from tests.coldstart_models.stateful_search import files_with, objects_with
from tests.coldstart_models.test_erasing import NOW

USER = "person-zq7x"
BEFORE = "2026-02-01T10:00:00Z"


@pytest.fixture
def known(client: TestClient, service: Any) -> TestClient:
    """The person bought the sofa, asked for recommendations, and is on the storefront."""
    events = [
        {
            "event_id": f"e-{user}",
            "user_id": user,
            "item_id": "sofa",
            "event_type": "purchase",
            "event_timestamp": BEFORE,
        }
        for user in (USER, "bob")
    ]
    assert client.post("/events", json={"events": events}).json()["users"] == 2
    assert client.post("/recommend", json={"user_id": USER}).json()["fallback"] is None
    service.shelf.user_ids = [USER, "bob"]
    return client


@pytest.mark.parametrize("way", ["POST", "DELETE"])
def test_the_service_forgets_a_person(
    known: TestClient, service: Any, home: Home, recommender: CountingRecommender, way: str
) -> None:
    assert files_with(home.root, USER) != []
    assert objects_with(service, USER) != []
    if way == "POST":
        answer = known.post("/users/erase", json={"user_id": USER})
    else:
        answer = known.request("DELETE", "/users", json={"user_id": USER})
    assert answer.status_code == 200, answer.text
    assert answer.json()["erased"]["events"] == 1
    assert answer.json()["adapted_again"] == 1
    assert USER not in answer.text
    metrics = known.get("/metrics")
    assert metrics.status_code == 200
    assert USER not in metrics.text + generate_latest().decode()
    assert files_with(home.root, USER) == []
    assert objects_with([vars(service), recommender], USER) == []
    assert known.post("/showcase", json={}).json()["user_ids"] == ["bob"]
    assert known.post("/recommend", json={"user_id": USER}).json()["fallback"] == "popular"
    late = {"event_id": "e9", "user_id": USER, "item_id": "lamp", "event_type": "click"}
    late["event_timestamp"] = BEFORE
    taken = known.post("/events", json={"events": [late]}).json()
    assert (taken["refused"], taken["accepted"]) == (["e9"], [])
    del late["event_timestamp"]
    taken = known.post("/events", json={"events": [late]}).json()
    assert taken["accepted"] == ["e9"]


def test_an_empty_id_is_refused(client: TestClient) -> None:
    assert client.post("/users/erase", json={"user_id": ""}).status_code == 400
    assert client.request("DELETE", "/users", json={"user_id": ""}).status_code == 400
    assert client.request("DELETE", "/users", content=b"u1").status_code == 415


def test_what_another_process_erased_is_forgotten_and_learned_anew(
    known: TestClient,
    service: Any,
    home: Home,
    store: MemoryStore,
    recommender: CountingRecommender,
) -> None:
    learned_before = list(recommender.adaptations)
    erase_user(USER, home=home, store=store, recommender=None, now=NOW)  # type: ignore[arg-type]
    service.follow()
    assert service.shelf.user_ids == ["bob"]
    assert learned_before
    assert recommender.adaptations == [("sofa", 1)]
    assert objects_with([vars(service), recommender], USER) == []
    service.follow()
    assert recommender.adaptations == [("sofa", 1)]


def another_receipt(home: Home) -> None:
    """Another process finishes an erasure."""
    journal.begin(home, journal.Erasure("other", "hash", NOW.isoformat(), "0", "0"))
    journal.finish(home, {"user_hash": "hash"})


def test_an_erasure_while_the_model_is_loaded_is_noticed(
    home: Home, store: MemoryStore, recommender: CountingRecommender, monkeypatch: Any
) -> None:
    def load(home: Home, tag: str) -> CountingRecommender:
        another_receipt(home)
        recommender.adaptations = [("sofa", 1)]
        return recommender

    monkeypatch.setattr("feature_repo.store.Store", lambda _: store)
    monkeypatch.setattr("coldstart_models.recommending.Recommender.load", load)
    RecommenderService.inner()._notice_erasures()
    assert recommender.adaptations == []


def test_an_erasure_beside_one_of_its_own_is_noticed(
    known: TestClient, service: Any, home: Home, recommender: CountingRecommender, monkeypatch: Any
) -> None:
    def beside(*given: Any, **named: Any) -> Any:
        receipt = erase_user(*given, **named)
        another_receipt(home)
        recommender.adaptations.append(("lamp", 1))
        return receipt

    monkeypatch.setattr("coldstart_models.erasing.erase_user", beside)
    known.post("/users/erase", json={"user_id": USER})
    assert ("lamp", 1) in recommender.adaptations
    service._notice_erasures()
    assert recommender.adaptations == []
    recommender.adaptations.append(("sofa", 1))
    service._notice_erasures()
    assert recommender.adaptations == [("sofa", 1)]


def test_an_erasure_of_its_own_that_is_finishing_is_not_anothers(
    service: Any, home: Home, recommender: CountingRecommender, monkeypatch: Any
) -> None:
    @contextmanager
    def finishing() -> Iterator[None]:
        service._erasures += 1
        yield

    recommender.adaptations = [("sofa", 1)]
    another_receipt(home)
    monkeypatch.setattr(service, "_intake", finishing())
    service._notice_erasures()
    assert recommender.adaptations == [("sofa", 1)]
