"""More requests than the service holds are sent away at once, and none after the rush."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from prometheus_client import generate_latest
from pydantic import BaseModel
from starlette.testclient import TestClient

from bentos.recommender import readiness
from bentos.recommender.observing.load import LOAD
from bentos.recommender.observing.middleware import RequestMiddleware
from tests.bentos.fakes import CountingRecommender

BOUND = 6


@pytest.fixture
def slow(recommender: CountingRecommender, service: Any) -> threading.Event:
    """Ranking waits until this is set."""
    service.max_in_flight = BOUND
    go_on, popular = threading.Event(), recommender.popular

    def waiting(*, k: int = 10, pool: str = "new") -> Any:
        go_on.wait(20)
        return popular(k=k, pool=pool)

    recommender.popular = waiting  # type: ignore[method-assign]
    return go_on


def until(holds: Any) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_is_too_much_is_refused_quickly_and_all_is_well_at_once_after(
    client: TestClient, slow: threading.Event
) -> None:
    with ThreadPoolExecutor(BOUND) as pool:
        held = [pool.submit(client.post, "/popular", json={"k": 1}) for _ in range(BOUND)]
        until(lambda: LOAD.in_flight == BOUND)
        metrics = client.get("/metrics").text
        assert f'coldstart_requests_in_flight{{worker="1"}} {BOUND}.0' in metrics
        assert f'coldstart_requests_waiting{{worker="1"}} {BOUND - 4}.0' in metrics

        began = time.monotonic()
        refused = [client.post("/recommend", json={"k": 1}) for _ in range(10)]
        assert time.monotonic() - began < 2.0
        assert {answer.status_code for answer in refused} == {503}
        assert {answer.headers["retry-after"] for answer in refused} == {"1"}
        assert "send this one again" in refused[0].json()["error"]
        assert refused[0].headers["x-request-id"]
        assert client.get("/livez").status_code == 200
        assert client.get("/ui").status_code == 200
        slow.set()
        assert {one.result(20).status_code for one in held} == {200}
    until(lambda: LOAD.in_flight == 0)
    assert client.post("/recommend", json={"k": 1}).status_code == 200
    told = generate_latest().decode()
    assert 'coldstart_refused_requests_total{endpoint="recommend",reason="saturated"}' in told


def test_a_request_that_fails_leaves_its_place(client: TestClient, service: Any) -> None:
    service.max_in_flight = 1
    for _ in range(3):
        assert client.post("/similar", json={"item_id": "ghost"}).status_code == 404
    assert LOAD.in_flight == 0


def test_who_asks_does_not_wait_for_what_is_being_taken_in(
    client: TestClient, service: Any
) -> None:
    def click(number: int) -> dict[str, Any]:
        event = {"event_id": f"e{number}", "user_id": "bob", "item_id": "sofa"}
        told = {**event, "event_type": "click", "event_timestamp": "2026-02-01T10:00:00Z"}
        return {"events": [told]}

    with ThreadPoolExecutor(8) as pool:
        with service._intake:  # as a batch of listings that is being encoded
            sent = [pool.submit(client.post, "/events", json=click(one)) for one in range(8)]
            until(lambda: LOAD.in_flight == 8)
            began = time.monotonic()
            for _ in range(5):
                assert client.post("/recommend", json={"user_id": "ann"}).status_code == 200
            assert time.monotonic() - began < 5.0
            assert not any(one.done() for one in sent)
        answers = [one.result(60) for one in sent]
    assert {answer.status_code for answer in answers} == {200}
    taken = [event for answer in answers for event in answer.json()["accepted"]]
    assert sorted(taken) == [f"e{number}" for number in range(8)]


def delisted(client: TestClient, number: int) -> Any:
    return client.delete(f"/listings/ghost-{number}")


def priced(client: TestClient, number: int) -> Any:
    return client.patch("/listings/sofa", json={"price": 5.0 + number})


def erased(client: TestClient, number: int) -> Any:
    return client.request("DELETE", "/users", json={"user_id": f"ghost-{number}"})


@pytest.mark.parametrize("ask", [priced, delisted, erased])
def test_probes_and_pages_do_not_wait_for_single_listings_and_people_that_do(
    client: TestClient, service: Any, monkeypatch: pytest.MonkeyPatch, ask: Any
) -> None:
    monkeypatch.setattr(readiness, "KEPT_SECONDS", 0.0)

    class Done(BaseModel):
        accepted: bool = True

    def done(_: Any) -> Done:
        with service._intake:
            return Done()

    for name in ("change_listings", "remove_listings", "forget_user"):
        monkeypatch.setattr(service, name, done)
    many = 45  # more than there are threads for answers that are not Bento's own
    with ThreadPoolExecutor(many) as pool:
        with service._intake:  # as a batch of listings that is being encoded
            sent = [pool.submit(ask, client, number) for number in range(many)]
            until(lambda: LOAD.in_flight == many)
            time.sleep(0.2)  # those that wait for a thread would have it by now
            with ThreadPoolExecutor(1) as other:
                for path in ("/readyz", "/metrics", "/ui"):
                    assert other.submit(client.get, path).result(5).status_code == 200
            assert not any(one.done() for one in sent)
        assert {one.result(60).status_code for one in sent} == {200}


@pytest.mark.parametrize(
    ("method", "path", "endpoint"),
    [
        ("PATCH", "/listings/sofa", "listings/update"),
        ("PATCH", "/listings/delete", "listings/update"),
        ("DELETE", "/listings/a/b", "listings/delete"),
        ("DELETE", "/users", "users/erase"),
        ("POST", "/listings", "listings"),
        ("POST", "/listings/sofa", "other"),
        ("GET", "/users", "other"),
    ],
)
def test_each_verb_is_counted_as_the_operation_that_does_the_same(
    method: str, path: str, endpoint: str
) -> None:
    async def nothing(*_: Any) -> None:
        """Nobody is asked."""

    middleware = RequestMiddleware(nothing, routes=frozenset({"/listings", "/listings/delete"}))
    assert middleware._endpoint({"method": method, "path": path}) == endpoint
