"""Two services with a state folder each over one online store: what one takes in, both serve."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from bentos.recommender import payloads
from bentos.recommender.service import RecommenderService
from bentos.recommender.shelf import Shelf
from coldstart_models.listed_items import listed_items
from feature_repo.environment import ENVIRONMENT_VARIABLE
from feature_repo.home import REPOSITORY, Home
from feature_repo.store import Store
from tests.bentos.fakes import PRIOR, CountingRecommender, colour_encoders
from tests.bentos.two_services import added, shown
from tests.redis_servers import redis_server
from validation import tables

Replicas = tuple[Any, Any]


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.slow)])
def replicas(
    request: pytest.FixtureRequest, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Replicas]:
    """The second folder is a copy of the first, as a backup that was restored is."""
    with ExitStack() as stack:
        kind = "feature_store.redis.yaml" if request.param == "redis" else "feature_store.yaml"
        text = (REPOSITORY / kind).read_text(encoding="utf-8")
        if request.param == "redis":
            url = stack.enter_context(redis_server(tmp_path / "redis"))
            monkeypatch.setenv("COLDSTART_REDIS", url.split("/")[2])
        file = tmp_path / "feature_store.yaml"
        file.write_text(text.replace("online_store.db", str(tmp_path / "shared" / "online.db")))
        monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(file))
        monkeypatch.setattr(
            "coldstart_models.recommending.Recommender.load",
            lambda home, tag: CountingRecommender(PRIOR),
        )
        home.registry.unlink()
        Store(home).apply()
        other = Home(tmp_path / "elsewhere")
        shutil.copytree(home.root, other.root)
        Store(other).apply()
        made = []
        for one in (home, other):
            monkeypatch.setenv("COLDSTART_HOME", str(one.root))
            service = RecommenderService.inner()
            service._encoders = colour_encoders()
            service.store.wait_at_most(2.0)
            made.append(service)
        yield made[0], made[1]


def exchanged(*services: Any) -> None:
    for service in services:
        service._exchange.look()
        service.take_up_listings()


def test_a_listing_comes_changes_learns_and_goes_in_a_folder_of_its_own(replicas: Replicas) -> None:
    here, there = replicas
    added(here, "rug", price=20.0)
    exchanged(here, there)
    assert shown(there) == shown(here) == ["chair", "lamp", "rug", "sofa"]
    assert there.shelf.label("rug")["price"] == 20.0

    change = {"item_id": "rug", "price": 35.0}
    there.change_listings(payloads.UpdateListingsRequest.model_validate({"listings": [change]}))
    exchanged(there, here)
    assert here.shelf.label("rug")["price"] == 35.0

    choice = {"history": [{"item_id": "sofa", "event_type": "click"}]}
    asked = {"item_id": "rug", "customers": [choice]}
    here.adapt(payloads.AdaptRequest.model_validate(asked))
    exchanged(here, there)
    learned = pq.read_table(there.home.feature_table("item_adaptation")).to_pylist()
    assert [(row["item_id"], row["support"]) for row in learned] == [("rug", 1)]

    there.remove_listings(payloads.DeleteListingsRequest(item_ids=["rug", "lamp"]))
    exchanged(there, here)
    assert shown(here) == shown(there) == ["chair", "sofa"]
    assert here.shelf.label("rug") == {}


def test_the_other_folder_keeps_what_it_heard(replicas: Replicas) -> None:
    here, there = replicas
    added(here, "rug", price=20.0)
    exchanged(here, there)
    assert Shelf.load(there.home).label("rug")["price"] == 20.0
    assert "rug" in list(there._online.patient.vectors("item_vector").item_ids)
    text = pq.read_table(there.home.feature_table("item_text_embedding")).to_pylist()
    assert [(row["item_id"], row["embedding"]) for row in text] == [("rug", [8.0])]
    items = pq.read_table(there.home.items).to_pylist()
    (rug,) = [row for row in items if row[tables.ITEM_ID] == "rug"]
    here_items = pq.read_table(here.home.items).to_pylist()
    assert rug in here_items
    click = {"event_id": "e1", "user_id": "bob", "item_id": "rug", "event_type": "click"}
    told = there.events(payloads.EventsRequest.model_validate({"events": [click]}))
    assert told.accepted == ["e1"]  # its gate knows the listing
    assert "rug" in listed_items(there.home).rows[tables.ITEM_ID].to_pylist()


def test_within_seconds_by_the_threads_that_look(replicas: Replicas) -> None:
    here, there = replicas
    stopped = threading.Event()

    def waiting(seconds: float) -> None:
        if stopped.wait(seconds):
            raise SystemExit

    def following(service: RecommenderService, look: Callable[[], object]) -> None:
        with suppress(SystemExit):
            service._follow(wait=waiting, look=look)

    threads = [
        threading.Thread(target=following, args=(service, look))
        for service in replicas
        for look in service.looks().values()
    ]
    for thread in threads:
        thread.start()
    try:
        added(here, "rug")
        _until(lambda: "rug" in shown(there))
        there.remove_listings(payloads.DeleteListingsRequest(item_ids=["rug"]))
        _until(lambda: "rug" not in shown(here))
    finally:
        stopped.set()
        for thread in threads:
            thread.join(30)


def _until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)
