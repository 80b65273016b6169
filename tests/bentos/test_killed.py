"""A worker that is killed amid events: Bento starts another, and what was acknowledged is there."""

import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from feature_repo.event_log import EventLog
from feature_repo.home import Home
from feature_repo.store import Store
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

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._http = httpx.Client(base_url=url, timeout=30)
        self.stop = threading.Event()
        self.acknowledged: list[str] = []
        self.failures = 0
        self.batches = 0

    def run(self) -> None:
        while not self.stop.is_set():
            events = [self._event(BATCH * self.batches + place) for place in range(BATCH)]
            if not self._sent(events):
                self.failures += 1
                time.sleep(0.2)
                continue
            self.acknowledged += [str(one["event_id"]) for one in events]
            self.batches += 1

    def _sent(self, events: list[dict[str, Any]]) -> bool:
        try:
            answer = self._http.post("/events", json={"events": events})
        except httpx.TransportError:
            return False
        if answer.status_code != 200:
            return False
        told = answer.json()
        taken = Counter([*told["accepted"], *told["duplicates"]])
        return taken == Counter(str(one["event_id"]) for one in events)

    def _event(self, number: int) -> dict[str, Any]:
        return {
            "event_id": f"e{number}",
            "user_id": f"user-{number % USERS}",
            "item_id": "sofa",
            "event_type": "click",
            "event_timestamp": f"2026-02-01T10:{number // 60 % 60:02d}:{number % 60:02d}Z",
        }


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


def test_every_acknowledged_event_is_there_once_though_the_worker_was_killed(
    home: Home, tmp_path: Path
) -> None:
    home.registry.unlink()
    Store(home).apply()
    with served("bentoml", "serve", SERVICE, home=home, log=tmp_path / "server.log") as (
        client,
        server,
    ):
        sender = Sender(str(client.base_url))
        sender.start()
        for _ in range(KILLS):
            reached = sender.batches + BETWEEN_KILLS
            until(lambda reached=reached: sender.batches >= reached, what="batches go through")
            worker = worker_of(server.pid)
            assert worker is not None
            os.kill(worker.pid, signal.SIGKILL)
            gone = worker.pid
            until(
                lambda gone=gone: (one := worker_of(server.pid)) is not None and one.pid != gone,
                what="Bento starts another worker",
            )
        reached = sender.batches + BETWEEN_KILLS
        until(lambda: sender.batches >= reached, what="batches go through again")
        sender.stop.set()
        sender.join(60)
        assert not sender.is_alive()

        logged = Counter(EventLog(home).read(["event_id"])["event_id"].to_pylist())
        assert set(logged.values()) == {1}
        assert set(sender.acknowledged) <= set(logged)
        assert len(sender.acknowledged) == len(set(sender.acknowledged)) == BATCH * sender.batches
        assert sender.failures > 0

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
