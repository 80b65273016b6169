"""The service under load beside the least that a service could do: ``make bench-serving``.

A generated shop is trained, its features are materialized into a Redis of the benchmark's own and
the service is started as `coldstart serve` does, on loopback. One client on a kept connection asks
for the ten best of 500 candidates; a second service on the same BentoML
(`benchmarks.serving_floor`) reads the same user's row from Redis and multiplies the same vectors,
in turns with it. Then: how soon a new listing is recommended and how soon an event moves what is
shown, and many clients at once.
"""

import argparse
import base64
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq
import redis
from PIL import Image

from benchmarks import results
from benchmarks.servers import redis_server
from benchmarks.serving_floor import FOLDER_VARIABLE
from coldstart_models.api_keys import OPEN_VARIABLE
from feature_repo.catalogs.marketplace import MarketplaceSize
from feature_repo.environment import ENVIRONMENT_VARIABLE
from feature_repo.feature_tables import USER_HISTORY
from feature_repo.home import REPOSITORY, Home
from validation import tables

PROJECT: Final = Path(__file__).resolve().parents[1]
CANDIDATES: Final = 500
SIZE: Final = MarketplaceSize(
    users=200, home_listings=400, source_listings=100, weeks=12, sessions=12.0
)
"""As many listings as there are candidates."""
HISTORY: Final = 50
"""Events of the user who asks, at least where there is one."""
START_SECONDS: Final = 180.0
POLL_SECONDS: Final = 0.01
LONGEST_WAIT: Final = 30.0
FLOOR: Final = "benchmarks.serving_floor:Floor"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: Any


