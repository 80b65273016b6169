"""The service under load beside the least that a service could do: ``make bench-serving``.

A generated shop is trained, its features are materialized into a Redis of the benchmark's own and
the service is started as `coldstart serve` does, on loopback. One client on a kept connection asks
for the ten best of 500 candidates, as somebody who comes back and as somebody who just clicked
another listing, whom the service has to look at anew; a second service on the same BentoML
(`benchmarks.serving_floor`) reads the same user's row from Redis and multiplies the same vectors,
in turns with it. Then: how soon a new listing is recommended and how soon an event moves what is
shown, by one worker and by each of two, a listing also by a replica with a state folder of its
own; many clients at once; and where a request's time goes. With
`--listings` the best twenty of very many are found in a process of their own. `--parts` measures
some of these alone: the others' results stay as they were published.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from itertools import chain, cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks import results
from benchmarks.servers import redis_server
from benchmarks.serving_beyond import beyond
from benchmarks.serving_floor import FOLDER_VARIABLE
from benchmarks.serving_intake import times_to_be_shown, times_to_move
from benchmarks.serving_load import saturated, under_load
from benchmarks.serving_outcomes import FLAT_OVER, MANY
from benchmarks.serving_parts import RETRIEVAL, Measured, OtherMachine, publish, published
from benchmarks.serving_processes import PROJECT, Client, served
from benchmarks.serving_shop import Shop, item_ids, prepared
from benchmarks.serving_wire import Wire, in_turns
from feature_repo.environment import ENVIRONMENT_VARIABLE
from feature_repo.home import REPOSITORY, Home

CANDIDATES: Final = 500
FLOOR: Final = "benchmarks.serving_floor:Floor"
WORKERS: Final = 2


OURS: Final = "recommend 10 of 500"
ANEW: Final = "the same, to somebody who just clicked"
LEAST: Final = "floor: a raw read and a product"
SHOWN: Final = "a listing, from its call until it is recommended"
SHOWN_BY_EACH: Final = "the same, until each of two workers recommends it"
SHOWN_ELSEWHERE: Final = "the same, until a replica with a state folder of its own recommends it"
MOVED: Final = "an event, from its call until recommendations move"
MOVED_BY_EACH: Final = "the same, in each of two workers"
ROWS: Final = (OURS, ANEW, LEAST, SHOWN, SHOWN_BY_EACH, SHOWN_ELSEWHERE, MOVED, MOVED_BY_EACH)
FACTS: Final = (
    "recommend_500",
    "time_to_recommendable",
    "time_to_replica",
    "time_to_move",
    "load",
    "saturation",
    "profile",
    RETRIEVAL,
    "batch",
    "calls",
)


def arguments() -> argparse.ArgumentParser:
    """Whose defaults measure what the targets are of."""
    parser = argparse.ArgumentParser(prog="benchmarks.serving", description=__doc__)
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=list(PARTS),
        default=list(PARTS),
        help="the others' results stay as they were published",
    )
    parser.add_argument("--calls", type=int, default=1_000, help="of either service")
    parser.add_argument("--new", type=int, default=20, help="listings added one by one")
    parser.add_argument("--events", type=int, default=20, help="sent one by one")
    parser.add_argument("--clients", type=int, default=16, help="at once")
    parser.add_argument("--seconds", type=float, default=20.0, help="of many clients")
    parser.add_argument("--requests", type=int, default=FLAT_OVER, help="at saturation, by wrk")
    parser.add_argument(
        "--listings", type=int, nargs="*", default=[*MANY], help="to find the best twenty of"
    )
    parser.add_argument("--batch", type=int, default=1_000, help="listings in one call")
    return parser


def main() -> None:
    """Measure and publish."""
    parser = arguments()
    options = parser.parse_args()
    found = Measured()
    if set(options.parts) != set(PARTS):
        try:
            found = published()
        except OtherMachine as error:
            parser.error(str(error))
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
        shop = Shop(home, folder, user, options)
        for measured in chain.from_iterable(PARTS[name](shop) for name in options.parts):
            found = measured.beside(found)  # at once: what fails later takes nothing away
            publish(
                found.in_order(ROWS, FACTS),
                title=f"The service on loopback, {CANDIDATES} candidates, Redis online",
            )


def latency(shop: Shop) -> Iterator[Measured]:
    """One client, in turns with the floor."""
    with (
        served(shop.home, shop.folder / "floor.log", FLOOR) as (floor, _),
        served(shop.home, shop.folder / "service.log") as (ours, _),
    ):
        clicks = cycle(item_ids(shop.folder / "floor"))

        def clicking() -> dict[str, Any]:
            return {**shop.body, "session": [{"item_id": next(clicks), "event_type": "click"}]}

        least_body = {"user_id": shop.user, "k": shop.body["k"]}
        with closing(Wire(ours, "/recommend")) as ask, closing(Wire(floor, "/recommend")) as least:
            found, clicked, floor_found = in_turns(
                (ask, lambda: shop.body),
                (ask, clicking),
                (least, lambda: least_body),
                calls=shop.options.calls,
                items=shop.body["k"],
            )
    mine, others, floors = (results.quantiles(one) for one in (found, clicked, floor_found))
    yield Measured(
        {OURS: mine, ANEW: others, LEAST: floors},
        {"recommend_500": beside_floor(mine, others, floors), "calls": shop.options.calls},
    )


def beside_floor(
    mine: Mapping[str, float], clicked: Mapping[str, float], floor: Mapping[str, float]
) -> dict[str, float]:
    """The quantiles of those who come back, of those who just clicked, and how far off the floor.

    The ratios are of 99th percentiles.
    """
    told = {"": mine, "clicked_": clicked, "floor_": floor}
    taken = {
        f"{who}{level}_ms": found[f"{level} ms"]
        for who, found in told.items()
        for level in ("p50", "p99")
    }
    least = floor["p99 ms"]
    ratios = {"ratio": mine["p99 ms"] / least, "clicked_ratio": clicked["p99 ms"] / least}
    return taken | {name: round(ratio, 2) for name, ratio in ratios.items()}


def intake(shop: Shop) -> Iterator[Measured]:
    """Listings and events one by one, until one worker and until each of two shows them."""
    options, home = shop.options, shop.home
    with served(home, shop.folder / "service.log") as (ours, _):
        _warm_intake(ours)
        shown = times_to_be_shown(ours, options.new)
        moved = times_to_move(ours, home, options.events)
    with served(home, shop.folder / "workers.log", workers=WORKERS) as (ours, _):
        elsewhere = times_to_be_shown(ours, options.new, workers=WORKERS)
        known = times_to_move(ours, home, options.events, workers=WORKERS)
    found = {SHOWN: shown, SHOWN_BY_EACH: elsewhere, MOVED: moved, MOVED_BY_EACH: known}
    rows = {what: results.quantiles(taken) for what, taken in found.items()}
    yield Measured(
        rows,
        {
            "time_to_recommendable": {"p95_ms": rows[SHOWN_BY_EACH]["p95 ms"], "workers": WORKERS},
            "time_to_move": {"p95_ms": rows[MOVED_BY_EACH]["p95 ms"], "workers": WORKERS},
        },
    )


def replicas(shop: Shop) -> Iterator[Measured]:
    """Listings one by one, until a service of another state folder shows them."""
    other = Home(shop.folder / "replica")
    shutil.copytree(shop.home.root, other.root)
    with (
        served(shop.home, shop.folder / "service.log") as (ours, _),
        served(other, shop.folder / "replica.log") as (theirs, _),
    ):
        _warm_intake(ours)
        elsewhere = results.quantiles(times_to_be_shown(ours, shop.options.new, by=theirs))
    yield Measured(
        {SHOWN_ELSEWHERE: elsewhere}, {"time_to_replica": {"p95_ms": elsewhere["p95 ms"]}}
    )


def _warm_intake(port: int) -> None:
    """A listing that is held back waits for gate and encoders."""
    Client(port).post("/listings", {"listings": [{"item_id": "none", "price": -1.0}]})


def load(shop: Shop) -> Iterator[Measured]:
    """Many clients of two workers."""
    options = shop.options
    with served(shop.home, shop.folder / "workers.log", workers=WORKERS) as (ours, _):
        found = under_load(ours, shop.body, clients=options.clients, seconds=options.seconds)
    yield Measured({}, {"load": {"workers": WORKERS, **found}})


def saturation(shop: Shop) -> Iterator[Measured]:
    """`wrk` against two workers, what their memory does, and more clients than they hold."""
    with served(shop.home, shop.folder / "workers.log", workers=WORKERS) as (ours, pid):
        most = saturated(ours, pid, shop.body, requests=shop.options.requests)
        more = beyond(ours, shop.body)
    told = {"workers": WORKERS, **most, "beyond": more} if most else "wrk is not installed"
    yield Measured({}, {"saturation": told})


def profile(shop: Shop) -> Iterator[Measured]:
    """Where a request's time goes."""
    yield Measured({}, {"profile": told_by("benchmarks.serving_profile", shop.user, "200")})


def retrieval(shop: Shop) -> Iterator[Measured]:
    """The best twenty of very many."""
    for count in shop.options.listings:
        found = told_by("benchmarks.serving_retrieval", str(shop.home.root), str(count))
        yield Measured({}, {RETRIEVAL: {str(found["listings"]): found}})


def batch(shop: Shop) -> Iterator[Measured]:
    """Many new listings in one call."""
    count = str(shop.options.batch)
    yield Measured({}, {"batch": told_by("benchmarks.serving_batch", str(shop.home.root), count)})


_MEASURES: Final = (latency, intake, replicas, load, saturation, profile, retrieval, batch)
PARTS: Final[dict[str, Callable[[Shop], Iterator[Measured]]]] = {
    part.__name__: part for part in _MEASURES
}


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


if __name__ == "__main__":
    main()
