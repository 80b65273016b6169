"""How long a request may take until its answer begins.

Bento has such a bound too, but its answer would pass none of the guards: it stands outside of them,
and a little later than this one, for what hangs in the guards themselves.
"""

import asyncio
from typing import Final

from bentos.recommender.asgi import Message, OfRequests, Receive, Scope, Send, refuse

SECONDS: Final = 60
BENTO_SECONDS: Final = SECONDS + 5


class BoundedTime(OfRequests):
    """Gives up, with 504, on what has not begun to answer in time."""

    async def around(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(SECONDS) as limit:
                await self._app(scope, receive, _unhurried(send, limit))
        except TimeoutError:
            if not limit.expired():  # another's
                raise
            error = f"the request was not answered within {SECONDS:g} seconds"
            await refuse(send, 504, error)


def _unhurried(send: Send, limit: asyncio.Timeout) -> Send:
    """An answer that has begun may take its time; one that comes too late is dropped."""

    async def passed(message: Message) -> None:
        if limit.expired():
            return
        if limit.when() is not None:
            limit.reschedule(None)
        await send(message)

    return passed
