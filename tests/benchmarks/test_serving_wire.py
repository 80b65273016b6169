"""The serving benchmark times answers to their last byte, and takes none short or refused."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks.serving_wire import Wire, in_turns

PAUSE = 0.05
"""Seconds between the two halves of an answer."""


class Halves(BaseHTTPRequestHandler):
    """Answers what it was asked in two halves; refuses at /refuse, breaks off at /end."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/refuse":
            self.send_response(503)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"busy")
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        half = len(body) // 2
        self._chunk(body[:half])
        if self.path == "/end":
            self.close_connection = True
            return
        time.sleep(PAUSE)
        self._chunk(body[half:])
        self._chunk(b"")

    def _chunk(self, part: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        self.wfile.flush()

    def log_message(self, *told: object) -> None:
        """Not on the test's output."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Halves)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    yield server.server_address[1]
    server.shutdown()
    serving.join()
    server.server_close()


@pytest.fixture
def wire(port: int) -> Iterator[Wire]:
    found = Wire(port, "/recommend")
    yield found
    found.close()


def test_an_answer_counts_until_its_last_byte_and_the_connection_is_kept(wire: Wire) -> None:
    for asked in ({"items": ["sofa", "vase"]}, {"items": []}):
        taken, answer = wire.answered(wire.asked(asked))

        assert answer == asked
        assert 1000 * PAUSE <= taken < 20_000 * PAUSE


def test_making_a_body_and_reading_the_answer_is_not_counted(wire: Wire) -> None:
    def slowly() -> dict[str, list[int]]:
        time.sleep(4 * PAUSE)
        return {"items": [1]}

    (taken,) = in_turns((wire, slowly), calls=2, items=1, warm_up=0, turns=1)

    assert len(taken) == 2
    assert min(taken) < 4000 * PAUSE


def test_each_is_asked_in_its_turn_and_warmed_up(port: int, wire: Wire) -> None:
    order = []

    def body(name: str) -> dict[str, list[str]]:
        order.append(name)
        return {"items": [name]}

    other = Wire(port, "/other")
    found = in_turns(
        (wire, lambda: body("a")), (other, lambda: body("b")), calls=4, items=1, warm_up=1, turns=2
    )
    other.close()

    assert order == ["a", "b", "a", "a", "b", "b", "a", "a", "b", "b"]
    assert [len(one) for one in found] == [4, 4]


def test_an_answer_with_other_items_than_asked_ends_the_measurement(wire: Wire) -> None:
    with pytest.raises(RuntimeError, match="1 of 10 items"):
        in_turns((wire, lambda: {"items": [json.dumps("sofa")]}), calls=1, items=10, turns=1)


def test_a_refusal_and_a_broken_answer_end_the_measurement(port: int) -> None:
    for path, told in (("/refuse", "503: b'busy'"), ("/end", "within an answer")):
        refused = Wire(port, path)
        with pytest.raises(RuntimeError, match=told):
            refused.answered(refused.asked({"items": [1, 2]}))
        refused.close()
