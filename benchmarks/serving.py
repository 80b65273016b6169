"""The service under load beside the least that a service could do: ``make bench-serving``.

A generated shop is trained, its features are materialized into a Redis of the benchmark's own and
the service is started as `coldstart serve` does, on loopback. One client on a kept connection asks
for the ten best of 500 candidates; a second service on the same BentoML
(`benchmarks.serving_floor`) reads the same user's row from Redis and multiplies the same vectors,
in turns with it. Then: how soon a new listing is recommended and how soon an event moves what is
shown, by one worker and by each of two; many clients at once; and where a request's time goes. With
`--listings` the best twenty of very many are found in a process of their own.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq
import redis

from benchmarks import results
from benchmarks.servers import redis_server
from benchmarks.serving_floor import FOLDER_VARIABLE
from benchmarks.serving_intake import times_to_be_shown, times_to_move
from benchmarks.serving_load import saturated, under_load
from benchmarks.serving_processes import PROJECT, Client, expect, served
from feature_repo.catalogs.marketplace import MarketplaceSize
from feature_repo.environment import ENVIRONMENT_VARIABLE
from feature_repo.feature_tables import USER_HISTORY
from feature_repo.home import REPOSITORY, Home
from validation import tables

CANDIDATES: Final = 500
SIZE: Final = MarketplaceSize(
    users=200, home_listings=400, source_listings=100, weeks=12, sessions=12.0
)
"""As many listings as there are candidates."""
HISTORY: Final = 50
"""Events of the user who asks, at least where there is one."""
FLOOR: Final = "benchmarks.serving_floor:Floor"
WORKERS: Final = 2


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(prog="benchmarks.serving", description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000, help="of either service")
    parser.add_argument("--new", type=int, default=20, help="listings added one by one")
    parser.add_argument("--events", type=int, default=20, help="sent one by one")
    parser.add_argument("--clients", type=int, default=16, help="at once")
    parser.add_argument("--seconds", type=float, default=20.0, help="of many clients")
    parser.add_argument("--requests", type=int, default=5_000, help="at saturation, by wrk")
    parser.add_argument(
        "--listings", type=int, nargs="*", default=[100_000], help="to find the best twenty of"
    )
    parser.add_argument("--batch", type=int, default=1_000, help="listings in one call")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="coldstart-bench-")))
        address = stack.enter_context(redis_server())
        if address is None:
            parser.error("redis-server is not installed (Debian: apt install redis-server)")
        os.environ |= {
            "COLDSTART_REDIS": address,
            "COLDSTART_HOME": str(folder / "home"),
            ENVIRONMENT_VARIABLE: str(REPOSITORY / "feature_store.redis.yaml"),
        }
        home = Home(folder / "home")
        user = prepared(home, folder / "floor", address)
        os.environ[FOLDER_VARIABLE] = str(folder / "floor")
        body = {"user_id": user, "k": 10, "pool": "all", "exclude_seen": False}
        with (
            served(home, folder / "floor.log", FLOOR) as (floor, _),
            served(home, folder / "service.log") as (ours, _),
        ):
            warmed = Client(ours)  # a listing that is held back waits for gate and encoders
            warmed.post("/listings", {"listings": [{"item_id": "none", "price": -1.0}]})
            found, least = in_turns(
                expect(Client(ours), "/recommend"),
                expect(Client(floor), "/recommend"),
                body,
                calls=options.calls,
            )
            shown = times_to_be_shown(ours, options.new)
            moved = times_to_move(ours, home, options.events)
        with served(home, folder / "workers.log", workers=WORKERS) as (ours, pid):
            elsewhere = times_to_be_shown(ours, options.new, workers=WORKERS)
            known = times_to_move(ours, home, options.events, workers=WORKERS)
            load = under_load(ours, body, clients=options.clients, seconds=options.seconds)
            most = saturated(ours, pid, body, requests=options.requests)
        profile = told_by("benchmarks.serving_profile", user, "200")
        retrieval = [
            told_by("benchmarks.serving_retrieval", str(home.root), str(count))
            for count in options.listings
        ]
        batch = told_by("benchmarks.serving_batch", str(home.root), str(options.batch))
    rows = {
        "recommend 10 of 500": found,
        "floor: a raw read and a product": least,
        "a listing, from its call until it is recommended": shown,
        "the same, until each of two workers recommends it": elsewhere,
        "an event, from its call until recommendations move": moved,
        "the same, in each of two workers": known,
    }
    publish(rows, load, most, profile, retrieval, batch, options)


def told_by(module: str, *arguments: str) -> Any:
    """What a module that measures in a process of its own prints last, as JSON."""
    told = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(told.stdout.strip().splitlines()[-1])


def publish(
    times: dict[str, list[float]],
    load: dict[str, Any],
    most: dict[str, Any] | None,
    profile: dict[str, float],
    retrieval: Sequence[dict[str, Any]],
    batch: dict[str, Any],
    options: argparse.Namespace,
) -> None:
    """The table and its facts."""
    quantiles = {what: results.quantiles(taken) for what, taken in times.items()}
    ours, floor, _, new, _, event = quantiles.values()
    errors = load["errors_5xx"] + (most["errors_5xx"] if most else 0)
    results.publish(
        "serving",
        title=f"The service on loopback, {CANDIDATES} candidates, Redis online",
        rows=[{"what": what, **taken} for what, taken in quantiles.items()],
        recommend_500={
            "p50_ms": ours["p50 ms"],
            "p99_ms": ours["p99 ms"],
            "floor_p99_ms": floor["p99 ms"],
            "ratio": round(ours["p99 ms"] / floor["p99 ms"], 2),
        },
        time_to_recommendable={"p95_ms": new["p95 ms"], "workers": WORKERS},
        time_to_move={"p95_ms": event["p95 ms"], "workers": WORKERS},
        load={"workers": WORKERS, **load},
        saturation={"workers": WORKERS, **most} if most else "wrk is not installed",
        profile=profile,
        retrieval={str(one["listings"]): one for one in retrieval},
        batch=batch,
        errors_5xx=errors,
        calls=options.calls,
    )


def prepared(home: Home, floor: Path, address: str) -> str:
    """Everything the service needs, and the floor's files; returns the user who asks."""
    from benchmarks.ranking import trained
    from feature_repo.jobs.materialize import materialize
    from feature_repo.store import Store

    _, item_ids, vectors = trained(home, size=SIZE)
    materialize(home=home, store=Store(home))
    rows = pq.read_table(
        home.feature_table(USER_HISTORY.name), columns=[tables.USER_ID, "history_item_ids"]
    ).to_pylist()
    newest = {row[tables.USER_ID]: row["history_item_ids"] for row in rows}
    user: str = min(newest, key=lambda one: (abs(len(newest[one]) - HISTORY), one))
    position = {item_id: place for place, item_id in enumerate(item_ids)}
    floor.mkdir(parents=True)
    seen = [position[item_id] for item_id in newest[user] if item_id in position]
    np.save(floor / "seen.npy", vectors[seen])
    np.save(floor / "offered.npy", vectors)
    np.save(floor / "item_ids.npy", np.array(item_ids))
    (floor / "key").write_bytes(row_key(user, address))
    return user