class Client:
    """One kept connection, with as little around it as there can be."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def post(self, path: str, body: object) -> Answer:
        """JSON there, and back what is JSON; other answers as they are."""
        self.connection.request(
            "POST", path, json.dumps(body), {"Content-Type": "application/json"}
        )
        response = self.connection.getresponse()
        content = response.read()
        told = response.headers.get_content_type() == "application/json"
        return Answer(response.status, json.loads(content) if told and content else content)


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(prog="benchmarks.serving", description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000, help="of either service")
    parser.add_argument("--listings", type=int, default=20, help="added one by one")
    parser.add_argument("--events", type=int, default=20, help="sent one by one")
    parser.add_argument("--clients", type=int, default=16, help="at once")
    parser.add_argument("--seconds", type=float, default=20.0, help="of many clients")
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
        ours = stack.enter_context(served(home, folder / "service.log"))
        floor = stack.enter_context(served(home, folder / "floor.log", FLOOR))
        body = {"user_id": user, "k": 10, "pool": "all", "exclude_seen": False}
        found, least = in_turns(
            expect(Client(ours), "/recommend"),
            expect(Client(floor), "/recommend"),
            body,
            calls=options.calls,
        )
        shown = times_to_be_shown(Client(ours), options.listings)
        moved = times_to_move(Client(ours), home, options.events)
        load = under_load(ours, body, clients=options.clients, seconds=options.seconds)
    publish(found, least, shown, moved, load, options)


def publish(
    found: Sequence[float],
    least: Sequence[float],
    shown: Sequence[float],
    moved: Sequence[float],
    load: dict[str, Any],
    options: argparse.Namespace,
) -> None:
    """The table and its facts."""
    ours, floor, new, event = (results.quantiles(one) for one in (found, least, shown, moved))
    results.publish(
        "serving",
        title=f"The service on loopback, {CANDIDATES} candidates, Redis online",
        rows=[
            {"what": "recommend 10 of 500", **ours},
            {"what": "floor: a raw read and a product", **floor},
            {"what": "a listing, from its call until it is recommended", **new},
            {"what": "an event, from its call until recommendations move", **event},
        ],
        recommend_500={
            "p50_ms": ours["p50 ms"],
            "p99_ms": ours["p99 ms"],
            "floor_p99_ms": floor["p99 ms"],
            "ratio": round(ours["p99 ms"] / floor["p99 ms"], 2),
        },
        time_to_recommendable={"p95_ms": new["p95 ms"], "replicas": 1},
        time_to_move={"p95_ms": event["p95 ms"]},
        load=load,
        errors_5xx=load["errors_5xx"],
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


@contextmanager
def served(home: Home, log: Path, service: str | None = None) -> Iterator[int]:
    """The port of a service that is ready: ours, or another of this folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    where = ["--host", "127.0.0.1", "--port", str(port)]
    command = [sys.executable, "-m", "bentos.recommender.serve", *where]
    if service is not None:
        command = [sys.executable, "-m", "bentoml", "serve", service, *where]
    environment = {
        **os.environ,
        OPEN_VARIABLE: "1",
        "BENTOML_HOME": str(home.models),
        "BENTOML_DO_NOT_TRACK": "true",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=PROJECT, env=environment, stdout=output, stderr=output
        )
    try:
        _wait(port, process, log)
        yield port
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _wait(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise RuntimeError(f"the service is not ready: {log.read_text(errors='replace')[-2000:]}")


def expect(client: Client, path: str) -> Callable[[object], Any]:
    """A call that must succeed. Raises RuntimeError with the answer where it does not."""

    def call(body: object) -> Any:
        answer = client.post(path, body)
        if answer.status != 200:
            raise RuntimeError(f"{path} answered {answer.status}: {answer.body}")
        return answer.body

    return call


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


def times_to_be_shown(client: Client, count: int) -> list[float]:
    """Milliseconds from the call with a new listing until `recommend` shows it."""
    take, recommend = expect(client, "/listings"), expect(client, "/recommend")
    found = []
    for number in range(count):
        category = f"Home > Benchmark {number}"
        listing = {
            "item_id": f"new-{number}",
            "title": f"Oak side table with a drawer, number {number}",
            "category": category,
            "price": 100.0 + number,
            "currency": "EUR",
            "photo_base64": _photo(number),
        }
        began = time.perf_counter()
        told = take({"listings": [listing]})
        if told["accepted"] != [listing["item_id"]]:
            raise RuntimeError(f"the listing was not accepted: {told}")
        _until(
            lambda asked={"k": 10, "category": category}: recommend(asked)["items"]  # type: ignore[misc]
        )
        found.append(1000 * (time.perf_counter() - began))
    return found


def times_to_move(client: Client, home: Home, count: int) -> list[float]:
    """Milliseconds from the call with a first event until a stranger gets personal answers."""
    take, recommend = expect(client, "/events"), expect(client, "/recommend")
    item = pq.read_table(home.items, columns=[tables.ITEM_ID])[tables.ITEM_ID][0].as_py()
    found = []
    for number in range(count):
        user = f"stranger-{number}"
        event = {
            "event_id": f"moved-{number}",
            "user_id": user,
            "item_id": item,
            "event_type": "click",
            "event_timestamp": datetime.now(UTC).isoformat(),
        }
        began = time.perf_counter()
        told = take({"events": [event]})
        if told["accepted"] != [event["event_id"]]:
            raise RuntimeError(f"the event was not accepted: {told}")
        _until(lambda asked={"user_id": user}: recommend(asked)["fallback"] is None)  # type: ignore[misc]
        found.append(1000 * (time.perf_counter() - began))
    return found


def under_load(port: int, body: dict[str, Any], *, clients: int, seconds: float) -> dict[str, Any]:
    """What many clients get that ask again as soon as they have an answer.

    A connection that breaks ends the run with its error: no answer is left out of the count.
    """
    until = time.perf_counter() + seconds

    def ask(_: int) -> tuple[Counter[int], list[float]]:
        client, mine, times = Client(port), Counter[int](), list[float]()
        while time.perf_counter() < until:
            began = time.perf_counter()
            mine[client.post("/recommend", body).status] += 1
            times.append(1000 * (time.perf_counter() - began))
        return mine, times

    with ThreadPoolExecutor(clients) as pool:
        found = list(pool.map(ask, range(clients)))
    statuses = sum((counts for counts, _ in found), Counter[int]())
    taken = [one for _, times in found for one in times]
    return {
        "clients": clients,
        "requests_per_second": round(statuses[200] / seconds, 1),
        **{name.replace(" ", "_"): value for name, value in results.quantiles(taken).items()},
        "statuses": {str(status): count for status, count in sorted(statuses.items())},
        "errors_5xx": sum(count for status, count in statuses.items() if status >= 500),
    }


def _until(holds: Callable[[], Any]) -> None:
    """Ask until it holds. Raises RuntimeError where it does not in `LONGEST_WAIT` seconds."""
    until = time.perf_counter() + LONGEST_WAIT
    while not holds():
        if time.perf_counter() > until:
            raise RuntimeError(f"it did not show in {LONGEST_WAIT:.0f} s")
        time.sleep(POLL_SECONDS)


def _photo(seed: int) -> str:
    """A photo of its own as base64: soft blobs, as a picture without any edge would be blurred."""
    generator = np.random.default_rng(seed)
    blocks = generator.integers(0, 256, (12, 12, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(blocks).resize((480, 480), Image.Resampling.NEAREST).save(buffer, "JPEG")
    return base64.b64encode(buffer.getvalue()).decode()


if __name__ == "__main__":
    main()
