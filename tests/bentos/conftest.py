"""A tiny state folder and the service over it, with stand-ins for model and online store."""

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image
from starlette.testclient import TestClient

from bentos.recommender import threads
from bentos.recommender.service import RecommenderService
from bentos.recommender.warming import Warming
from coldstart_models.api_keys import FILE_VARIABLE, KEYS_VARIABLE, OPEN_VARIABLE
from coldstart_models.artifacts import Contract, save_model
from feature_repo.feature_tables import create_missing
from feature_repo.home import Home
from feature_repo.store import Store
from tests.bentos.fakes import PRIOR, CountingRecommender, MemoryStore, colour_encoders
from validation import tables

LISTED = datetime(2026, 1, 1, tzinfo=UTC)
CONTRACT = Contract(
    feature_service="coldstart_v1",
    image_encoder="",
    image_encoder_hash="",
    text_encoder="",
    text_encoder_hash="",
    vector_width=2,
    code_version="0.1.0",
    trained_at=datetime(2026, 1, 2, tzinfo=UTC),
    sources=("tiny",),
    columns=("user_history:history_item_ids",),
)


@pytest.fixture(autouse=True)
def open_to_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key is asked for, but where a test says otherwise."""
    monkeypatch.setenv(OPEN_VARIABLE, "1")
    monkeypatch.delenv(KEYS_VARIABLE, raising=False)
    monkeypatch.delenv(FILE_VARIABLE, raising=False)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Three listings, the sofa with a photo; no events; an (empty) model with its contract.

    The registry only spells the feature service's name; `Store(home).apply()` makes a real one.
    """
    home = Home(tmp_path / "home")
    monkeypatch.setenv("COLDSTART_HOME", str(home.root))
    home.photos.mkdir(parents=True)
    Image.new("RGB", (64, 64), (180, 120, 60)).save(home.photos / "sofa.jpg")
    items = pd.DataFrame(
        {
            tables.ITEM_ID: ["chair", "lamp", "sofa"],
            tables.TITLE: ["Oak chair", "Brass lamp", "Linen sofa"],
            tables.CATEGORY: ["Home > Seating", "Home > Lighting", "Home > Seating"],
            tables.PRICE: [80.0, 40.0, 700.0],
            tables.CURRENCY: ["EUR", "EUR", "EUR"],
            tables.IMAGE_PATH: [None, None, str(home.photos / "sofa.jpg")],
            tables.LISTED_AT: [pd.Timestamp(LISTED)] * 3,
            tables.SOURCE: ["tiny"] * 3,
        }
    )
    home.items.parent.mkdir(parents=True)
    pq.write_table(tables.ITEMS.to_arrow(items), home.items)
    pq.write_table(tables.EVENTS.schema.empty_table(), home.events)
    create_missing(home)
    home.registry.write_bytes(b"\n\x0ccoldstart_v1")
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "weights.json").write_text("{}")
    save_model(weights, contract=CONTRACT, metadata={}, home=home)
    return home


LEARN_BESIDE: Final = Warming._learn_beside


@pytest.fixture(autouse=True)
def _nothing_is_learned_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Services made in a test load gate and encoders when asked; servers in processes as ever."""
    monkeypatch.setattr(Warming, "_learn_beside", lambda self, contract: None)
    monkeypatch.setattr(threads, "take_turns_quickly", sys.getswitchinterval)


@pytest.fixture
def store() -> MemoryStore:
    """The online store; user `ann` chose the lamp twice."""
    store = MemoryStore()
    store.rows["user_history"] = {
        "ann": {
            "history_item_ids": ["lamp", "lamp"],
            "history_event_types": ["click", "purchase"],
            "history_time_us": [1_767_312_000_000_000, 1_767_398_400_000_000],
        }
    }
    return store


@pytest.fixture
def recommender() -> CountingRecommender:
    return CountingRecommender(PRIOR)


@pytest.fixture
def service(
    home: Home,
    store: MemoryStore,
    recommender: CountingRecommender,
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    """The service object itself, made over the stand-ins."""
    monkeypatch.setattr("feature_repo.store.Store", lambda _: store)
    monkeypatch.setattr(
        "coldstart_models.recommending.Recommender.load", lambda home, tag: recommender
    )
    return RecommenderService.inner()


@pytest.fixture
def service_over_feast(
    home: Home, recommender: CountingRecommender, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """The service over real Feast; only the recommender is a stand-in."""
    home.registry.unlink()
    Store(home).apply()
    monkeypatch.setattr(
        "coldstart_models.recommending.Recommender.load", lambda home, tag: recommender
    )
    service = RecommenderService.inner()
    service._encoders = colour_encoders()
    return service


@pytest.fixture(scope="session")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Bento's HTTP application; it registers its metrics once a process.

    `bentoml serve` tells its workers where metrics are gathered, without which `/metrics` fails.
    """
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path_factory.mktemp("metrics")))
        yield RecommenderService.to_asgi()


@pytest.fixture
def client(service: Any, application: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """The whole HTTP application of Bento, in this process, around this test's service."""

    def made() -> Any:
        return service

    for hook in ("__is_ready__", "__metrics__"):  # Bento looks for them on the class
        setattr(made, hook, getattr(RecommenderService.inner, hook))
    monkeypatch.setattr(RecommenderService, "inner", made)
    monkeypatch.setattr(service, "_warm_gate", lambda: None, raising=False)
    with TestClient(application, base_url="http://test") as client:
        until = time.monotonic() + 30
        while getattr(service, "_warming", False) and time.monotonic() < until:
            time.sleep(0.005)
        yield client
