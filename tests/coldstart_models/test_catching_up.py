"""A second recommender takes up what a first one changed, and then ranks just as it does."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from coldstart_models.adapting import adapted_rows, known_from
from coldstart_models.catching_up import catch_up
from coldstart_models.recommending import Recommender
from coldstart_models.served_recommender import take_up_changes
from feature_repo.feature_tables import ITEM_ADAPTATION, ITEM_VECTOR
from feature_repo.home import Home
from feature_repo.store import PushTo, Store
from tests.coldstart_models.checkerboard import CUTOFF, board, no_embeddings, titled
from tests.coldstart_models.test_recommending import HISTORY, recommender
from validation import tables

__all__ = ["recommender"]

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    home.items.parent.mkdir(parents=True)
    Store(home).apply()
    write_items(home, board().frame)
    return home


def write_items(home, frame):
    pq.write_table(tables.ITEMS.to_arrow(frame), home.items)


@pytest.fixture
def second(recommender):
    """The same model and vectors, in another process as it were."""
    return Recommender(
        tag=recommender.tag,
        featurizer=recommender._featurizer,
        head=recommender._head,
        network=recommender._scoring.network,
        population=recommender._scoring.population,
        snapshot=replace(recommender._snapshot),
    )


def ranked(one):
    found = one.recommend(HISTORY, k=10, pool="all", available=False)
    return [(item.item_id, item.score, item.support, item.is_new, item.reason) for item in found]


def added(recommender, store, home, listed, titles):
    """As `listings.add_listings` does after the gate."""
    new = titled(titles)
    rows = recommender.add_listings(
        new.frame, no_embeddings(len(titles)), no_embeddings(len(titles))
    )
    after = listed[~listed[tables.ITEM_ID].isin(list(titles))]
    after = tables.ITEMS.to_pandas(
        tables.ITEMS.to_arrow(pd.concat([after, new.frame]).reset_index(drop=True))
    )
    write_items(home, after)
    store.push(ITEM_VECTOR.name, known_from(rows, NOW), now=NOW, to=PushTo.ONLINE)
    return after


def test_listings_lessons_and_deletions_are_taken_up_exactly(recommender, second, home):
    store = Store(home)
    listed = added(recommender, store, home, board().frame, {"z1": "oak chair 98", "z2": "lamp"})
    learned = recommender.adapt("z1", [HISTORY] * 3, moments=[0.0] * 3)
    store.push(ITEM_ADAPTATION.name, known_from(learned, NOW), now=NOW, to=PushTo.ONLINE)
    assert ranked(second) != ranked(recommender)
    (stands,) = catch_up(["z1", "z2"], home=home, store=store, recommender=second)
    assert list(stands.items[tables.ITEM_ID]) == ["z1", "z2"]
    assert ranked(second) == ranked(recommender)
    here, there = recommender._snapshot, second._snapshot
    np.testing.assert_array_equal(here.rows, there.rows)
    np.testing.assert_array_equal(here.deltas, there.deltas)

    listed = added(recommender, store, home, listed, {"z2": "oak chair 99"})
    write_items(home, listed[listed[tables.ITEM_ID] != "z1"])
    recommender.remove_listings(["z1"])
    (stands,) = catch_up(["z1", "z2"], home=home, store=store, recommender=second)
    assert stands.gone == ("z1",)
    assert ranked(second) == ranked(recommender)
    assert not second.serves("z1")


def test_what_is_known_already_changes_nothing(recommender, home):
    store = Store(home)
    added(recommender, store, home, board().frame, {"z1": "oak chair 98"})
    version = recommender.snapshot_version
    catch_up(["z1", "nowhere"], home=home, store=store, recommender=recommender)
    assert recommender.snapshot_version == version


def test_a_lesson_that_is_gone_online_is_forgotten(recommender, second, home):
    store = Store(home)
    added(recommender, store, home, board().frame, {"z1": "oak chair 98"})
    catch_up(["z1"], home=home, store=store, recommender=second)
    before = ranked(second)
    second.adapt("z1", [HISTORY] * 3, moments=[0.0] * 3)
    assert ranked(second) != before
    catch_up(["z1"], home=home, store=store, recommender=second)
    assert ranked(second) == before


def test_another_models_vectors_are_left(recommender, second, home):
    store = Store(home)
    recommender.tag = "m:2"
    added(recommender, store, home, board().frame, {"z1": "oak chair 98"})
    (stands,) = catch_up(["z1"], home=home, store=store, recommender=second)
    assert stands.items.empty
    assert not second.serves("z1")


def followed_by(leader):
    """A recommender of another tag that takes in what the leader does."""
    follower = Recommender(
        tag="m:2",
        featurizer=leader._featurizer,
        head=leader._head,
        network=leader._scoring.network,
        population=leader._scoring.population,
        snapshot=leader._snapshot,
    )
    leader.lead([follower])
    return follower


def test_recommenders_that_follow_take_listings_up_by_their_own_model(recommender, second, home):
    store = Store(home)
    follower = followed_by(second)
    added(recommender, store, home, board().frame, {"z1": "oak chair 98"})
    catch_up(["z1"], home=home, store=store, recommender=second)
    assert follower.serves("z1")
    assert follower.score(HISTORY, ["z1"]) == pytest.approx(second.score(HISTORY, ["z1"]), abs=1e-3)
    write_items(home, board().frame)
    catch_up(["z1"], home=home, store=store, recommender=second)
    assert not follower.serves("z1")


def chosen(home, item_id, *users):
    """Write a log in which these users chose what is in HISTORY, and then the listing."""
    rows = []
    for user in users:
        for place, one in enumerate([*HISTORY.item_ids[:3], item_id]):
            moment = pd.Timestamp(CUTOFF) + pd.Timedelta(hours=place)
            row = {tables.EVENT_ID: f"{user}-{place}", tables.USER_ID: user, tables.ITEM_ID: one}
            row |= {tables.EVENT_TYPE: tables.CLICK, tables.EVENT_TIMESTAMP: moment}
            rows.append({**row, tables.SOURCE: "board"})
    frame = pd.DataFrame(rows)
    pq.write_table(tables.EVENTS.to_arrow(frame), home.events)


def test_recommenders_that_follow_learn_from_the_log_what_another_process_learned(
    recommender, second, home
):
    store = Store(home)
    follower = followed_by(second)
    added(recommender, store, home, board().frame, {"z1": "oak chair 98"})
    catch_up(["z1"], home=home, store=store, recommender=second)
    assert follower.support("z1") == 0
    chosen(home, "z1", "u1", "u2", "u3")
    _, learned = adapted_rows(["z1"], home=home, recommender=recommender)
    store.push(ITEM_ADAPTATION.name, known_from(learned, NOW), now=NOW, to=PushTo.ONLINE)
    catch_up(["z1"], home=home, store=store, recommender=second)
    assert (second.support("z1"), follower.support("z1")) == (3, 3)
    version = follower.snapshot_version
    catch_up(["z1"], home=home, store=store, recommender=second)
    assert follower.snapshot_version == version  # nothing is learned twice
    store.remove_online([ITEM_ADAPTATION.name], ["z1"])
    catch_up(["z1"], home=home, store=store, recommender=second)
    assert (second.support("z1"), follower.support("z1")) == (0, 0)


def test_of_another_models_lesson_a_model_learns_its_own_and_forgets_nothing(
    recommender, second, home
):
    store = Store(home)
    added(recommender, store, home, board().frame, {"z1": "oak chair 98"})
    chosen(home, "z1", "u1", "u2")
    catch_up(["z1"], home=home, store=store, recommender=second)
    adapted_rows(["z1"], home=home, recommender=second)
    before = ranked(second)
    recommender.tag = "m:9"
    _, learned = adapted_rows(["z1"], home=home, recommender=recommender)
    store.push(ITEM_ADAPTATION.name, known_from(learned, NOW), now=NOW, to=PushTo.ONLINE)
    take_up_changes(["z1"], home=home, store=store, recommender=second)
    assert ranked(second) == before
    chosen(home, "z1", "u1", "u2", "u3", "u4")
    take_up_changes(["z1"], home=home, store=store, recommender=second)
    assert second.support("z1") == 4
