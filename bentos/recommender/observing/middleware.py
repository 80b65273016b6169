"""Around every request: its id, its line in the log, and reasons that a client can read.

Bento hides the reason of every answer from 500 on.
"""

from http import HTTPStatus
from typing import Final

from opentelemetry import trace

from bentos.recommender import asgi
from bentos.recommender.asgi import App, Header, Message, OfRequests, Receive, Scope, Send, header
from bentos.recommender.observing.access import Answered
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
ONE_LISTING: Final = "/listings/"
"""Begins the addresses of single listings; what follows is an id, which may be `update` too."""
VERBS: Final = {
    ("PATCH", ONE_LISTING): "listings/update",
    ("DELETE", ONE_LISTING): "listings/delete",
    ("DELETE", "/users"): "users/erase",
}
"""Method and address → the operation that does the same; see `resources`."""


class RequestMiddleware(OfRequests):
    """ASGI middleware of the service."""

    def __init__(self, app: App, *, routes: frozenset[str]) -> None:
        """Routes are the operations' addresses: only these become values of a metric's label."""
        super().__init__(app)
        self._routes = routes

    async def around(self, scope: Scope, receive: Receive, send: Send) -> None:
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
            await self._app(scope, receive, answer.pass_on)
        finally:
            answer.line.write_soon()
            end(token)

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
