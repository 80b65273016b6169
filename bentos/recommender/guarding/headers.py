"""Headers that make every answer safe to show: no sniffing, no frames, no caches, no referrers."""

from typing import Final

from bentos.recommender.asgi import App, Header, Message, Receive, Scope, Send

NOTHING: Final = b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""The policy of what is no page: it may load, run and be framed by nothing."""
ALWAYS: Final[tuple[Header, ...]] = (
    (b"content-security-policy", NOTHING),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"cache-control", b"no-store"),
)
"""Unless the answer says otherwise itself."""


class SafeHeaders:
    """Adds what an answer does not say itself."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message["headers"])
                said = {name.lower() for name, _ in given}
                given += [pair for pair in ALWAYS if pair[0] not in said]
                message = {**message, "headers": given}
            await send(message)

        await self._app(scope, receive, safely if scope["type"] == "http" else send)
