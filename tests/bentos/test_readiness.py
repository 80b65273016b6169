"""Ready is true while model, tables and store agree, and false as soon as they do not."""

import threading
import time
from typing import Any

import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

from bentos.recommender import readiness
from coldstart_models.artifacts import Contract
from coldstart_models.errors import ModelError
from feature_repo.errors import StoreLost
from feature_repo.home import Home
from tests.bentos.fakes import PRIOR, CountingRecommender, MemoryStore
from tests.bentos.feast_homes import hold_a_vector


@pytest.fixture(autouse=True)
def always_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer is not kept, except where a test says so."""
    monkeypatch.setattr(readiness, "KEPT_SECONDS", 0.0)


def reasons(client: TestClient) -> list[str]:
    told: list[str] = client.post("/status", json={}).json()["not_ready"]
    return told


def test_ready_while_all_agree(client: TestClient) -> None:
    assert client.get("/readyz").status_code == 200
    assert reasons(client) == []


def test_not_ready_while_the_store_is_lost_and_ready_again_after(
    client: TestClient,
    home: Home,
    store: MemoryStore,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def lost(_: Any) -> bool:
        raise StoreLost(f"no answer of 127.0.0.1:6379, nor of {home.online_store}")

    monkeypatch.setattr(store, "probe", lost)
    assert client.get("/readyz").status_code == 503
    assert reasons(client) == ["the online store does not answer; the log of the service says why"]
    assert "127.0.0.1:6379" in caplog.text
    monkeypatch.undo()
    monkeypatch.setattr(readiness, "KEPT_SECONDS", 0.0)
    assert client.get("/readyz").status_code == 200


def test_not_ready_while_the_store_does_not_answer_in_time(
    client: TestClient,
    service: Any,
    store: MemoryStore,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    answers, answered = threading.Event(), threading.Event()

    def late(_: object) -> bool:
        answers.wait(30)
        answered.set()
        return True

    service._online.deadline = 0.05
    monkeypatch.setattr(store, "probe", late)
    try:
        assert client.get("/readyz").status_code == 503
        assert "the online store does not answer" in reasons(client)[0]
        assert not answered.is_set()
    finally:
        answers.set()
    assert "within 50 ms" in caplog.text


def test_not_ready_while_the_store_is_empty_and_ready_again_after(
    client: TestClient, store: MemoryStore
) -> None:
    store.holds_vectors = False
    assert client.get("/readyz").status_code == 503
    assert "vector of none of 3 served listings" in reasons(client)[0]
    assert "run `coldstart aggregate` and `coldstart materialize`" in reasons(client)[0]
    store.holds_vectors = True
    assert client.get("/readyz").status_code == 200


def test_a_few_of_the_served_listings_are_looked_for(
    client: TestClient, recommender: CountingRecommender, store: MemoryStore, monkeypatch: Any
) -> None:
    looked_for: list[list[str]] = []

    def probe(item_ids: list[str]) -> bool:
        looked_for.append(item_ids)
        return True

    monkeypatch.setattr(store, "probe", probe)
    recommender.prior = {f"i{number:02}": 0.5 for number in range(20)}
    assert client.get("/readyz").status_code == 200
    recommender.prior = {}
    assert client.get("/readyz").status_code == 200
    assert looked_for[-2:] == [["i00", "i04", "i08", "i12", "i16"], []]


def test_not_ready_once_the_features_are_no_longer_the_models(
    client: TestClient, home: Home
) -> None:
    assert client.get("/readyz").status_code == 200
    path = home.feature_table("user_history")
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["history_item_ids"]), path)
    assert client.get("/readyz").status_code == 503
    assert "the store lacks user_history:history_item_ids" in reasons(client)[0]
    pq.write_table(table, path)
    assert client.get("/readyz").status_code == 200


def test_not_ready_while_a_snapshot_is_of_another_model_than_the_one_that_ranks_by_it(
    client: TestClient, service: Any, recommender: CountingRecommender
) -> None:
    recommender.vectors_of = "coldstart-siamese:other"
    assert client.get("/readyz").status_code == 503
    assert reasons(client) == [
        f"{recommender.tag} ranks by a snapshot of vectors that coldstart-siamese:other made; "
        "start the service again"
    ]
    recommender.vectors_of = None
    assert client.get("/readyz").status_code == 200
    variant = CountingRecommender(PRIOR)
    variant.tag, variant.vectors_of = "coldstart-siamese:variant", recommender.tag
    service._lanes.models[variant.tag] = variant
    assert client.get("/readyz").status_code == 503
    assert reasons(client) == [
        f"{variant.tag} ranks by a snapshot of vectors that {recommender.tag} made; "
        "start the service again"
    ]


def test_ready_while_the_store_holds_vectors_of_a_model_that_is_not_served(
    service_over_feast: Any, home: Home
) -> None:
    assert "vector of none of 3 served listings" in service_over_feast.not_ready()[0]
    hold_a_vector(home)
    assert service_over_feast.not_ready() == ()


def test_not_ready_once_nothing_is_registered(client: TestClient, home: Home) -> None:
    home.registry.unlink()
    assert client.get("/readyz").status_code == 503
    assert "run `coldstart apply`" in reasons(client)[0]
    assert str(home.root) not in reasons(client)[0]


def test_an_answer_is_kept_for_a_second(
    client: TestClient, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    monkeypatch.setattr(readiness, "KEPT_SECONDS", 60.0)
    monkeypatch.setattr(store, "probe", lambda _: not asked.append(time.monotonic()))
    for _ in range(20):
        assert client.get("/readyz").status_code == 200
    assert len(asked) == 1


def test_not_ready_until_a_listing_would_wait_for_nothing(
    client: TestClient, service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def loading(_: Contract) -> None:
        asked.append(client.get("/readyz").status_code)
        asked.append(client.post("/recommend", json={"user_id": "ann", "k": 1}).status_code)
        assert "the gate and the encoders are being loaded" in reasons(client)[0]
        raise ModelError("no such folder")

    service._warming = True
    monkeypatch.setattr(service, "_load_encoders", loading)
    service._warm()
    assert asked == [503, 200]
    assert client.get("/readyz").status_code == 200  # recommending needs no encoders
