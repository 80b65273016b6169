"""Any stored model serves today's listings, whichever model was trained last."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from coldstart_models.data.catalogue import load_catalogue
from coldstart_models.errors import ArtifactError
from coldstart_models.recommending import Recommender
from coldstart_models.served_model import choose
from coldstart_models.served_recommender import examine, load_served, take_up_changes
from coldstart_models.training_job import train_job
from coldstart_models.user_history import UserHistory
from feature_repo.home import Home
from feature_repo.offline_tables import append_rows, latest_rows
from feature_repo.store import Store
from tests.coldstart_models.test_training_job import home_of, unordered_shop
from tests.feature_repo.samples import NOW
from validation import tables

HISTORY = UserHistory(("i00", "i03", "i06"), ("purchase",) * 3, (NOW,) * 3)
ITEMS = [f"i{number:02d}" for number in range(60)]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return home_of(unordered_shop(), tmp_path)


def list_like(recommender: Recommender, item_id: str, *, home: Home) -> None:
    """A listing with the content of the first, taken in by a service with this model."""
    like = load_catalogue(home).take(np.array([0]))
    stored = pq.read_table(home.items).to_pandas()
    new = stored[stored[tables.ITEM_ID] == like.item_ids[0]].assign(**{tables.ITEM_ID: item_id})
    pq.write_table(tables.ITEMS.to_arrow(pd.concat([stored, new])), home.items)
    for view in ("item_image_embedding", "item_text_embedding"):
        row = latest_rows(home, view, keys=[like.item_ids[0]])
        named = pa.array([item_id] * row.num_rows, row.schema.field(tables.ITEM_ID).type)
        append_rows(row.set_column(0, row.schema.field(0), named), home=home, view=view)
    items = like.frame.assign(**{tables.ITEM_ID: [item_id]})
    rows = recommender.add_listings(items, like.image, like.text)
    Store(home).push("item_vector", rows.assign(**{tables.EVENT_TIMESTAMP: NOW}), now=NOW)


def test_models_go_and_come_back_over_the_same_listings(home: Home) -> None:
    first = train_job(home=home, now=NOW, seed=0).tag
    before = load_served(home, tag=first).score(HISTORY, ITEMS)
    second = train_job(home=home, now=NOW, seed=1).tag
    newest = load_served(home, tag=second)
    assert newest.score(HISTORY, ITEMS) != pytest.approx(before, abs=1e-3)

    back = load_served(home, tag=first)
    examine(back)
    assert (back.tag, back.snapshot_model) == (first, first)
    assert newest.snapshot_model == second
    assert back.score(HISTORY, ITEMS) == pytest.approx(before, abs=1e-4)

    list_like(newest, "n1", home=home)  # by the newer model, which is served
    list_like(back, "n2", home=home)  # by the older one, after a rollback
    served, gone = take_up_changes(["n1"], home=home, store=Store(home), recommender=back)
    assert ([list(items[tables.ITEM_ID]) for items in served], gone) == ([["n1"]], frozenset())
    assert back.serves("n1")  # its vector was the other model's
    served, gone = take_up_changes(["none"], home=home, store=Store(home), recommender=back)
    assert (served, gone) == ([], {"none"})
    back.reload(home)
    assert sorted(back._snapshot.item_ids) == sorted([*ITEMS, "n1", "n2"])
    for tag in (first, second):
        again = load_served(home, tag=tag)
        assert (again.tag, again.snapshot_model) == (tag, tag)
        assert sorted(again._snapshot.item_ids) == sorted([*ITEMS, "n1", "n2"])
        examine(again)
    live = back.score(HISTORY, [*ITEMS, "n1", "n2"])
    again = load_served(home, tag=first)
    assert again.score(HISTORY, [*ITEMS, "n1", "n2"]) == pytest.approx(live, abs=1e-3)


def test_models_that_follow_are_loaded_again_with_the_one_that_leads(home: Home) -> None:
    first = train_job(home=home, now=NOW, seed=0).tag
    second = train_job(home=home, now=NOW, seed=1).tag
    leader, follower, elsewhere = (load_served(home, tag=tag) for tag in (second, first, second))
    leader.lead([follower])
    list_like(elsewhere, "n1", home=home)  # by another process, which leads nobody here
    listed = pq.read_table(home.items).to_pandas()
    left = listed[listed[tables.ITEM_ID] != "i59"]
    pq.write_table(tables.ITEMS.to_arrow(left), home.items)
    version = follower.snapshot_version

    leader.reload(home)

    for one in (leader, follower):
        assert one.serves("n1")
        assert not one.serves("i59")
    assert follower.snapshot_version != version
    assert follower.tag == first
    told = load_served(home, tag=first).score(HISTORY, ["i00", "n1"])
    assert follower.score(HISTORY, ["i00", "n1"]) == pytest.approx(told, abs=1e-4)


def test_a_model_whose_vectors_are_gone_says_what_to_do(home: Home) -> None:
    first = train_job(home=home, now=NOW, seed=0).tag
    train_job(home=home, now=NOW, seed=1)
    home.model_vectors(first).unlink()
    with pytest.raises(ArtifactError, match=f"no vector of {first}; run `coldstart train`"):
        load_served(home, tag=first)


def test_training_keeps_what_a_rollback_needs(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coldstart_models.experiments.challenger.KEPT_MODELS", 1)
    first = train_job(home=home, now=NOW, seed=0).tag
    choose(home, tag=first, now=NOW)
    second = train_job(home=home, now=NOW, seed=1).tag
    choose(home, tag=second, now=NOW)
    third = train_job(home=home, now=NOW, seed=2).tag
    assert all(home.model_vectors(tag).exists() for tag in (first, second, third))
