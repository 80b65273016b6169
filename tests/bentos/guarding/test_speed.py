"""What the guards cost a request."""

import asyncio
import time
from pathlib import Path
from typing import Any

from bentos.recommender.guarding.answers import PlainAnswers
from bentos.recommender.guarding.bodies import BoundedBodies
from bentos.recommender.guarding.buckets import Buckets
from bentos.recommender.guarding.guard import Guard
from bentos.recommender.guarding.headers import SafeHeaders
from bentos.recommender.guarding.keyring import Keyring
from bentos.recommender.guarding.keys import AskedByKey
from bentos.recommender.guarding.rates import BoundedRates
from coldstart_models.api_keys import ApiKey, write_keys
from tests.bentos.guarding.conftest import NOW
from tests.bentos.guarding.test_rates_and_bodies import Wire, echo


def test_all_guards_together_cost_less_than_a_fifth_of_a_millisecond(keys_path: Path) -> None:
    token, one = ApiKey.made("a", ["events"], now=NOW)
    write_keys(keys_path, [one])
    guard = Guard(Keyring(keys_path), 10_000, Buckets(rate=1e6, burst=1_000_000))
    guarded: Any = echo
    for kind in (BoundedBodies, BoundedRates, AskedByKey):
        guarded = kind(guarded, guard=lambda: guard)
    guarded = SafeHeaders(PlainAnswers(guarded))

    async def typical(app: Any) -> float:
        times = []
        for _ in range(2000):
            wire = Wire(b"{}")
            wire.scope["headers"].append((b"authorization", f"Bearer {token}".encode()))
            began = time.perf_counter()
            await app(wire.scope, wire.receive, wire.send)
            times.append(time.perf_counter() - began)
            assert wire.status == 200
        return sorted(times)[len(times) // 2]

    added = asyncio.run(typical(guarded)) - asyncio.run(typical(echo))
    print(f"the guards add {1e6 * added:.0f} µs to a request (median of 2000)")
    assert added < 0.0002
