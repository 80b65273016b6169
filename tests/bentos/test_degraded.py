"""A store that is slow or lost: answers come in time and say what they lack; nothing is lost."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from prometheus_client import REGISTRY
from starlette.testclient import TestClient

from bentos.recommender import deadlines
from feature_repo.errors import EncoderError, StoreLost
from feature_repo.event_log import event_log
from feature_repo.home import Home
from tests.bentos.fakes import CLICK, MemoryStore, colour_encoders


class Faulty:
    """Makes a store's methods fail, or hang until told to go on."""

    def __init__(self, store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self._store, self._patch = store, monkeypatch
        self.gate = threading.Event()
        self.calls = 0

    def lose(self, *names: str) -> None:
        def lost(*_: Any, **__: Any) -> None:
            self.calls += 1
            raise StoreLost("the online store does not answer: ConnectionError: refused")

        for name in names:
            self._patch.setattr(self._store, name, lost)

    def hang(self) -> None:
        answer = self._store.online

        def hanging(*given: Any, **named: Any) -> Any:
            self.calls += 1
            self.gate.wait(10)
            return answer(*given, **named)

        self._patch.setattr(self._store, "online", hanging)

    def mend(self) -> None:
        self.gate.set()
        self._patch.undo()


@pytest.fixture
def faulty(store: MemoryStore) -> Any:
    with pytest.MonkeyPatch.context() as monkeypatch:
        made = Faulty(store, monkeypatch)
        yield made
        made.gate.set()


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_a_slow_store_costs_its_deadline_and_the_answer_says_so(
    client: TestClient, service: Any, faulty: Faulty
) -> None:
    assert service._online.deadline == 0.15
    before = counted("coldstart_degraded_answers_total", endpoint="recommend", reason="store")
    faulty.hang()
    began = time.monotonic()
    answer = client.post("/recommend", json={"user_id": "ann", "k": 2})
    waited = time.monotonic() - began
    assert answer.status_code == 200
    assert answer.json()["fallback"] == "store"
    assert [item["item_id"] for item in answer.json()["items"]] == ["sofa", "lamp"]  # popular
    assert 0.14 < waited < 1.0
    after = counted("coldstart_degraded_answers_total", endpoint="recommend", reason="store")
    assert after == before + 1
    faulty.mend()
    assert client.post("/recommend", json={"user_id": "ann"}).json()["fallback"] is None


def test_the_session_counts_where_the_store_is_lost(client: TestClient, faulty: Faulty) -> None:
    faulty.lose("online")
    person = {"user_id": "ann", "session": [{"item_id": "chair"}]}
    answer = client.post("/recommend", json={**person, "exclude_seen": False, "k": 1}).json()
    assert (answer["fallback"], answer["items"][0]["item_id"]) == ("store", "chair")
    scored = client.post("/score", json={**person, "item_ids": ["lamp"]}).json()
    assert (scored["fallback"], scored["scores"][0]["score"]) == ("store", 0.5)
    explained = client.post("/explain", json={**person, "item_id": "chair"}).json()
    assert explained["fallback"] == "store"


@pytest.mark.parametrize("path", ["/score", "/explain"])
def test_a_score_of_a_person_whom_only_the_store_knows_is_refused_for_now(
    client: TestClient, faulty: Faulty, path: str
) -> None:
    faulty.lose("online")
    items = {"item_ids": ["sofa"]} if path == "/score" else {"item_id": "sofa"}
    answer = client.post(path, json={"user_id": "ann", **items})
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert "no session to go by" in answer.json()["error"]


def test_a_store_that_hangs_holds_no_more_threads_than_its_own(
    client: TestClient, service: Any, faulty: Faulty
) -> None:
    service._online.deadline = 0.05
    faulty.hang()
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(client.post, "/recommend", json={"user_id": "ann"}) for _ in range(24)]
        answers = [one.result(30) for one in sent]
    assert {answer.json()["fallback"] for answer in answers} == {"store"}
    assert faulty.calls <= deadlines.THREADS
    assert client.post("/popular", json={"k": 1}).status_code == 200


