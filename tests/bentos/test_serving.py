"""A real `bentoml serve` on loopback: it answers, measures, and stops when told."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from feature_repo.home import Home
from tests.bentos.feast_homes import register
from tests.bentos.servers import served

pytestmark = pytest.mark.slow

READY = re.compile(r'^coldstart_ready{worker="(\d+)"} 1.0$', re.MULTILINE)
SERVICE = "tests.bentos.standin_service:RecommenderService"


@pytest.fixture
def running(home: Home, tmp_path: Path) -> Iterator[tuple[httpx.Client, subprocess.Popen[bytes]]]:
    register(home)
    with served("bentoml", "serve", SERVICE, home=home, log=tmp_path / "server.log") as both:
        yield both


def test_the_server_answers_measures_and_stops(
    running: tuple[httpx.Client, subprocess.Popen[bytes]],
) -> None:
    client, server = running
    click = {
        "event_id": "e1",
        "user_id": "bob",
        "item_id": "sofa",
        "event_type": "click",
        "event_timestamp": "2026-02-01T10:00:00Z",
    }

    assert client.post("/events", json={"events": [click]}).json()["accepted"] == ["e1"]
    body = {"user_id": "bob", "item_ids": ["sofa"]}
    assert client.post("/score", json=body).json()["scores"][0]["score"] == 1.75
    listing = {"item_id": "rug", "title": "Wool rug"}
    assert client.post("/listings", json={"listings": [listing]}).json()["accepted"] == ["rug"]
    assert client.post("/recommend", json={"k": 1}).json()["items"][0]["item_id"] == "rug"
    status = client.post("/status", json={}).json()
    assert (status["registry"], status["online_store"]) == ("ready", "ready")
    metrics = client.get("/metrics").text
    assert 'coldstart_stage_seconds_count{stage="score"} 1.0' in metrics
    assert 'coldstart_fallbacks_total{reason="no history"} 1.0' in metrics
    assert client.get("/ui").status_code == 200
    assert client.get("/photos/sofa").headers["content-type"] == "image/jpeg"

    os.kill(server.pid, signal.SIGTERM)
    assert server.wait(60) is not None
    with pytest.raises(httpx.TransportError):
        client.get("/livez")


def test_two_workers_serve_each_others_listings_and_events(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(home)
    monkeypatch.setenv("COLDSTART_WORKERS", "2")
    with served("bentoml", "serve", SERVICE, home=home, log=tmp_path / "server.log") as (client, _):

        def asked_anew(path: str, body: object) -> list[Any]:
            """Answers of connections of their own, which the workers share out."""
            answers = []
            for _ in range(12):
                with httpx.Client(base_url=client.base_url, timeout=60) as new:
                    answers.append(new.post(path, json=body).json())
            return answers

        def until(holds: Callable[[], bool], *, seconds: float) -> float:
            began = time.monotonic()
            while not holds():
                assert time.monotonic() - began < seconds
            return time.monotonic() - began

        def best() -> set[str]:
            return {answer["items"][0]["item_id"] for answer in asked_anew("/recommend", {"k": 1})}

        scraped = set()
        for _ in range(40):
            with httpx.Client(base_url=client.base_url, timeout=60) as new:
                scraped |= set(READY.findall(new.get("/metrics").text))
        assert scraped == {"1", "2"}

        listing = {"item_id": "rug", "title": "Wool rug"}
        told = client.post("/listings", json={"listings": [listing]}).json()
        assert told["accepted"] == ["rug"]
        until(lambda: best() == {"rug"}, seconds=5.0)
        event = {"event_id": "e1", "user_id": "bob", "item_id": "sofa", "event_type": "click"}
        assert client.post("/events", json={"events": [event]}).json()["accepted"] == ["e1"]

        def known() -> bool:
            answers = asked_anew("/recommend", {"user_id": "bob", "k": 1})
            return all(answer["fallback"] is None for answer in answers)

        until(known, seconds=5.0)
        client.post("/listings/delete", json={"item_ids": ["rug"]})
        until(lambda: best() == {"sofa"}, seconds=5.0)
