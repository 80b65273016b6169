"""Who asks: a key in the header, with a scope that reaches as far as the request.

401 is for who shows no key or one that is none, 403 for a key that may not. What is told and
logged is a key's name, never the key.
"""

import logging
from collections.abc import Callable
from typing import Final

from bentos.recommender import measures
from bentos.recommender.asgi import App, Receive, Scope, Send, header, refuse
from bentos.recommender.guarding import guard as rules
from bentos.recommender.guarding.access import scope_of

logger = logging.getLogger("bentoml.coldstart")

REALM: Final = b'Bearer realm="coldstart"'
ASKED_BY: Final = "coldstart.key"
"""Where in an ASGI scope the further guards find the key."""


class AskedByKey:
    """Lets through who may ask."""

    def __init__(self, app: App, *, guard: Callable[[], rules.Guard | None] | None = None) -> None:
        self._app = app
        self._guard = guard or rules.current

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":  # nothing here speaks it
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        wanted = scope_of(scope["method"], scope["path"])
        guard = self._guard()
        if wanted is None or (guard is not None and guard.keyring is None):
            await self._app(scope, receive, send)
            return
        token = bearer(header(scope, b"authorization"))
        if token is None:
            measures.count_refused("no key")
            error = "this takes an API key; send it as `Authorization: Bearer KEY`"
            await refuse(send, 401, error, headers=[(b"www-authenticate", REALM)])
            return
        key = guard.keyring.find(token) if guard is not None and guard.keyring else None
        if key is None:
            measures.count_refused("unknown key")
            logger.warning("refused an unknown API key for %s", wanted)
            told = REALM + b', error="invalid_token"'
            await refuse(send, 401, "no such API key", headers=[(b"www-authenticate", told)])
            return
        if not key.may(wanted):
            measures.count_refused("scope")
            logger.warning("refused the API key %s, which may not %s", key.name, wanted)
            told = REALM + b', error="insufficient_scope", scope="%s"' % wanted.encode()
            error = f"the API key {key.name!r} lacks the scope {wanted.value!r} that this takes"
            await refuse(send, 403, error, headers=[(b"www-authenticate", told)])
            return
        scope[ASKED_BY] = key
        await self._app(scope, receive, send)


def bearer(told: bytes | None) -> str | None:
    """The token of an Authorization header; None where it holds none."""
    if told is None:
        return None
    kind, _, token = told.partition(b" ")
    token = token.strip()
    if kind.lower() != b"bearer" or not token:
        return None
    return token.decode("latin-1")
