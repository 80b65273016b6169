"""A real `bentoml serve` on loopback: it answers, measures, and stops when told."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bentos.recommender.packing import package_folder
from feature_repo.home import Home
from feature_repo.store import Store

pytestmark = pytest.mark.slow

PROJECT = package_folder("bentos").parent
SERVICE = "tests.bentos.standin_service:RecommenderService"
PATIENCE = 120.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def served(home: Home, tmp_path: Path) -> Iterator[tuple[httpx.Client, subprocess.Popen[bytes]]]:
    """The server and a client of it; the server is stopped by its process id."""
    home.registry.unlink()
    Store(home).apply()
    port = free_port()
    command = [sys.executable, "-m", "bentoml", "serve", SERVICE, "--port", str(port)]
    environment = {
        **os.environ,
        "COLDSTART_HOME": str(home.root),
        "BENTOML_HOME": str(home.models),
        "BENTOML_DO_NOT_TRACK": "true",
        "PYTHONPATH": str(PROJECT),
    }
    with (tmp_path / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "--host", "127.0.0.1"], cwd=PROJECT, env=environment, stdout=log, stderr=log
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client:
            _wait(client, server, tmp_path / "server.log")
            yield client, server
    finally:
        if server.poll() is None:
            os.kill(server.pid, signal.SIGTERM)
            server.wait(60)


def _wait(client: httpx.Client, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if server.poll() is not None:
            pytest.fail(f"the server exited with {server.returncode}: {log.read_text()}")
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    pytest.fail(f"the server was not ready in {PATIENCE} s: {log.read_text()}")


def test_the_server_answers_measures_and_stops(
    served: tuple[httpx.Client, subprocess.Popen[bytes]],
) -> None:
    client, server = served
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
    assert client.get("/storefront").status_code == 200
    assert client.get("/photos/sofa").headers["content-type"] == "image/jpeg"

    os.kill(server.pid, signal.SIGTERM)
    assert server.wait(60) is not None
    with pytest.raises(httpx.TransportError):
        client.get("/livez")
