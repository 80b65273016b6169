"""More clients than a service holds: what they are told is counted, and how soon it is back."""

import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from benchmarks import serving_beyond
from benchmarks.serving_beyond import beyond


class Busy(BaseHTTPRequestHandler):
    """Answers each third request; of the refusals every second does not say when to come again."""

    protocol_version = "HTTP/1.1"
    lock = threading.Lock()
    asked = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        with self.lock:
            number = type(self).asked = self.asked + 1
        self.send_response(503 if number % 3 else 200)
        if number % 3 == 1:
            self.send_header("retry-after", "1")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Nothing to tell."""


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Busy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_a_refusal_that_does_not_say_when_to_come_again_is_an_error(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses = {"200": 500, "429": 3, "500": 2, "503": 40, "599": 1}
    told = {"p99_ms": 9.0, "without_retry_after": 4, "statuses": statuses}
    asked: list[dict[str, Any]] = []

    def ask(**given: Any) -> dict[str, Any]:
        asked.append(given)
        return told

    monkeypatch.setattr(serving_beyond, "wrk", lambda *_: nullcontext(ask))
    found = beyond(port, {"k": 10}, seconds=5)
    assert found is not None
    assert asked == [{"connections": 256, "seconds": 5}]
    assert (found["requests"], found["refused"], found["errors_5xx"]) == (546, 43, 7)
    assert found["answered_per_second"] == 100.0
    assert found["refused_without_retry_after"] == 4
    assert sum(found["afterwards"].values()) == serving_beyond.AFTERWARDS
    assert json.loads(json.dumps(found)) == found


def test_the_service_is_back_with_the_first_answer_after_the_load(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"p99_ms": 9.0, "without_retry_after": 0, "statuses": {"503": 1}}
    monkeypatch.setattr(serving_beyond, "wrk", lambda *_: nullcontext(lambda **_: told))
    monkeypatch.setattr(serving_beyond, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(Busy, "asked", 0)
    began = time.perf_counter()
    found = beyond(port, {})
    assert found is not None
    assert 200 <= found["recovery_ms"] <= 1000 * (time.perf_counter() - began)
    assert found["afterwards"] == {"200": 8, "503": 16}


def test_a_service_that_does_not_come_back_is_told(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving_beyond, "LONGEST_WAIT", 0.0)
    monkeypatch.setattr(Busy, "asked", 0)
    with pytest.raises(RuntimeError, match="answers 503"):
        serving_beyond.until_answered(port, {})


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed (apt install wrk)")
def test_wrk_counts_answers_and_refusals_without_retry_after(port: int) -> None:
    found = beyond(port, {"k": 10}, connections=6, seconds=1)
    assert found is not None
    assert set(found["statuses"]) == {"200", "503"}
    assert found["refused"] == found["statuses"]["503"] > 10
    assert found["refused_without_retry_after"] == pytest.approx(found["refused"] / 2, abs=10)
