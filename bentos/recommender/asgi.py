"""The words of ASGI, and the few things that every middleware does with them."""

import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]

JSON: Final = b"application/json"


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first header of a lower-case name."""
    for known, value in scope["headers"]:
        if known == name:
            told: bytes = value
            return told
    return None


class OfRequests:
    """Middleware of HTTP requests: whatever else a server says goes to the app as it is."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self.around(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def around(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What it does with a request."""
        raise NotImplementedError


async def refuse(
    send: Send, status: int, error: str, *, headers: Iterable[Header] = (), **more: Any
) -> None:
    """Answer with a JSON object that says why not."""
    body = json.dumps({"error": error, **more}).encode()
    length = str(len(body)).encode()
    start: Message = {
        "type": "http.response.start",
        "status": status,
        "headers": [(b"content-type", JSON), (b"content-length", length), *headers],
    }
    await send(start)
    await send({"type": "http.response.body", "body": body})
