"""How often and how much: refused before the service works, and no byte read that need not be."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from bentos.recommender.guarding.bodies import BoundedBodies
from bentos.recommender.guarding.buckets import Buckets
from bentos.recommender.guarding.guard import Guard
from bentos.recommender.guarding.keyring import Keyring
from coldstart_models.api_keys import ApiKey
from tests.bentos.guarding.conftest import LARGEST, NOW, bearer

ROOM = Guard(None, 100)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def key(**own: Any) -> ApiKey:
    return ApiKey.made("a", ["read"], now=NOW, **own)[1]


def test_a_bucket_holds_a_burst_and_fills_at_its_rate() -> None:
    clock = Clock()
    buckets, one = Buckets(rate=2.0, burst=3, clock=clock), key()
    assert [buckets.take(one) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    clock.now += 0.25
    assert buckets.take(one) == pytest.approx(0.25)
    clock.now += 0.25
    assert buckets.take(one) == 0.0
    clock.now += 1000.0
    assert [buckets.take(one) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]


def test_a_key_has_a_bucket_and_a_rate_of_its_own() -> None:
    clock = Clock()
    buckets = Buckets(rate=1.0, burst=1, clock=clock)
    fast, slow = key(rate=10.0, burst=2), key()
    assert [buckets.take(fast) for _ in range(3)] == [0.0, 0.0, pytest.approx(0.1)]
    assert [buckets.take(slow) for _ in range(2)] == [0.0, 1.0]


def test_who_asks_too_often_is_told_when_to_ask_again(
    locked: TestClient, tokens: dict[str, str], service: Any, keys_path: Path
) -> None:
    clock = Clock()
    service.guard = Guard(Keyring(keys_path), LARGEST, Buckets(rate=0.2, burst=2, clock=clock))
    ask = lambda name="read": locked.post("/status", json={}, headers=bearer(tokens[name]))  # noqa: E731
    assert [ask().status_code for _ in range(2)] == [200, 200]
    refused = ask()
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "5"
    assert refused.json() == {"error": "the API key 'read' asks too often; again in 5 s"}
    assert ask("admin").status_code == 200  # another's bucket
    assert locked.get("/livez").status_code == 200
    clock.now += 5.0
    assert ask().status_code == 200


class Wire:
    """One request as a server hands it over, piece by piece; and what was answered."""

    def __init__(self, *parts: bytes, length: int | None = None, kind: bytes = b"application/json"):
        self.read = 0
        self._parts = list(parts)
        headers = [(b"content-type", kind)] if kind else []
        headers += [(b"content-length", str(length).encode())] if length is not None else []
        self.scope = {"type": "http", "method": "POST", "path": "/events", "headers": headers}
        self.answered: list[Any] = []

    async def receive(self) -> dict[str, Any]:
        if self.read == len(self._parts):
            return {"type": "http.disconnect"}
        part = self._parts[self.read]
        self.read += 1
        more = self.read < len(self._parts)
        return {"type": "http.request", "body": part, "more_body": more}

    async def send(self, message: Any) -> None:
        self.answered.append(message)

    @property
    def status(self) -> int:
        return int(self.answered[0]["status"])


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the body that it was handed."""
    message = await receive()
    assert message["more_body"] is False
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": message["body"]})


def sent(wire: Wire) -> Wire:
    guard = BoundedBodies(echo, guard=lambda: ROOM)
    asyncio.run(guard(wire.scope, wire.receive, wire.send))
    return wire


def test_a_body_arrives_whole_whatever_its_pieces() -> None:
    wire = sent(Wire(b"[" + b" " * 48, b"", b" " * 50 + b"]"))
    assert wire.status == 200
    assert wire.answered[1]["body"] == b"[" + b" " * 98 + b"]"


def test_a_body_of_unknown_length_is_read_only_so_far() -> None:
    wire = sent(Wire(*[b"x" * 40] * 1000))
    assert wire.status == 413
    assert wire.read == 3
    assert (b"connection", b"close") in wire.answered[0]["headers"]
    assert "longer than 100 bytes" in json.loads(wire.answered[1]["body"])["error"]


