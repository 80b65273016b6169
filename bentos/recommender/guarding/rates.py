"""How often: refuses a key that has used up what it may ask now."""

import math
from collections.abc import Callable

from bentos.recommender import measures
from bentos.recommender.asgi import App, Receive, Scope, Send, refuse
from bentos.recommender.guarding import guard as rules
from bentos.recommender.guarding.keys import ASKED_BY
from coldstart_models.api_keys import ApiKey


class BoundedRates:
    """Refuses a key that asks more often than it may."""

    def __init__(self, app: App, *, guard: Callable[[], rules.Guard | None] | None = None) -> None:
        self._app = app
        self._guard = guard or rules.current

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key: ApiKey | None = scope.get(ASKED_BY)
        guard = self._guard() if key is not None else None
        if key is None or guard is None:
            await self._app(scope, receive, send)
            return
        wait = guard.buckets.take(key)
        if wait == 0.0:
            await self._app(scope, receive, send)
            return
        measures.count_refused("rate")
        seconds = max(1, math.ceil(wait))
        error = f"the API key {key.name!r} asks too often; again in {seconds} s"
        retry = (b"retry-after", str(seconds).encode())
        await refuse(send, 429, error, headers=[retry])
