"""More requests than the service holds are sent away at once, and none after the rush."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from prometheus_client import generate_latest
from starlette.testclient import TestClient

from bentos.recommender.observing.load import LOAD
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
        assert f"coldstart_requests_in_flight {BOUND}.0" in metrics
        assert f"coldstart_requests_waiting {BOUND - 4}.0" in metrics

        began = time.monotonic()
        refused = [client.post("/recommend", json={"k": 1}) for _ in range(10)]
        assert time.monotonic() - began < 2.0
        assert {answer.status_code for answer in refused} == {503}
        assert {answer.headers["retry-after"] for answer in refused} == {"1"}
        assert "send this one again" in refused[0].json()["error"]
        assert refused[0].headers["x-request-id"]
        assert client.get("/livez").status_code == 200
        assert client.get("/storefront").status_code == 200
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