def test_a_store_that_fails_again_and_again_is_left_alone_for_a_second(
    service: Any, faulty: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = [100.0]
    service._online._now = lambda: moment[0]
    faulty.lose("online")
    for _ in range(10):
        with pytest.raises(StoreLost):
            service.store.online(["user_history:history_item_ids"], [{"user_id": "ann"}])
    assert faulty.calls == deadlines.FAILURES
    assert service._online.resting
    faulty.mend()
    with pytest.raises(StoreLost, match="left alone"):
        service.store.online(["user_history:history_item_ids"], [{"user_id": "ann"}])
    moment[0] += deadlines.REST_SECONDS
    asked = service.store.online(["user_history:history_item_ids"], [{"user_id": "ann"}])
    assert asked[0]["user_history__history_item_ids"] == ["lamp", "lamp"]
    assert not service._online.resting


def test_events_are_acknowledged_when_the_log_has_them_and_their_features_follow(
    client: TestClient, service: Any, home: Home, store: MemoryStore, faulty: Faulty
) -> None:
    faulty.lose("push", "online")
    taken = client.post("/events", json={"events": [CLICK]}).json()
    assert (taken["accepted"], taken["deferred"], taken["users"]) == (["e1"], True, 0)
    assert event_log(home).read(["event_id"])["event_id"].to_pylist() == ["e1"]
    assert "bob" not in store.rows["user_history"]
    with pytest.raises(StoreLost):
        service.follow()

    faulty.mend()
    service._online._rests_until = 0.0
    service.follow()
    assert store.rows["user_history"]["bob"]["history_item_ids"] == ["sofa"]
    assert store.rows["item_stats"]["sofa"]["click_count"] == 1
    assert ("sofa", 1) in service.recommender.adaptations
    again = client.post("/events", json={"events": [CLICK]}).json()
    assert (again["accepted"], again["duplicates"]) == ([], ["e1"])


def test_a_listing_is_refused_for_now_and_taken_when_it_is_sent_again(
    client: TestClient, service: Any, faulty: Faulty
) -> None:

    service._encoders = colour_encoders()
    faulty.lose("push")
    body = {"listings": [{"item_id": "rug", "title": "Wool rug"}]}
    answer = client.post("/listings", json=body)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    faulty.mend()
    assert client.post("/listings", json=body).json()["accepted"] == ["rug"]
    assert client.post("/recommend", json={"k": 1}).json()["items"][0]["item_id"] == "rug"


@pytest.mark.parametrize("path", ["/listings", "/listings/update", "/listings/delete"])
def test_no_answer_names_the_stores_host_or_the_state_folder(
    client: TestClient,
    service: Any,
    home: Home,
    store: MemoryStore,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    path: str,
) -> None:
    def lost(*_: Any, **__: Any) -> None:
        raise StoreLost(f"Error 111 connecting to 127.0.0.1:6379, or {home.online_store}")

    service._encoders = colour_encoders()
    monkeypatch.setattr(store, "push", lost)
    monkeypatch.setattr(store, "remove_online", lost)
    listing = {"item_id": "sofa", "title": "Linen sofa", "price": 5.0}
    if path == "/listings":
        listing["item_id"] = "rug"
    body = {"item_ids": ["sofa"]} if path == "/listings/delete" else {"listings": [listing]}
    answer = client.post(path, json=body)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "the online store does not answer" in answer.json()["error"]
    assert "127.0.0.1" not in answer.text
    assert str(home.root) not in answer.text
    assert "127.0.0.1:6379" in caplog.text


def test_listings_that_cannot_be_encoded_may_come_again_and_learn_no_path(
    client: TestClient, service: Any, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: Any) -> None:
        raise EncoderError(f"no encoder at {home.root}/encoders")

    monkeypatch.setattr(service, "_load_encoders", missing)
    service._encoders = None
    rug = {"item_id": "rug", "title": "Wool rug"}
    answers = [
        client.post("/listings", json={"listings": [rug]}),
        client.patch("/listings/sofa", json={"price": 5.0}),
    ]
    for answer in answers:
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
        assert "listings cannot be encoded now" in answer.json()["error"]
        assert str(home.root) not in answer.text
    service._try_encoders()  # as a worker that starts: it goes on without