def test_a_body_that_says_it_is_too_long_is_not_read_at_all() -> None:
    wire = sent(Wire(b"x", length=101))
    assert (wire.status, wire.read) == (413, 0)


def test_a_body_that_lies_about_its_length_is_stopped() -> None:
    wire = sent(Wire(*[b"x" * 60] * 9, length=10))
    assert (wire.status, wire.read) == (413, 2)


def test_who_hangs_up_is_answered_nothing() -> None:
    wire = Wire()
    assert sent(wire).answered == []


@pytest.mark.parametrize(
    "kind",
    [
        b"",
        b"text/plain",
        b"multipart/form-data; boundary=x",
        b"application/x-www-form-urlencoded",
        b"application/vnd.bentoml+pickle",
    ],
)
def test_only_json_comes_in(kind: bytes) -> None:
    assert sent(Wire(b"{}", kind=kind)).status == 415


@pytest.mark.parametrize("kind", [b"text/plain", b"multipart/form-data; boundary=x"])
def test_another_type_is_refused_though_the_body_is_empty(kind: bytes) -> None:
    assert sent(Wire(b"", kind=kind)).status == 415


def test_an_empty_body_needs_no_type() -> None:
    assert sent(Wire(b"", kind=b"")).status == 200


def test_an_empty_form_is_refused_by_the_service(
    locked: TestClient, tokens: dict[str, str]
) -> None:
    for kind in ("multipart/form-data", "application/x-www-form-urlencoded"):
        headers = {**bearer(tokens["read"]), "content-type": kind}
        assert locked.post("/status", content=b"", headers=headers).status_code == 415
        assert locked.get("/livez", headers=headers).status_code == 200


def test_bodies_are_held_up_to_so_many_bytes_in_all_and_a_stalled_one_counts_what_came() -> None:
    guard = BoundedBodies(echo, guard=lambda: replace(ROOM, most_held=120))

    async def asked() -> list[int]:
        go_on = asyncio.Event()
        wires = [Wire(b"x" * 60, b"x" * 10), Wire(b"x" * 50), Wire(b"x" * 70), Wire(b"x" * 100)]
        first = wires[0].receive

        async def stalled() -> dict[str, Any]:
            if wires[0].read:
                await go_on.wait()
            return await first()

        slow = asyncio.create_task(guard(wires[0].scope, stalled, wires[0].send))
        await asyncio.sleep(0)
        for wire in wires[1:3]:
            await guard(wire.scope, wire.receive, wire.send)
        go_on.set()
        await slow
        await guard(wires[3].scope, wires[3].receive, wires[3].send)
        return [wire.status for wire in wires]

    assert asyncio.run(asked()) == [200, 200, 503, 200]


@pytest.mark.parametrize("kind", [b"application/json", b"Application/JSON; charset=utf-8"])
def test_json_may_be_spelt_as_it_is(kind: bytes) -> None:
    assert sent(Wire(b"{}", kind=kind)).status == 200


def test_the_service_refuses_what_is_too_long_or_no_json(
    locked: TestClient, tokens: dict[str, str]
) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(LARGEST):
            yield b" " * 1000

    headers = {**bearer(tokens["events"]), "content-type": "application/json"}
    assert locked.post("/events", content=pieces(), headers=headers).status_code == 413
    assert locked.post("/events", content=b" " * (LARGEST + 1), headers=headers).status_code == 413
    form = locked.post(
        "/events", data={"events": "http://127.0.0.1/"}, headers=bearer(tokens["events"])
    )
    assert form.status_code == 415
    too_many = {"item_ids": [f"i{n}" for n in range(101)]}
    answer = locked.post("/listings/delete", json=too_many, headers=bearer(tokens["listings"]))
    assert answer.status_code == 400
    assert (
        "item_ids: this service takes at most 100 listings a call, not 101"
        in answer.json()["error"]
    )
