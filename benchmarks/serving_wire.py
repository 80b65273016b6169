"""How long a service takes to answer, without what a client in Python takes to ask and to read.

A request's bytes are made before the clock starts, go in one piece, and the answer is read as
JSON after the clock stopped, at its last byte; a parser in C says which byte that is.
"""

import json
import socket
import time
from collections.abc import Callable
from typing import Any, Final

import httptools

TOLD_AT_ONCE: Final = 1 << 16
"""Bytes."""


class Wire:
    """One kept connection to an endpoint."""

    def __init__(self, port: int, path: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._path = path

    def asked(self, body: object) -> bytes:
        """The request with a JSON body, as it is sent."""
        content = json.dumps(body).encode()
        head = (
            f"POST {self._path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        return head.encode("ascii") + content

    def answered(self, request: bytes) -> tuple[float, Any]:
        """Milliseconds until the answer was whole, and its JSON.

        Raises RuntimeError where the answer is another than 200, or the connection ends.
        """
        answer = _Answer()
        parser = httptools.HttpResponseParser(answer)
        began = time.perf_counter()
        self._socket.sendall(request)
        while not answer.whole:
            told = self._socket.recv(TOLD_AT_ONCE)
            if not told:
                raise RuntimeError(f"{self._path} ended the connection within an answer")
            parser.feed_data(told)
        taken = 1000.0 * (time.perf_counter() - began)
        if (status := parser.get_status_code()) != 200:
            raise RuntimeError(f"{self._path} answered {status}: {bytes(answer.body)!r}")
        return taken, json.loads(answer.body)

    def close(self) -> None:
        """End the connection."""
        self._socket.close()


def in_turns(
    *asked: tuple[Wire, Callable[[], dict[str, Any]]],
    calls: int,
    items: int,
    warm_up: int = 50,
    turns: int = 10,
) -> tuple[list[float], ...]:
    """Milliseconds of each call of each, a tenth of them at a time, so that all see the same.

    Args:
        asked: what is asked, and what makes the body of its next call.
        items: that every answer must hold. Raises RuntimeError where one holds others.
    """

    def once(wire: Wire, body: Callable[[], dict[str, Any]]) -> float:
        taken, answer = wire.answered(wire.asked(body()))
        if len(answer["items"]) != items:
            raise RuntimeError(f"{len(answer['items'])} of {items} items were answered")
        return taken

    for wire, body in asked:
        for _ in range(warm_up):
            once(wire, body)
    taken: tuple[list[float], ...] = tuple([] for _ in asked)
    for _ in range(turns):
        for (wire, body), kept in zip(asked, taken, strict=True):
            kept += [once(wire, body) for _ in range(calls // turns)]
    return taken


class _Answer:
    """What the parser calls back."""

    def __init__(self) -> None:
        self.body = bytearray()
        self.whole = False

    def on_body(self, part: bytes) -> None:
        self.body += part

    def on_message_complete(self) -> None:
        self.whole = True
