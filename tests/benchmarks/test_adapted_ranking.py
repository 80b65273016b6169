"""Photos in the whole model before and after they learned: who is ranked, by what, and the gain."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import adapted_ranking
from benchmarks.adapted_ranking import KNN, PHOTOS, RANKED_BY, WHOLE, measured, rows_of
from coldstart_models.benchmark_run import SplitPlan, splitter
from coldstart_models.data.pools import cold_pool
from coldstart_models.errors import NotBetter
from tests.benchmarks.test_adaptation import SETTING, load
from tests.benchmarks.test_adaptation import shop as shop


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(adapted_ranking, "FOLDER", tmp_path)
    monkeypatch.setattr(adapted_ranking.adaptation, "FOLDER", tmp_path)
    return tmp_path


@pytest.fixture
def split(shop):
    return splitter(shop.stored, SplitPlan(random_items=0.2))(0)


def test_cold_items_are_ranked_by_photos_before_and_after(shop, split, folder):
    catalogue = shop.stored.catalogue
    found = measured(shop, catalogue, split, SETTING, load=load)

    users = cold_pool(split).task.user_index
    assert found["better"]
    assert found["users"] == users.tolist()
    for side in ("before", "after"):
        assert set(found[side]) == set(RANKED_BY)
        assert all(len(values) == len(users) for values in found[side].values())
    for ranked_by in (KNN, PHOTOS):
        assert found["after"][ranked_by] != found["before"][ranked_by]
    # each user is fond of one kind: whoever reads titles, which name it, knows it without photos
    assert np.mean(found["before"][WHOLE]) > np.mean(found["before"][PHOTOS])


def test_cold_items_are_not_learned_from_and_a_base_that_is_better_stays(
    shop, split, folder, monkeypatch
):
    held = []

    def no_better(*arguments, hold, watch, **options):
        held.append(hold)
        adapt(*arguments, hold=hold, watch=watch, **options)
        raise NotBetter("the base is as good")

    adapt = adapted_ranking.adapt
    monkeypatch.setattr(adapted_ranking, "adapt", no_better)
    catalogue = shop.stored.catalogue
    found = measured(shop, catalogue, split, replace(SETTING, seed=1), load=load)

    assert held == [set(catalogue.item_ids[split.cold])]
    assert not found["better"]
    assert found["after"] == found["before"]


def test_a_row_tells_the_gain_of_each_ranking_over_seeds_and_users():
    before, after = ({name: [share, share] for name in RANKED_BY} for share in (0.1, 0.2))
    seeds = [
        {"better": True, "users": [0, 2], "before": before, "after": after},
        {"better": False, "users": [1, 2], "before": before, "after": before},
    ]

    rows = rows_of("titles", seeds, users=4)

    assert [row["ranked by"] for row in rows] == list(RANKED_BY)
    assert {(row["seeds"], row["kept"]) for row in rows} == {(2, 1)}
    assert all(str(row["ndcg@10"]).startswith("0.1000 → 0.1500, +50.0% (") for row in rows)
