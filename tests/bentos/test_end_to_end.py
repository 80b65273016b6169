"""The service over a small shop that went through every real part."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from coldstart_models.artifacts import find_model
from coldstart_models.recommending import Recommender
from feature_repo.home import Home
from tests.bentos.real_shop import COLOURS, build, service_of
from tests.bentos.servers import PROJECT, served

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return build(Home(tmp_path_factory.mktemp("shop") / "home"))


@pytest.fixture
def service(home: Home, monkeypatch: pytest.MonkeyPatch) -> Any:
    return service_of(home, monkeypatch)


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
