"""The bound of the queue: how many requests are held at once, and how many take something in.

Only who may ask, and whose body is there, gets a place: those without a key, and those whose body
stalls, keep nobody else away.

Taking in is done one at a time. Without places of their own, four batches of events that wait for a
batch of listings would hold every thread, and nobody would be recommended anything meanwhile.

Bento has a bound of its own (`traffic.max_concurrency`), which sends away with 429 and says not
when to come again.
"""

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from http import HTTPStatus
from time import perf_counter
from typing import Final
from weakref import WeakKeyDictionary

import bentoml

from bentos.recommender import measures
from bentos.recommender.asgi import App, Receive, Scope, Send, refuse
from bentos.recommender.observing.load import LOAD, RETRY_AFTER, THREADS
from bentos.recommender.observing.request import ObservedRequest, Refusal, current

WORK: Final = frozenset({"POST", "PATCH", "DELETE"})
"""Methods of the operations; pages, photos and probes are never sent away."""
TAKING: Final = frozenset(
    {"events", "listings", "listings/update", "listings/delete", "adapt", "users/erase"}
)
"""Operations of which one is done at a time: those that wait hold no thread."""
TAKING_AT_ONCE: Final = THREADS // 2
"""Threads that they may have; the others are left to who asks."""
SATURATED: Final = Refusal(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "as many requests as the service holds are waiting; send this one again in a second",
    RETRY_AFTER,
)


class BoundedPlaces:
    """Gives each request of an operation a place, or sends it away."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._places: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = (
            WeakKeyDictionary()
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = current() if scope["type"] == "http" and scope["method"] in WORK else None
        if request is None:
            await self._app(scope, receive, send)
        elif LOAD.in_flight >= _bound():
            request.refusal = SATURATED
            measures.count_refused("saturated", endpoint=request.endpoint)
            await refuse(send, int(SATURATED.status), SATURATED.reason)
        else:
            await self._work(request, scope, receive, send)

    async def _work(
        self, request: ObservedRequest, scope: Scope, receive: Receive, send: Send
    ) -> None:
        began = perf_counter()
        LOAD.in_flight += 1
        try:
            async with self._place(request.endpoint):
                await self._app(scope, receive, send)
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


def _bound() -> int:
    bound: int = bentoml.get_current_service().max_in_flight
    return bound
