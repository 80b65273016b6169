"""Histories from the feature store are those of the log, and hold nothing later."""

import numpy as np

from coldstart_models.data.training_histories import FeatureHistories
from coldstart_models.training_job import read_training_set
from feature_repo.home import Home
from feature_repo.jobs.aggregate import aggregate
from feature_repo.store import Store
from tests.feature_repo.samples import NOW, at, events_frame, write_events, write_items

EVENTS = (
    ("ann", "sofa", "click", "2024-01-01 10:00:00"),
    ("ann", "lamp", "purchase", "2024-01-02 10:00:00"),
    ("bob", "vase", "click", "2024-01-02 11:00:00"),
    ("ann", "sofa", "purchase", "2024-01-03 10:00:00"),
    ("ann", "vase", "impression", "2024-01-03 11:00:00"),
    ("ann", "rug", "click", "2024-01-04 10:00:00.000001"),
    ("eve", "rug", "click", "2024-02-01 10:00:00"),
)


def test_point_in_time_histories_equal_the_logs_own(tmp_path):
    home = Home(tmp_path / "home")
    write_items(
        home, *({"item_id": name, "title": name} for name in ("lamp", "rug", "sofa", "vase"))
    )
    write_events(home, events_frame(*EVENTS))
    aggregate(home=home, now=NOW)
    store = Store(home)
    store.apply()
    training = read_training_set(home)
    users = np.array([2, 0, 1, 0])  # eve, ann, bob, ann
    for moment in ("2024-01-01 10:00:00", "2024-01-03 10:00:00", "2024-01-04 10:00:00.000001"):
        moment_us = at(moment).value // 1000
        read = FeatureHistories(store, training)(users, moment_us)
        own = training.interactions.before(moment_us).histories(users)
        assert read.item_index.tolist() == own.item_index.tolist()
        assert read.time_us.tolist() == own.time_us.tolist()
        np.testing.assert_allclose(read.traits, own.traits, atol=1e-6)
    known = [str(training.catalogue.item_ids[item]) for item in read.item_index[1] if item >= 0]
    assert known == ["lamp", "sofa"]
