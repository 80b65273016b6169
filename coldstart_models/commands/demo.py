"""`coldstart demo`: the main job from end to end on the generated marketplace."""

import base64
import json as json_format
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from coldstart_models.api_keys import OPEN_VARIABLE
from coldstart_models.commands import (
    aggregate,
    apply,
    console,
    evaluate,
    extract,
    ingest,
    listings,
    materialize,
    meta_train,
    recommend,
    train,
)
from coldstart_models.errors import ModelError

NAME: Final = "demo"
EXAMPLES: Final = """Examples:

  coldstart demo

  coldstart demo --folder /tmp/coldstart-demo --size small
"""
MODELS: Final = "random,popularity,content-knn,siamese,siamese+meta,oracle"
COLD_SHARE: Final = 0.2
"""The last share of the log's time is what the models are judged on."""
START_UP_SECONDS: Final = 120.0


def run(
    folder: Annotated[Path, typer.Option(help="Where the demo's state lives.")] = Path("demo"),
    size: Annotated[str, typer.Option(help="demo or small.")] = "demo",
    seed: Annotated[int, typer.Option(min=0, help="Of the generated marketplace.")] = 0,
    as_of: console.AsOf = None,
) -> None:
    """Generate a marketplace, run every step on it, judge it, serve it and add a listing."""
    began = time.perf_counter()
    os.environ["COLDSTART_HOME"] = str(folder.resolve())
    now = console.present(as_of).replace(hour=0, minute=0, second=0)
    day = now.isoformat()
    with console.step("1/9 ingest"):
        _ingest(f"marketplace:{size}", seed=seed, as_of=day)
    with console.step("2/9 extract"):
        extract.run(as_of=day)
    with console.step("3/9 aggregate"):
        aggregate.run(as_of=day)
    with console.step("4/9 apply"):
        apply.run()
    with console.step("5/9 train"):
        train.run(seed=seed, as_of=day)
    with console.step("6/9 meta-train"):
        meta_train.run(seed=seed, as_of=day)
    with console.step("7/9 materialize"):
        materialize.run()
    with console.step("8/9 evaluate"):
        evaluate.run(cutoff=_cutoff(now).isoformat(), models=MODELS, as_of=day)
    for user in _users():
        recommend.run(user=user, k=3)
    with console.step("9/9 serve"):
        _serve_and_add(folder, seed=seed, now=now)
    console.say(f"the demo took {time.perf_counter() - began:.0f} s; its state is in {folder}")


def _ingest(source: str, *, seed: int, as_of: str) -> None:
    """Run `ingest`, whose last word is its exit code."""
    try:
        ingest.run(source=source, seed=seed, as_of=as_of, replace=True)
    except typer.Exit as done:
        if done.exit_code:
            raise


def _cutoff(now: datetime) -> datetime:
    """The midnight that leaves COLD_SHARE of the log's time after it."""
    import pyarrow.compute as pc

    from feature_repo.event_log import event_log
    from feature_repo.home import Home
    from validation import tables

    times = event_log(Home.current()).read([tables.EVENT_TIMESTAMP])
    first: datetime = pc.min(times[tables.EVENT_TIMESTAMP]).as_py()
    days = int((now - first) / timedelta(days=1) * COLD_SHARE)
    return now - timedelta(days=days)


def _users() -> list[str]:
    from coldstart_models.examples import example_users
    from feature_repo.home import Home

    return example_users(Home.current(), count=3)


def _serve_and_add(folder: Path, *, seed: int, now: datetime) -> None:
    """Start the service, ask it, add a feed of new listings, ask again, stop it."""
    from feature_repo.catalogs.marketplace.defects import write_feed

    user = _users()[0]
    with _service(folder / "service.log") as address:
        answer = _post(address, "recommend", {"user_id": user, "k": 3})
        found = ", ".join(item["item_id"] for item in answer["items"])
        console.say(f"asked over HTTP for {user}: {found}")
        feed, defects = write_feed(folder / "feed", seed=seed, as_of=now)
        good = _first_good(feed, set(defects))
        added = _post(address, "listings", {"listings": [good]})
        console.say(f"added one listing over HTTP: accepted {', '.join(added['accepted'])}")
        scores = _post(address, "score", {"user_id": user, "item_ids": added["accepted"]})
        console.say(f"its score for {user}: {scores['scores'][0]['score']:.3f}")
    console.say("the service has stopped; the rest of the feed, with its planted defects:")
    listings.run(file=feed, as_of=(now + timedelta(days=1)).isoformat())


def _first_good(feed: Path, defective: set[str]) -> dict[str, Any]:
    """The feed's first listing without a planted defect, as the service takes it."""
    for line in feed.read_text(encoding="utf-8").splitlines():
        row: dict[str, Any] = json_format.loads(line)
        if row.get("item_id") in defective or "image_path" not in row:
            continue
        photo = (feed.parent / row.pop("image_path")).read_bytes()
        row.pop("source", None)
        return {**row, "photo_base64": base64.b64encode(photo).decode()}
    raise ModelError(f"{feed} holds no good listing with a photo")


@contextmanager
def _service(log: Path) -> Iterator[str]:
    """A running service on a free loopback port; yields its address and stops it."""
    port = _free_port()
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "bentos.recommender.serve", "--port", str(port)],
            env={**os.environ, OPEN_VARIABLE: "1"},  # on loopback, for as long as the demo
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            address = f"http://127.0.0.1:{port}"
            _await_ready(address, process, log)
            yield address
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=30)


def _await_ready(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    import httpx

    until = time.monotonic() + START_UP_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            if httpx.get(f"{address}/readyz", timeout=2.0).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.5)
    raise ModelError(f"the service did not become ready; its log is {log}")


def _post(address: str, endpoint: str, values: dict[str, Any]) -> dict[str, Any]:
    import httpx

    answer = httpx.post(f"{address}/{endpoint}", json=values, timeout=120.0)
    answer.raise_for_status()
    result: dict[str, Any] = answer.json()
    return result


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
