"""A worker that is killed amid events and listings: Bento starts another, and what was acknowledged
is there.
"""

import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import psutil
import pyarrow.parquet as pq
import pytest

from feature_repo.event_log import EventLog
from feature_repo.home import Home
from feature_repo.store import Store
from tests.bentos.feast_homes import register
from tests.bentos.servers import served

pytestmark = pytest.mark.slow

SERVICE = "tests.bentos.standin_service:RecommenderService"
USERS = 5
BATCH = 4
KILLS = 1
BETWEEN_KILLS = 8
"""Acknowledged batches. A worker takes a minute to start on a busy machine."""
PATIENCE = 240.0


class Sender(threading.Thread):
    """Sends batch after batch, each until it is acknowledged, as an honest client does."""

    path, name, size = "/events", "events", BATCH

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._http = httpx.Client(base_url=url, timeout=30)
        self.stop = threading.Event()
        self.acknowledged: list[str] = []
        self.failures = 0
        self.batches = 0

    def run(self) -> None:
        while not self.stop.is_set():
            rows = [self._row(self.size * self.batches + place) for place in range(self.size)]
            ids = [str(next(iter(row.values()))) for row in rows]
            if not self._sent(rows, ids):
                self.failures += 1
                time.sleep(0.2)
                continue
            self.acknowledged += ids
            self.batches += 1

    def _sent(self, rows: list[dict[str, Any]], ids: list[str]) -> bool:
        try:
            answer = self._http.post(self.path, json={self.name: rows})
        except httpx.TransportError:
            return False
        if answer.status_code != 200:
            return False
        told = answer.json()
        return Counter([*told["accepted"], *told.get("duplicates", ())]) == Counter(ids)

    def _row(self, number: int) -> dict[str, Any]:
        """Its id stands first."""
        return {
            "event_id": f"e{number}",
            "user_id": f"user-{number % USERS}",
            "item_id": "sofa",
            "event_type": "click",
            "event_timestamp": f"2026-02-01T10:{number // 60 % 60:02d}:{number % 60:02d}Z",
        }


class Listing(Sender):
    """The same with listings, whose price is their number."""

    path, name, size = "/listings", "listings", 2

    def _row(self, number: int) -> dict[str, Any]:
        title = f"{('Oak', 'Elm', 'Ash')[number % 3]} stool of number {number}"
        return {"item_id": f"stool-{number}", "title": title, "price": 100.0 + number}


def worker_of(server: int) -> psutil.Process | None:
    """The process that answers, if there is one now."""
    for child in psutil.Process(server).children(recursive=True):
        try:
            if "_bentoml_impl.worker.service" in " ".join(child.cmdline()):
                return child
        except psutil.NoSuchProcess:
            continue
    return None


def until(holds: Any, *, what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_what_was_acknowledged_is_there_once_though_the_worker_was_killed(
    home: Home, tmp_path: Path
) -> None:
    register(home)
    with served("bentoml", "serve", SERVICE, home=home, log=tmp_path / "server.log") as (
        client,
        server,
    ):
        sender, listing = Sender(str(client.base_url)), Listing(str(client.base_url))
        sender.start()
        listing.start()

        def gone_through() -> int:
            return min(sender.batches, listing.batches)

        for _ in range(KILLS):
            reached = gone_through() + BETWEEN_KILLS
            until(lambda reached=reached: gone_through() >= reached, what="batches go through")
            worker = worker_of(server.pid)
            assert worker is not None
            os.kill(worker.pid, signal.SIGKILL)
            gone = worker.pid
            until(
                lambda gone=gone: (one := worker_of(server.pid)) is not None and one.pid != gone,
                what="Bento starts another worker",
            )
        reached = gone_through() + BETWEEN_KILLS
        until(lambda: gone_through() >= reached, what="batches go through again")
        for one in (sender, listing):
            one.stop.set()
            one.join(60)
            assert not one.is_alive()
            assert one.failures > 0
        assert_listed(listing.acknowledged, home=home, client=client)

        logged = Counter(EventLog(home).read(["event_id"])["event_id"].to_pylist())
        assert set(logged.values()) == {1}
        assert set(sender.acknowledged) <= set(logged)
        assert len(sender.acknowledged) == len(set(sender.acknowledged)) == BATCH * sender.batches

        wanted = Counter(f"user-{int(one[1:]) % USERS}" for one in logged)
        rows = [{"user_id": user} for user in sorted(wanted)]

        def online() -> dict[str, int]:
            found = Store(home).online(["user_history:click_count"], rows)
            return {
                str(row["user_id"]): int(told["user_history__click_count"] or 0)
                for row, told in zip(rows, found, strict=True)
            }

        until(lambda: online() == dict(wanted), what="the features are those of the log")
        scored = client.post("/score", json={"user_id": "user-0", "item_ids": ["sofa"]})
        assert scored.json()["scores"][0]["score"] > 0.75


def assert_listed(acknowledged: list[str], *, home: Home, client: httpx.Client) -> None:
    """Each is in the catalogue once, as it was sent, with its features, and recommended."""
    assert len(acknowledged) == len(set(acknowledged)) > 2 * BETWEEN_KILLS
    listed = pq.read_table(home.items, columns=["item_id", "price"]).to_pylist()
    prices = {row["item_id"]: row["price"] for row in listed}
    assert len(prices) == len(listed)
    wanted = {one: 100.0 + int(one.partition("-")[2]) for one in acknowledged}
    assert {one: prices.get(one) for one in acknowledged} == wanted
    features = ["item_profile:price", "item_vector:model"]
    found = Store(home).online(features, [{"item_id": one} for one in acknowledged])
    assert {row["item_id"]: row["item_profile__price"] for row in found} == wanted
    assert {row["item_vector__model"] for row in found} == {"coldstart-siamese:test"}
    scored = client.post("/score", json={"user_id": "user-0", "item_ids": acknowledged})
    assert len(scored.json()["scores"]) == len(acknowledged), scored.text
