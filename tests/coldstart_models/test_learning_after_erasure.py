"""What is learned after an erasure is what a shop learns to which the person never came."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

from coldstart_models.artifacts import find_model
from coldstart_models.data.catalogue import load_catalogue
from coldstart_models.data.learning_log import LearningLog, read_learning_log
from coldstart_models.erasing import Receipt, erase_user
from coldstart_models.siamese.files import ARRAYS, NETWORK
from coldstart_models.training_job import meta_train_job, train_job
from feature_repo import event_log as event_log_module
from feature_repo.catalogs.source import Ordering, SourceData
from feature_repo.event_log import event_log
from feature_repo.feature_tables import CREATED_TIMESTAMP
from feature_repo.home import Home
from feature_repo.jobs.ingest import ingest
from feature_repo.lineage import lineage_of
from feature_repo.store import Store
from tests.coldstart_models.stateful_search import files_with, objects_with
from tests.coldstart_models.test_training_job import home_of, unordered_shop
from tests.feature_repo.samples import NOW
from validation import gate

USER = "person-zq7x"
OPENED = pd.Timestamp("2024-01-01", tz="UTC")
LAUNCHED = OPENED + pd.Timedelta(days=120)
NEW = ("i237", "i238", "i239")
NEW_FOR_US = 28 * 86_400_000_000
OWN = (*NEW, "i00", "i10", "i20", "i31", "i41")
"""What the person chose: things of all three kinds, while everybody else keeps to one."""


def dated_shop(*, person: bool) -> SourceData:
    """Three listings are new, and the person, where they came, the first customer of each."""
    shop = unordered_shop(things=240, users=150)
    listed = [LAUNCHED if one in NEW else OPENED for one in shop.items["item_id"]]
    known = shop.events[~shop.events["item_id"].isin(NEW)]
    days = pd.to_timedelta(np.arange(len(known)) * 7 % 97, unit="D")
    chosen = [(USER, item, 1) for item in OWN] if person else []
    chosen += [(user, item, 2) for item in NEW for user in ("u03", "u04")]
    late = pd.DataFrame(chosen, columns=["user_id", "item_id", "day"])
    late["event_timestamp"] = LAUNCHED + pd.to_timedelta(late.pop("day"), unit="D")
    late = late.assign(event_type="purchase", source="shop")
    events = pd.concat([known.assign(event_timestamp=OPENED + days), late], ignore_index=True)
    items = shop.items.assign(listed_at=listed)
    return replace(shop, items=items, events=events, ordering=Ordering.TIME)


def erase(home: Home) -> Receipt:
    return erase_user(USER, home=home, store=Store(home), recommender=None, now=NOW)


def learned_from(home: Home, *, most: int) -> LearningLog:
    state, catalogue = event_log(home).state(), load_catalogue(home)
    return read_learning_log(state, catalogue, new_for_us=NEW_FOR_US, shots=2, most=most)


def assert_same(found: Any, expected: Any) -> None:
    for name in ("user_ids", "user_index", "item_index", "time_us", "traits"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


@pytest.mark.parametrize("most", [10_000, 100], ids=["everybody", "people are drawn"])
@pytest.mark.parametrize("indexed_from", [50_000, 1], ids=["short log", "indexed log"])
def test_training_reads_no_row_of_an_erased_person_even_if_the_source_still_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, indexed_from: int, most: int
) -> None:
    monkeypatch.setattr(event_log_module, "INDEXED_FROM", indexed_from)
    home = home_of(dated_shop(person=True), tmp_path / "erased")
    before = learned_from(home, most=most)
    assert objects_with(before.first, USER)
    assert erase(home).erased["events"] == len(OWN)
    never = learned_from(home_of(dated_shop(person=False), tmp_path / "never"), most=most)
    for again in (False, True):
        if again:
            ingest(dated_shop(person=True), home=home, gate=gate, now=NOW)
        after = learned_from(home, most=most)
        assert objects_with(after, USER) == []
        assert (after.events, after.share) == (before.events - len(OWN), never.share)
        assert_same(after.drawn, never.drawn)
        assert_same(after.first, never.first)
        np.testing.assert_array_equal(after.chosen, never.chosen)


def made(home: Home) -> dict[str, Any]:
    """All that a training leaves to serve: the newest model's files, and the rows of items."""
    stored = find_model(home)
    told = {
        name: value for name, value in stored.metadata.items() if name not in ("cost", "parent")
    }
    arrays = load_file(stored.path / ARRAYS) | load_file(stored.path / NETWORK)
    for view in ("item_vector", "item_adaptation"):
        table = pq.read_table(home.feature_table(view)).drop_columns(["model", CREATED_TIMESTAMP])
        arrays |= {f"{view}.{name}": table[name].to_pylist() for name in table.column_names}
    return arrays | {"config": (stored.path / "config.json").read_text(), "told": told}


def differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    assert one.keys() == other.keys()
    return [name for name in one if not np.array_equal(one[name], other[name])]


@pytest.mark.usefixtures("towers_learn")
def test_models_that_are_trained_later_are_those_of_a_shop_that_never_saw_the_person(
    tmp_path: Path,
) -> None:
    home = home_of(dated_shop(person=True), tmp_path / "erased")
    never = home_of(dated_shop(person=False), tmp_path / "never")
    train_job(home=home, now=NOW)
    with_person = made(home)
    erase(home)
    for job in (train_job, meta_train_job):
        results = [job(home=one, now=NOW) for one in (home, never)]
        assert [one.users for one in results] == [150, 150]
        assert all(one.cost is not None and one.cost.steps > 40 for one in results)
        assert differing(made(home), made(never)) == []
        assert files_with(home.root, USER) == []
        if job is train_job:
            learned = {"together.line", "item_vector.vector", "item_adaptation.delta"}
            assert learned < set(differing(with_person, made(home)))


@pytest.mark.usefixtures("towers_learn")
def test_what_a_stopped_training_had_reached_goes_and_is_never_taken_up_again(
    tmp_path: Path,
) -> None:
    home = home_of(dated_shop(person=True), tmp_path)
    steps: list[int] = []

    def stopped(step: int, total: int) -> None:
        if step == 41:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_job(home=home, now=NOW, progress=stopped)
    (checkpoint,) = home.checkpoints.iterdir()
    reached = checkpoint.read_bytes()
    assert erase(home).erased["checkpoints"] == 1
    assert list(home.checkpoints.iterdir()) == []
    checkpoint.write_bytes(reached)
    train_job(home=home, now=NOW, progress=lambda step, total: steps.append(step))
    assert steps[0] == 1


@pytest.mark.usefixtures("towers_learn")
def test_listings_learn_nothing_of_who_is_erased_while_a_training_runs(tmp_path: Path) -> None:
    home = home_of(dated_shop(person=True), tmp_path)
    log_before = event_log(home).state().generation
    receipts: list[Receipt] = []

    def told(step: int, total: int) -> None:
        if not receipts:
            receipts.append(erase(home))

    train_job(home=home, now=NOW, progress=told)
    assert [one.erased["events"] for one in receipts] == [len(OWN)]
    rows = pq.read_table(home.feature_table("item_adaptation")).to_pylist()
    assert {row["item_id"]: row["support"] for row in rows} == dict.fromkeys(NEW, 2)
    made_of = lineage_of(home, "item_adaptation").inputs["events"].version
    assert made_of == event_log(home).state().generation != log_before
    assert lineage_of(home, "item_vector").inputs["events"].version == log_before
