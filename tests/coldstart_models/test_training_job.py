"""The jobs `train` and `meta-train` on logs that are not of launches."""

from pathlib import Path

import pandas as pd
import pytest

from coldstart_models.recommending import Recommender
from coldstart_models.training_job import meta_train_job, train_job
from coldstart_models.user_history import UserHistory
from feature_repo.catalogs.source import Ordering, SourceData
from feature_repo.encoders.encoder import Modality
from feature_repo.home import Home
from feature_repo.jobs.aggregate import aggregate
from feature_repo.jobs.extract import extract
from feature_repo.jobs.ingest import ingest
from feature_repo.store import Store
from tests.feature_repo.samples import NOW, CountingEncoder
from validation import gate

LETTERS = "abc"


def unordered_shop() -> SourceData:
    """60 things of three kinds; each of 45 users chose eight of one kind, nobody knows when."""
    ids = [f"i{number:02d}" for number in range(60)]
    items = pd.DataFrame(
        {
            "item_id": ids,
            "title": [LETTERS[number % 3] * (number % 4 + 1) for number in range(60)],
            "source": "shop",
        }
    )
    pairs = [
        (f"u{user:02d}", ids[(user % 3 + 3 * (user + step)) % 60])
        for user in range(45)
        for step in range(8)
    ]
    events = pd.DataFrame(pairs, columns=["user_id", "item_id"]).assign(
        event_type="purchase", event_timestamp=pd.Timestamp("2000-01-01", tz="UTC"), source="shop"
    )
    return SourceData("shop", items, events, Ordering.NONE)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "state")
    ingest(unordered_shop(), home=home, gate=gate, now=NOW)
    extract(home=home, now=NOW, image_encoder=None, text_encoder=CountingEncoder(Modality.TEXT))
    aggregate(home=home, now=NOW)
    Store(home).apply()
    return home


def test_a_log_without_order_and_without_launches_trains_and_is_served(home: Home) -> None:
    trained = train_job(home=home, now=NOW)
    tuned = meta_train_job(home=home, now=NOW)
    assert (trained.adapted, tuned.adapted) == (0, 0)
    assert (trained.items, trained.users, trained.events) == (60, 45, 360)
    recommender = Recommender.load(home)
    assert recommender.tag == tuned.tag
    when = pd.Timestamp("2000-01-01", tz="UTC").to_pydatetime()
    history = UserHistory(("i00", "i03"), ("purchase", "purchase"), (when, when))
    best = recommender.recommend(history, k=5, pool="all", exclude=("i00", "i03"))
    assert {int(item.item_id[1:]) % 3 for item in best} == {0}
