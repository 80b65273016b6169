"""Two trained models and a policy in one service, from the request to the report of the test."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from bentos.recommender.service import RecommenderService
from coldstart_models.artifacts import find_model
from coldstart_models.config import load_config
from coldstart_models.experiments.attribution import credited, shown_frame
from coldstart_models.training_job import train_job
from feature_repo.home import Home
from feature_repo.page_log import read_pages
from tests.bentos.real_shop import NOW, prepared

pytestmark = pytest.mark.slow

CONFIG = """
[explore]
floor = 0.5

[experiment]
name = "models"
variants = [{{name = "new", policy = "thompson"}}, {{name = "old", model = "{old}"}}]
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    home = Home(tmp_path / "home")
    store = prepared(home)
    old = train_job(home=home, now=NOW, seed=0).tag
    train_job(home=home, now=NOW, seed=1)
    store.materialize()
    (tmp_path / "coldstart.toml").write_text(CONFIG.format(old=old))
    monkeypatch.setenv("COLDSTART_CONFIG", str(tmp_path / "coldstart.toml"))
    monkeypatch.setenv("COLDSTART_HOME", str(home.root))
    return home


@pytest.fixture
def service(home: Home) -> Any:
    return RecommenderService.inner()


def test_what_is_served_is_logged_and_what_comes_of_it_is_credited(
    client: TestClient, home: Home
) -> None:
    experiment = load_config().experiment.experiment()
    assert experiment is not None
    tags = {"new": find_model(home).tag, "old": experiment.variants[1].model}
    users = [f"u{number:02d}" for number in range(12)]
    for user in users:
        variant = experiment.variant_of(user)
        assert variant is not None
        body = client.post("/recommend", json={"user_id": user, "k": 4}).json()
        assert (body["variant"], body["model"]) == (variant.name, tags[variant.name])
        explored = [item["propensity"] for item in body["items"] if item["explored"]]
        assert len(explored) == (variant.name == "new")
        *_, page = read_pages(home)
        assert [page.propensities[place - 1] for place in page.explored] == explored
        assert all(0.5 / len(page.arm_ids) <= chance < 1 for chance in explored)
    pages = list(read_pages(home))
    assert {page.variant for page in pages} == {"new", "old"}
    last = pages[-1]
    click = {"event_id": "c", "user_id": users[-1], "item_id": last.item_ids[3]}
    taken = client.post("/events", json={"events": [{**click, "event_type": "click"}]}).json()
    assert taken["accepted"] == ["c"]
    assert taken["adapted"] == [last.item_ids[3]]

    from coldstart_models.commands.experiment import _events

    found = credited(shown_frame(pages), _events(home))
    chosen = found[found["clicks"] > 0]
    assert chosen[["page_id", "item_id"]].to_numpy().tolist() == [[last.page_id, last.item_ids[3]]]
    assert chosen["variant"].tolist() == [last.variant]
    assert datetime.now(UTC) - last.served_at < timedelta(minutes=10)


def test_a_strangers_page_is_explored_and_logged_too(client: TestClient, home: Home) -> None:
    experiment = load_config().experiment.experiment()
    assert experiment is not None
    names = (f"visitor-{number}" for number in range(100))
    stranger = next(
        one for one in names if (lane := experiment.variant_of(one)) and lane.name == "new"
    )
    body = client.post("/recommend", json={"user_id": stranger, "k": 4}).json()
    assert body["fallback"] == "popular"
    assert all(item["deviation"] > 0 for item in body["items"])
    (drawn,) = (item for item in body["items"] if item["explored"])
    (page,) = read_pages(home)
    assert page.user_id == stranger
    (place,) = page.explored
    assert page.item_ids[place - 1] == drawn["item_id"] == page.arm_ids[page.drawn[0]]
    assert page.propensities[place - 1] == pytest.approx(drawn["propensity"])
    assert page.arm_directions is not None
    assert page.arm_directions.shape == (len(page.arm_ids), 1 + len(page.arm_ids))
