"""Around every request: its id, the bound of the queue, and reasons that a client can read.

Taking in is done one at a time. Without places of their own, four batches of events that wait for a
batch of listings would hold every thread, and nobody would be recommended anything meanwhile.

Bento has a bound of its own (`traffic.max_concurrency`), which sends away with 429 and says not
when to come again; and it hides the reason of every answer from 500 on.
"""

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from http import HTTPStatus
from time import perf_counter
from typing import Final
from weakref import WeakKeyDictionary

import bentoml
from opentelemetry import trace

from bentos.recommender import asgi, measures
from bentos.recommender.asgi import App, Header, Message, Receive, Scope, Send, header
from bentos.recommender.observing.access import Answered
from bentos.recommender.observing.load import LOAD, RETRY_AFTER, THREADS
from bentos.recommender.observing.request import (
    HEADER,
    ObservedRequest,
    Refusal,
    begin,
    end,
    request_id,
)
from bentos.recommender.observing.tracing import callers_trace

OTHER: Final = "other"
WORK: Final = frozenset({"POST", "PATCH", "DELETE"})
"""Methods of the operations; pages, photos and probes are never sent away."""
TAKING: Final = frozenset(
    {"events", "listings", "listings/update", "listings/delete", "adapt", "users/erase"}
)
"""Operations of which one is done at a time: those that wait hold no thread."""
ONE_LISTING: Final = "/listings/"
"""Begins the addresses of single listings; what follows is an id, which may be `update` too."""
VERBS: Final = {
    ("PATCH", ONE_LISTING): "listings/update",
    ("DELETE", ONE_LISTING): "listings/delete",
    ("DELETE", "/users"): "users/erase",
}
"""Method and address → the operation that does the same; see `resources`."""
TAKING_AT_ONCE: Final = THREADS // 2
"""Threads that they may have; the others are left to who asks."""
SATURATED: Final = Refusal(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "as many requests as the service holds are waiting; send this one again in a second",
    RETRY_AFTER,
)


class RequestMiddleware:
    """ASGI middleware of the service."""

    def __init__(self, app: App, *, routes: frozenset[str]) -> None:
        """Routes are the operations' addresses: only these become values of a metric's label."""
        self._app, self._routes = app, routes
        self._places: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = (
            WeakKeyDictionary()
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = header(scope, HEADER.encode())
        told = None if given is None else given.decode("latin-1")
        request = ObservedRequest(request_id(told), self._endpoint(scope))
        with callers_trace(scope):
            await self._observed(request, scope, receive, send)

    async def _observed(
        self, request: ObservedRequest, scope: Scope, receive: Receive, send: Send
    ) -> None:
        trace.get_current_span().set_attribute("coldstart.request_id", request.id)
        token, answer = begin(request), _Answer(request, Answered.of(scope), send)
        try:
            if scope["method"] not in WORK:
                await self._app(scope, receive, answer.pass_on)
            elif LOAD.in_flight >= _bound():
                request.refusal = SATURATED
                measures.count_refused("saturated", endpoint=request.endpoint)
                await answer.refuse(SATURATED)
            else:
                await self._work(scope, receive, answer)
        finally:
            answer.line.write_soon()
            end(token)

    async def _work(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        request, began = answer.request, perf_counter()
        LOAD.in_flight += 1
        try:
            async with self._place(request.endpoint):
                await self._app(scope, receive, answer.pass_on)
        finally:
            LOAD.in_flight -= 1
            if request.store_seconds:
                share = request.store_seconds / max(perf_counter() - began, 1e-9)
                measures.observe_store_share(request.endpoint, min(share, 1.0))

    def _place(self, endpoint: str) -> AbstractAsyncContextManager[object]:
        """Where a request waits before it gets a thread."""
        if endpoint not in TAKING:
            return nullcontext()
        loop = asyncio.get_running_loop()  # a semaphore belongs to one
        return self._places.setdefault(loop, asyncio.Semaphore(TAKING_AT_ONCE))

    def _endpoint(self, scope: Scope) -> str:
        """The operation that is asked for, whatever verb asks for it; never a part with an id."""
        path: str = scope["path"]
        address = ONE_LISTING if path.startswith(ONE_LISTING) else path
        verb = VERBS.get((scope["method"], address))
        return verb or (path.strip("/") if path in self._routes else OTHER)


class _Answer:
    """What goes back: with the request's id, and with the refusal where there is one."""

    def __init__(self, request: ObservedRequest, line: Answered, send: Send) -> None:
        self.request, self.line, self._send = request, line, send
        self._replaced = False

    async def pass_on(self, message: Message) -> None:
        """Send a message of the application, or the refusal in place of its answer."""
        if self._replaced:
            return
        if message["type"] == "http.response.start":
            refusal = self.request.refusal
            if refusal is not None and message["status"] >= HTTPStatus.INTERNAL_SERVER_ERROR:
                self._replaced = True
                await self.refuse(refusal)
                return
            headers = [*message.get("headers", ()), self._named()]
            message = {**message, "headers": headers}
        await self._passed(message)

    async def refuse(self, refusal: Refusal) -> None:
        """Answer with the refusal."""
        headers = [(b"retry-after", str(refusal.retry_after).encode()), self._named()]
        await asgi.refuse(self._passed, int(refusal.status), refusal.reason, headers=headers)

    async def _passed(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.line.status = message["status"]
        else:
            self.line.size += len(message.get("body", b""))
        await self._send(message)

    def _named(self) -> Header:
        return HEADER.encode(), self.request.id.encode()


def _bound() -> int:
    bound: int = bentoml.get_current_service().max_in_flight
    return bound
