"""A small shop through every real part: extracted, aggregated, registered, trained, online."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from bentos.recommender.service import RecommenderService
from coldstart_models.training_job import train_job
from feature_repo.home import Home
from feature_repo.jobs.aggregate import aggregate
from feature_repo.jobs.extract import extract
from feature_repo.store import Store
from tests.bentos.fakes import ColourEncoder, colour_encoders
from validation import tables

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 3, 1, tzinfo=UTC)
COLOURS = {"red": (200, 30, 30), "blue": (30, 30, 200)}
KINDS = ("chair", "lamp", "sofa", "table", "vase", "rug")


def build(home: Home) -> Home:
    """Every part's real output: `prepared`, and a model over it, online."""
    store = prepared(home)
    train_job(home=home, now=NOW)
    store.materialize()
    return home


def prepared(home: Home) -> Store:
    """All that a model learns from, of encoders that see colours; the store it is registered in."""
    list_and_log(home)
    extract(
        home=home,
        now=NOW,
        image_encoder=ColourEncoder("image"),
        text_encoder=ColourEncoder("text"),
    )
    aggregate(home=home, now=NOW)
    store = Store(home)
    store.apply()
    return store


def service_of(home: Home, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The service object over what `build` made."""
    monkeypatch.setenv("COLDSTART_HOME", str(home.root))
    service = RecommenderService.inner()
    service._encoders = colour_encoders()
    return service


def list_and_log(home: Home) -> None:
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
