"""Real server processes on loopback, started and stopped by their process id."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from bentos.recommender.packing import package_folder
from feature_repo.home import Home

PROJECT = package_folder("bentos").parent
PATIENCE = 180.0


@contextmanager
def served(
    *arguments: str, home: Home, log: Path
) -> Iterator[tuple[httpx.Client, subprocess.Popen[bytes]]]:
    """Run ``python -m ARGUMENTS --port …`` until the block ends; a client of it, and it."""
    port = free_port()
    environment = {
        **os.environ,
        "COLDSTART_HOME": str(home.root),
        "BENTOML_HOME": str(home.models),
        "BENTOML_DO_NOT_TRACK": "true",
        "PYTHONPATH": os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")]),
    }
    command = [sys.executable, "-m", *arguments, "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, cwd=PROJECT, env=environment, stdout=output, stderr=output
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client:
            wait_until_ready(client, server, log)
            yield client, server
    finally:
        if server.poll() is None:
            os.kill(server.pid, signal.SIGTERM)
            server.wait(60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_ready(client: httpx.Client, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if server.poll() is not None:
            pytest.fail(f"the server exited with {server.returncode}: {log.read_text()}")
        try:
            if client.get("/readyz").status_code == 200 and server.poll() is None:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    pytest.fail(f"the server was not ready in {PATIENCE} s: {log.read_text()}")