def row_key(user: str, address: str) -> bytes:
    """The key of the user's row in Redis: the shortest that ends an entity's value with the id."""
    host, port = address.split(":")
    keys: list[bytes] = redis.Redis(host=host, port=int(port)).keys()
    found = [key for key in keys if user.encode() in key and b"user_id" in key]
    if not found:
        raise RuntimeError(f"Redis holds no row of the user {user!r}")
    return min(found, key=len)


def in_turns(
    ours: Callable[[object], Any],
    floor: Callable[[object], Any],
    body: dict[str, Any],
    *,
    calls: int,
    warm_up: int = 50,
    turns: int = 10,
) -> tuple[list[float], list[float]]:
    """Milliseconds of each call of either, a tenth of them at a time, so that both see the same."""
    taken: tuple[list[float], list[float]] = ([], [])
    works = (ours, floor)
    bodies = (body, {"user_id": body["user_id"], "k": body["k"]})
    for work, told in zip(works, bodies, strict=True):
        for _ in range(warm_up):
            items = work(told)["items"]
            if len(items) != body["k"]:
                raise RuntimeError(f"{len(items)} of {body['k']} items were answered")
    for _ in range(turns):
        for work, told, kept in zip(works, bodies, taken, strict=True):
            kept += [
                1000 * results.seconds(lambda w=work, t=told: w(t))  # type: ignore[misc]
                for _ in range(calls // turns)
            ]
    return taken


if __name__ == "__main__":
    main()
