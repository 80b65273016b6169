"""Who may not ask, and whose body stalls, takes no place from who may; late answers are safe."""

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from starlette.testclient import TestClient

from bentos.recommender.guarding import ORDER, patience, places
from bentos.recommender.guarding.bodies import BoundedBodies
from bentos.recommender.guarding.guard import Guard
from bentos.recommender.guarding.keys import AskedByKey
from bentos.recommender.guarding.patience import BoundedTime
from bentos.recommender.guarding.places import TAKING_AT_ONCE
from bentos.recommender.guarding.rates import BoundedRates
from bentos.recommender.observing.load import LOAD
from bentos.recommender.observing.middleware import RequestMiddleware
from tests.bentos.guarding.conftest import bearer

ROUTES = frozenset({"/events", "/recommend"})
BOUND = 3


@pytest.fixture(autouse=True)
def bound(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(places, "_bound", lambda: BOUND)
    yield
    assert LOAD.in_flight == 0


def around(app: Any, guard: Guard) -> Any:
    """The application behind the guards, in their order."""
    for kind in reversed(ORDER):
        if kind in (AskedByKey, BoundedRates, BoundedBodies):
            app = kind(app, guard=lambda: guard)
        else:
            app = kind(app, **({"routes": ROUTES} if kind is RequestMiddleware else {}))
    return app


class Asked:
    """One request, whose body may stall."""

    def __init__(self, app: Any, path: str, token: str | None, *, stalls: bool = False) -> None:
        self.status, self.headers, self.body = 0, dict[bytes, bytes](), b""
        headers = [(b"content-type", b"application/json")]
        for name, value in bearer(token).items() if token else ():
            headers.append((name.lower().encode(), value.encode()))
        scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
        self._stalls = stalls
        self.task = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        if self._stalls:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
        else:
            self.body += message["body"]


async def held_by(go_on: asyncio.Event, scope: Any, receive: Any, send: Any) -> None:
    """An application whose events wait."""
    if scope["path"] == "/events":
        await go_on.wait()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_who_shows_no_key_is_refused_at_once_and_takes_no_place(
    guard: Guard, tokens: dict[str, str]
) -> None:
    async def asked() -> None:
        go_on = asyncio.Event()
        app = around(partial(held_by, go_on), guard)
        busy = [Asked(app, "/events", tokens["events"]) for _ in range(TAKING_AT_ONCE)]
        await settled()
        keyless = [Asked(app, "/events", None) for _ in range(2 * BOUND)]
        await settled()
        assert {one.status for one in keyless} == {401}
        shop = Asked(app, "/recommend", tokens["read"])
        await settled()
        assert shop.status == 200
        more = Asked(app, "/events", tokens["events"])
        await settled()
        refused = Asked(app, "/recommend", tokens["read"])
        await settled()
        assert (refused.status, refused.headers[b"retry-after"]) == (503, b"1")
        assert b"send this one again" in refused.body
        assert refused.headers[b"x-request-id"]
        go_on.set()
        await asyncio.gather(*(one.task for one in (*busy, more)))
        assert {one.status for one in (*busy, more)} == {200}

    asyncio.run(asked())


def test_bodies_that_stall_take_no_place_of_those_that_are_there(
    guard: Guard, tokens: dict[str, str]
) -> None:
    async def asked() -> None:
        go_on = asyncio.Event()
        go_on.set()
        app = around(partial(held_by, go_on), guard)
        stalled = [Asked(app, "/events", tokens["events"], stalls=True) for _ in range(2 * BOUND)]
        await settled()
        there = Asked(app, "/events", tokens["events"])
        await settled()
        assert there.status == 200
        for one in stalled:
            one.task.cancel()
        await asyncio.gather(*(one.task for one in stalled), return_exceptions=True)

    asyncio.run(asked())


def test_what_takes_too_long_is_given_up_with_an_answer_that_passed_the_guards(
    guard: Guard, tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "SECONDS", 0.05)

    async def asked() -> None:
        late = Asked(around(partial(held_by, asyncio.Event()), guard), "/events", tokens["events"])
        await late.task
        assert late.status == 504
        assert b"was not answered within 0.05 seconds" in late.body
        assert late.headers[b"x-request-id"] in late.body
        assert late.headers[b"cache-control"] == b"no-store"
        assert late.headers[b"x-content-type-options"] == b"nosniff"
        assert late.headers[b"content-security-policy"].startswith(b"default-src 'none'")

    asyncio.run(asked())


def test_an_answer_that_has_begun_may_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "SECONDS", 0.05)

    async def slowly(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(0.1)
        await send({"type": "http.response.body", "body": b"done"})

    async def asked() -> None:
        found = Asked(BoundedTime(slowly), "/recommend", None)
        await found.task
        assert (found.status, found.body) == (200, b"done")

    asyncio.run(asked())


def test_a_deadline_of_the_application_is_no_late_answer() -> None:
    async def failing(scope: Any, receive: Any, send: Any) -> None:
        raise TimeoutError("its own")

    async def asked() -> None:
        with pytest.raises(TimeoutError, match="its own"):
            await Asked(BoundedTime(failing), "/recommend", None).task

    asyncio.run(asked())


def test_bento_gives_up_after_the_guards_do(client: TestClient) -> None:
    from bentos.recommender.service import RecommenderService

    assert RecommenderService.config["traffic"]["timeout"] > patience.SECONDS
