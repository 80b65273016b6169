"""More clients than the service holds: what they are told, and how soon all is well after them."""

import time
from collections import Counter
from contextlib import closing
from typing import Any, Final

from benchmarks.serving_load import BUSY, wrk
from benchmarks.serving_processes import Client

CONNECTIONS: Final = 256
"""Twice what two workers hold with `serve.max_in_flight` as it is by default."""
SECONDS: Final = 10
POLL_SECONDS: Final = 0.005
LONGEST_WAIT: Final = 30.0
AFTERWARDS: Final = 24
"""New connections, one after another, that are answered once the service is back."""
REFUSED: Final = frozenset({"429", BUSY})


def beyond(
    port: int, body: dict[str, Any], *, connections: int = CONNECTIONS, seconds: int = SECONDS
) -> dict[str, Any] | None:
    """What `wrk` gets where it holds more connections than the service holds requests.

    What is refused asks again at once, harder than a client that does as `Retry-After` says. From
    the end of that load on, somebody else asks until the first answer (`recovery_ms`), and then
    over new connections (`afterwards`). None where wrk is not installed.
    """
    with wrk(port, body) as ask:
        if ask is None:
            return None
        told = ask(connections=connections, seconds=seconds)
        ended = time.perf_counter()
        until_answered(port, body)
        recovery = 1000 * (time.perf_counter() - ended)
    statuses = Counter[str](told["statuses"])
    failed = {one for one in statuses if one[0] == "5"} - REFUSED
    return {
        "connections": connections,
        "requests": statuses.total(),
        "answered_per_second": round(statuses["200"] / seconds, 1),
        "p99_ms": told["p99_ms"],
        "statuses": dict(sorted(statuses.items())),
        "refused": sum(statuses[one] for one in REFUSED),
        "refused_without_retry_after": told["without_retry_after"],
        "errors_5xx": sum(statuses[one] for one in failed) + told["without_retry_after"],
        "recovery_ms": round(recovery, 1),
        "afterwards": answers_afterwards(port, body),
    }


def until_answered(port: int, body: dict[str, Any]) -> None:
    """Ask until the first 200. Raises RuntimeError where none comes in `LONGEST_WAIT` seconds."""
    until = time.perf_counter() + LONGEST_WAIT
    with closing(Client(port)) as client:
        while (answer := client.post("/recommend", body)).status != 200:
            if time.perf_counter() > until:
                raise RuntimeError(
                    f"after the load the service answers {answer.status} for {LONGEST_WAIT:.0f} s: "
                    f"{answer.body}"
                )
            time.sleep(POLL_SECONDS)


def answers_afterwards(port: int, body: dict[str, Any]) -> dict[str, int]:
    """Answers of new connections by status: of several workers each has some of them."""
    found = Counter[str]()
    for _ in range(AFTERWARDS):
        with closing(Client(port)) as new:
            found[str(new.post("/recommend", body).status)] += 1
    return dict(sorted(found.items()))
