"""What the guards of the service cost a request: ``make bench-guards``.

The middlewares with a file of a thousand keys stand around an application that answers with its
body, and the same requests go to that application alone, in turns. No server and no network.
"""

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks import results
from bentos.recommender.asgi import App
from bentos.recommender.guarding.answers import PlainAnswers
from bentos.recommender.guarding.bodies import BoundedBodies
from bentos.recommender.guarding.buckets import Buckets
from bentos.recommender.guarding.guard import Guard
from bentos.recommender.guarding.headers import SafeHeaders
from bentos.recommender.guarding.keyring import Keyring
from bentos.recommender.guarding.keys import AskedByKey
from bentos.recommender.guarding.rates import BoundedRates
from coldstart_models.api_keys import ApiKey, Scope, write_keys

KEYS: Final = 1_000
CALLS: Final = 5_000
BODY: Final = b'{"user_id": "u1"}'


def main() -> None:
    """Measure and publish."""
    with TemporaryDirectory(prefix="coldstart-bench-") as folder:
        path = Path(folder) / "keys.toml"
        now = datetime.now(UTC)
        made = [ApiKey.made(f"k{number}", [Scope.READ], now=now) for number in range(KEYS)]
        write_keys(path, [key for _, key in made])
        guard = Guard(Keyring(path), 10_000, Buckets(rate=1e9, burst=1_000_000_000))
        token = made[KEYS // 2][0].encode()
        alone, guarded = asyncio.run(in_turns((answering, around(answering, guard)), token))
    bare, whole = (results.quantiles(one, digits=4) for one in (alone, guarded))
    results.publish(
        "guards",
        title=f"A request through the guards, {KEYS:,} keys",
        rows=[{"what": "the application alone", **bare}, {"what": "behind all guards", **whole}],
        added_p50_ms=round(whole["p50 ms"] - bare["p50 ms"], 4),
        calls=CALLS,
    )


def around(app: App, guard: Guard) -> App:
    """The application behind the guards."""
    for kind in (BoundedBodies, BoundedRates, AskedByKey):
        app = kind(app, guard=lambda: guard)
    return SafeHeaders(PlainAnswers(app))


async def answering(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the body that it was handed."""
    message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": message["body"]})


async def in_turns(apps: tuple[App, ...], token: bytes) -> tuple[list[float], ...]:
    """Milliseconds of each call of each application, asked with the key."""
    found = tuple(list[float]() for _ in apps)
    for _ in range(CALLS):
        for app, times in zip(apps, found, strict=True):
            times.append(await _called(app, token))
    return found


async def _called(app: App, token: bytes) -> float:
    status = 0

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": BODY, "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)

    headers = [(b"content-type", b"application/json"), (b"authorization", b"Bearer " + token)]
    scope = {"type": "http", "method": "POST", "path": "/recommend", "headers": headers}
    began = time.perf_counter()
    await app(scope, receive, send)
    spent = 1000 * (time.perf_counter() - began)
    if status != 200:
        raise RuntimeError(f"the guards answered {status}")
    return spent


if __name__ == "__main__":
    main()
