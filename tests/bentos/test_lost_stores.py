"""Real online stores that are lost and come back: Redis killed or stopped, SQLite locked."""

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from bentos.recommender import deadlines, readiness
from bentos.recommender.service import RecommenderService
from feature_repo.environment import ENVIRONMENT_VARIABLE
from feature_repo.errors import StoreLost
from feature_repo.event_log import event_log
from feature_repo.feature_tables import ITEM_VECTOR
from feature_repo.home import REPOSITORY, Home
from feature_repo.store import Store
from tests import redis_servers
from tests.bentos.fakes import CLICK, CountingRecommender
from tests.bentos.feast_homes import register

PATIENCE = 0.3
"""Seconds of a push, in place of two."""


class Redis:
    """A server that can be killed and started again over the same files."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, redis_servers.free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = redis_servers.start(self.folder, self.port)

    def signal(self, number: int) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(redis_servers.SECONDS)


@pytest.fixture
def redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    server = Redis(tmp_path / "redis")
    server.start()
    monkeypatch.setenv("COLDSTART_REDIS", f"127.0.0.1:{server.port}")
    path = str(REPOSITORY / "feature_store.redis.yaml")
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, path)
    yield server
    server.kill()


@pytest.fixture
def service(home: Home, recommender: CountingRecommender, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The service over real Feast; only the recommender is a stand-in."""
    monkeypatch.setattr(readiness, "KEPT_SECONDS", 0.0)
    register(home, to="online_and_offline")
    monkeypatch.setattr(
        "coldstart_models.recommending.Recommender.load", lambda home, tag: recommender
    )
    service = RecommenderService.inner()
    service.store.wait_at_most(PATIENCE)
    return service


@pytest.fixture
def redis_service(redis: Redis, service: Any) -> Any:
    """The service over Redis; the server is there before it."""
    return service


def send(client: TestClient, number: int) -> dict[str, Any]:
    answer = client.post("/events", json={"events": [{**CLICK, "event_id": f"e{number}"}]})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def fallback(client: TestClient) -> str | None:
    answer = client.post("/recommend", json={"user_id": "bob", "exclude_seen": False})
    assert answer.status_code == 200, answer.text
    told: str | None = answer.json()["fallback"]
    return told


def clicks(client: TestClient, home: Home) -> int:
    """Of bob, as the online store counts them."""
    (row,) = Store(home).online(["user_history:click_count"], [{"user_id": "bob"}])
    return int(row["user_history__click_count"])


def until_followed(service: Any) -> None:
    """As the service's own thread does, without its pauses."""
    deadline = time.monotonic() + 20
    while True:
        try:
            service.follow()
        except StoreLost:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return


def assert_all_is_well(client: TestClient, home: Home, *, events: int) -> None:
    assert client.get("/readyz").status_code == 200
    assert fallback(client) is None
    assert clicks(client, home) == events
    ids = event_log(home).read(["event_id"])["event_id"].to_pylist()
    assert ids == [f"e{number}" for number in range(events)]


def test_redis_killed_and_back(
    redis_service: Any, redis: Redis, client: TestClient, home: Home
) -> None:
    assert send(client, 0)["deferred"] is False
    assert_all_is_well(client, home, events=1)

    redis.kill()
    began = time.monotonic()
    assert fallback(client) == "store"
    assert time.monotonic() - began < 1.0
    assert client.get("/readyz").status_code == 503
    for number in range(1, 4):
        taken = send(client, number)
        assert (taken["accepted"], taken["deferred"]) == ([f"e{number}"], True)

    redis.start()
    until_followed(redis_service)
    assert_all_is_well(client, home, events=4)
    assert send(client, 4)["deferred"] is False
    assert_all_is_well(client, home, events=5)


def test_redis_that_takes_what_is_sent_and_never_answers(
    redis_service: Any, redis: Redis, client: TestClient, home: Home
) -> None:
    send(client, 0)
    redis.signal(signal.SIGSTOP)
    try:
        waits = []
        for _ in range(deadlines.FAILURES + 3):
            began = time.monotonic()
            assert fallback(client) == "store"
            waits.append(time.monotonic() - began)
        assert max(waits) < 1.0
        assert send(client, 1)["deferred"] is True
        assert client.get("/readyz").status_code == 503
    finally:
        redis.signal(signal.SIGCONT)
    until_followed(redis_service)
    assert_all_is_well(client, home, events=2)


def test_sqlite_locked_by_another_process(service: Any, client: TestClient, home: Home) -> None:
    send(client, 0)
    other = sqlite3.connect(home.online_store)
    other.execute("BEGIN EXCLUSIVE")
    try:
        began = time.monotonic()
        assert fallback(client) == "store"
        assert time.monotonic() - began < 1.0
        assert client.get("/readyz").status_code == 503
        assert send(client, 1)["deferred"] is True
    finally:
        other.rollback()
        other.close()
    until_followed(service)
    assert_all_is_well(client, home, events=2)


def test_a_store_whose_file_is_gone_is_lost(service: Any, client: TestClient, home: Home) -> None:
    assert client.get("/readyz").status_code == 200
    home.online_store.unlink()
    assert client.get("/readyz").status_code == 503


def test_a_store_that_came_back_empty_is_not_ready_until_it_is_filled(
    service: Any, client: TestClient, home: Home
) -> None:
    send(client, 0)
    Store(home).remove_online([ITEM_VECTOR.name], ["chair"])
    assert client.get("/readyz").status_code == 503
    assert fallback(client) is None  # who is sent here all the same is answered
    Store(home).materialize(views=[ITEM_VECTOR.name])
    assert_all_is_well(client, home, events=1)
