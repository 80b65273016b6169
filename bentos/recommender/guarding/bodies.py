"""How much, and of what kind: a body is read piece by piece and no further than it may be long.

Only JSON comes in. Bento would also take forms and pickles, and fetch what a form's field names as
an address: none of that is reached. A body without a type, which a page of somebody else could
have a browser send, is refused as well, and so is another type though the body is empty: Bento goes
by the type before it looks for a body.
"""

from collections.abc import Callable
from typing import Final

from bentos.recommender import asgi, measures
from bentos.recommender.asgi import App, Message, Receive, Scope, Send, header, refuse
from bentos.recommender.guarding import guard as rules
from bentos.recommender.observing.load import RETRY_AFTER

BODILESS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
CLOSE: Final = (b"connection", b"close")
"""What is left of a body that is too long is not read."""


class BoundedBodies:
    """Hands a whole JSON body of an allowed length on, or refuses it.

    Bodies are read before there is a place for what they ask, and held by how much was read: one
    that stalls keeps nobody else away.
    """

    def __init__(self, app: App, *, guard: Callable[[], rules.Guard | None] | None = None) -> None:
        self._app = app
        self._guard = guard or rules.current
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        guard = None
        if scope["type"] == "http" and scope["method"] not in BODILESS:
            guard = self._guard()
        if guard is None:
            await self._app(scope, receive, send)
            return
        told = header(scope, b"content-length")
        if told is not None and told.isdigit() and int(told) > guard.largest_body:
            await _too_long(send, guard.largest_body)
            return
        parts: list[bytes] = []
        try:
            if await self._read(parts, guard, receive, send):
                await self._taken(parts, scope, receive, send)
        finally:
            self._held -= sum(map(len, parts))

    async def _read(
        self, parts: list[bytes], guard: rules.Guard, receive: Receive, send: Send
    ) -> bool:
        """Read a body; False where nobody wants it any more, or it was refused."""
        length, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return False
            part = message.get("body", b"")
            length += len(part)
            if length > guard.largest_body:
                await _too_long(send, guard.largest_body)
                return False
            if self._held + len(part) > guard.most_held:
                await _too_many(send)
                return False
            if part:
                parts.append(part)
                self._held += len(part)
            more = message.get("more_body", False)
        return True

    async def _taken(self, parts: list[bytes], scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the body on where it is JSON; where it is none, nothing may be said of its type."""
        kind = _kind(scope)
        if kind != asgi.JSON and (parts or kind):
            measures.count_refused("media type")
            await refuse(send, 415, "the body must be JSON: `Content-Type: application/json`")
            return
        await self._app(scope, _replayed(b"".join(parts), receive), send)


def _kind(scope: Scope) -> bytes:
    told = header(scope, b"content-type") or b""
    return told.partition(b";")[0].strip().lower()


async def _too_long(send: Send, most: int) -> None:
    measures.count_refused("body")
    error = f"the body is longer than {most} bytes; send less at once"
    await refuse(send, 413, error, headers=[CLOSE])


async def _too_many(send: Send) -> None:
    measures.count_refused("saturated")
    wait = (b"retry-after", str(RETRY_AFTER).encode())
    error = "the service holds as much as it may of what was sent; send this again in a second"
    await refuse(send, 503, error, headers=[wait, CLOSE])


def _replayed(body: bytes, receive: Receive) -> Receive:
    """What was read, once; then what the connection tells further."""
    first = True

    async def replay() -> Message:
        nonlocal first
        if first:
            first = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return replay
