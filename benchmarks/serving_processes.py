"""The service as a process of its own, and a client with as little around it as there can be."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from coldstart_models.api_keys import OPEN_VARIABLE
from feature_repo.home import HOME_VARIABLE, Home

PROJECT: Final = Path(__file__).resolve().parents[1]
START_SECONDS: Final = 180.0
READY_IN_A_ROW: Final = 12
"""Answers of new connections that must be ready, where several workers answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: Any


class Client:
    """One kept connection, with as little around it as there can be."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def close(self) -> None:
        self.connection.close()

    def post(self, path: str, body: object) -> Answer:
        """JSON there, and back what is JSON; other answers as they are.

        A server closes a connection that was idle for some seconds: then another is opened.
        """
        sent = ("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        try:
            self.connection.request(*sent)
            response = self.connection.getresponse()
        except (BrokenPipeError, ConnectionResetError, http.client.RemoteDisconnected):
            self.connection.close()
            self.connection.request(*sent)
            response = self.connection.getresponse()
        content = response.read()
        told = response.headers.get_content_type() == "application/json"
        return Answer(response.status, json.loads(content) if told and content else content)


@contextmanager
def served(
    home: Home, log: Path, service: str | None = None, *, workers: int = 1
) -> Iterator[tuple[int, int]]:
    """Port and process id of a service that is ready: ours, or another of this folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    where = ["--host", "127.0.0.1", "--port", str(port)]
    command = [sys.executable, "-m", "bentos.recommender.serve", *where]
    command += ["--workers", str(workers)]
    if service is not None:
        command = [sys.executable, "-m", "bentoml", "serve", service, *where]
    environment = {
        **os.environ,
        HOME_VARIABLE: str(home.root),
        OPEN_VARIABLE: "1",
        "BENTOML_HOME": str(home.models),
        "BENTOML_DO_NOT_TRACK": "true",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=PROJECT, env=environment, stdout=output, stderr=output
        )
    try:
        _wait(port, process, log, answers=1 if workers == 1 else READY_IN_A_ROW)
        yield port, process.pid
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _wait(port: int, process: "subprocess.Popen[bytes]", log: Path, *, answers: int) -> None:
    """Return once so many new connections in a row found a worker that is ready."""
    until, ready = time.monotonic() + START_SECONDS, 0
    while time.monotonic() < until and process.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/readyz")
            ready = ready + 1 if connection.getresponse().status == 200 else 0
            connection.close()
        except OSError:
            ready = 0
        if ready == answers:
            return
        time.sleep(0.0 if ready else 0.2)
    raise RuntimeError(f"the service is not ready: {log.read_text(errors='replace')[-2000:]}")


def expect(client: Client, path: str) -> Callable[[object], Any]:
    """A call that must succeed. Raises RuntimeError with the answer where it does not."""

    def call(body: object) -> Any:
        answer = client.post(path, body)
        if answer.status != 200:
            raise RuntimeError(f"{path} answered {answer.status}: {answer.body}")
        return answer.body

    return call
