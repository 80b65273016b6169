"""A small shop through every real part: extract, aggregate, Feast, train, serve."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image
from starlette.testclient import TestClient

from bentos.recommender.service import RecommenderService
from coldstart_models.artifacts import find_model
from coldstart_models.listing_encoders import ListingEncoders
from coldstart_models.recommending import Recommender
from coldstart_models.training_job import train_job
from feature_repo.home import Home
from feature_repo.jobs.aggregate import aggregate
from feature_repo.jobs.extract import extract
from feature_repo.store import Store
from tests.bentos.fakes import ColourEncoder
from tests.bentos.servers import PROJECT, served
from validation import tables

pytestmark = pytest.mark.slow

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 3, 1, tzinfo=UTC)
COLOURS = {"red": (200, 30, 30), "blue": (30, 30, 200)}
KINDS = ("chair", "lamp", "sofa", "table", "vase", "rug")


def shop(home: Home) -> None:
    """48 listings in two colours; each of 40 users chooses one colour. 8 listings are new."""
    random = np.random.default_rng(0)
    items, events = [], []
    for number in range(48):
        colour = list(COLOURS)[number % 2]
        path = home.photos / f"i{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (48, 48), COLOURS[colour]).save(path)
        kind = KINDS[number % len(KINDS)]
        listed = START if number < 40 else NOW - timedelta(days=3)
        items.append(
            (f"i{number:02d}", f"{colour} {kind}", f"Home > {kind}", 20.0 + number, path, listed)
        )
    for user in range(40):
        chosen = random.permutation(np.arange(user % 2, 40, 2))[:8]
        for order, number in enumerate(chosen):
            moment = START + timedelta(days=1 + 2 * order, minutes=int(user))
            events.append((f"e{user}-{order}", f"u{user:02d}", f"i{number:02d}", moment))
    names = (tables.ITEM_ID, tables.TITLE, tables.CATEGORY, tables.PRICE, tables.IMAGE_PATH)
    frame = pd.DataFrame(items, columns=[*names, tables.LISTED_AT])
    frame[tables.IMAGE_PATH] = frame[tables.IMAGE_PATH].map(str)
    home.items.parent.mkdir(parents=True)
    frame = frame.assign(**{tables.SOURCE: "shop"})
    pq.write_table(tables.ITEMS.to_arrow(frame), home.items)
    names = (tables.EVENT_ID, tables.USER_ID, tables.ITEM_ID, tables.EVENT_TIMESTAMP)
    frame = pd.DataFrame(events, columns=names).sort_values(tables.EVENT_TIMESTAMP)
    frame = frame.assign(**{tables.EVENT_TYPE: tables.CLICK, tables.SOURCE: "shop"})
    pq.write_table(tables.EVENTS.to_arrow(frame), home.events)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("shop") / "home")
    shop(home)
    extract(
        home=home,
        now=NOW,
        image_encoder=ColourEncoder("image"),
        text_encoder=ColourEncoder("text"),
    )
    aggregate(home=home, now=NOW)
    store = Store(home)
    store.apply()
    train_job(home=home, now=NOW)
    store.materialize()
    return home


@pytest.fixture
def service(home: Home, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("COLDSTART_HOME", str(home.root))
    service = RecommenderService.inner()
    service._encoders = ListingEncoders(ColourEncoder("image"), ColourEncoder("text"))
    return service


def test_the_whole_service_on_a_trained_model(client: TestClient, home: Home) -> None:
    body = client.post("/recommend", json={"user_id": "u00", "k": 4}).json()
    assert body["fallback"] is None
    assert all(item["is_new"] for item in body["items"])
    assert {item["title"].split()[0] for item in body["items"]} == {"red"}

    for item_id in ("i40", "i07"):
        told = client.post("/explain", json={"user_id": "u00", "item_id": item_id}).json()
        total = sum(part["value"] for part in told["contributions"])
        assert total == pytest.approx(told["score"], abs=1e-4)
        asked = {"user_id": "u00", "item_ids": [item_id]}
        (scored,) = client.post("/score", json=asked).json()["scores"]
        assert scored["score"] == pytest.approx(told["score"], abs=1e-4)

    photo = Path(home.photos / "new.png")
    Image.new("RGB", (48, 48), COLOURS["red"]).save(photo)
    listing = {
        "item_id": "new",
        "title": "red sofa",
        "category": "Home > sofa",
        "price": 60.0,
        "photo_path": "new.png",
    }
    taken = client.post("/listings", json={"listings": [listing, {"item_id": "empty"}]}).json()
    assert taken["accepted"] == ["new"]
    assert [row["id"] for row in taken["quarantined"]] == ["empty"]
    body = client.post("/recommend", json={"user_id": "u00", "k": 9}).json()
    assert "new" in [item["item_id"] for item in body["items"]]

    events = [
        {
            "event_id": f"s{user}",
            "user_id": f"u{user:02d}",
            "item_id": "new",
            "event_type": "purchase",
            "event_timestamp": "2026-03-02T00:00:00Z",
        }
        for user in (0, 2, 4)
    ]
    taken = client.post("/events", json={"events": events}).json()
    assert len(taken["accepted"]) == 3, taken
    assert taken["adapted"] == ["new"]
    again = client.post("/events", json={"events": events}).json()
    assert (again["accepted"], len(again["duplicates"])) == ([], 3)
    body = client.post("/recommend", json={"user_id": "u06", "k": 20}).json()
    (found,) = [item for item in body["items"] if item["item_id"] == "new"]
    assert found["support"] == 3
    assert client.post("/recommend", json={"user_id": "stranger"}).json()["fallback"] == "popular"
    assert client.post("/score", json={"user_id": "u00", "item_ids": ["x"]}).status_code == 404

    restarted = Recommender.load(home)
    assert "new" in dict(restarted.similar("i40", k=60))
    assert restarted._snapshot.support[restarted._snapshot.position["new"]] == 3


def test_a_built_bento_serves_the_model_it_was_built_with(home: Home, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "COLDSTART_HOME": str(home.root),
        "PYTHONPATH": os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")]),
    }
    built = subprocess.run(
        [sys.executable, "-m", "bentos.recommender.build", "--json"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    bento = json.loads(built.stdout)["bento"]
    command = ("bentos.recommender.serve", "--bento", bento)
    with served(*command, home=home, log=tmp_path / "server.log") as (client, _):
        body = client.post("/recommend", json={"user_id": "u01", "k": 3}).json()
        assert {item["title"].split()[0] for item in body["items"]} == {"blue"}
        assert body["model"] == find_model(home).tag
        assert client.get("/ui").status_code == 200
        version = client.get("/docs.json").json()["info"]["version"]
        assert version == bento.partition(":")[2]
