"""Dates used plainly: as much as the validation launches say, beside the best kNN ensemble."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from benchmarks.peers.dated import WEIGHTS, DatedNeighbours
from benchmarks.pool_ndcg import pool_ndcg
from coldstart_models.data.pools import cold_pool
from coldstart_models.data.splits import cutoff_split
from coldstart_models.models import CONTENT_KNN, build_ranker
from tests.coldstart_models.checkerboard import (
    CUTOFF,
    START,
    WORDS,
    interactions_of,
    titled,
)
from validation import tables

NEW = 20
"""New items of each group before and after the cutoff."""


def turn(number: int) -> int:
    """Which of its cohort an item came as; ids, which break ties, run the other way."""
    return NEW - 1 - (number - 12) % NEW


def world(*, early_best: bool):
    """Two groups; people choose all launches of their own, or fewer the later they came."""
    titles, listed = {}, {}
    for group, words in WORDS.items():
        for number in range(12 + 2 * NEW):
            item = f"{group}{number:02}"
            titles[item] = words
            day = 0 if number < 12 else 60 + 80 * ((number - 12) // NEW) + turn(number)
            listed[item] = START + timedelta(days=day)
    catalogue = titled(titles, **{tables.LISTED_AT: [listed[item] for item in titles]})
    rows = []
    for group in WORDS:
        for user in range(30):
            rows += [(f"{group}{user}", f"{group}{number:02}", 10.0) for number in range(12)]
            for number in range(12, 12 + 2 * NEW):
                if early_best and user >= 30 - turn(number):
                    continue
                moment = (listed[f"{group}{number:02}"] - START).days + 8.0
                rows.append((f"{group}{user}", f"{group}{number:02}", moment))
    split = cutoff_split(catalogue, interactions_of(rows, catalogue), CUTOFF, dated=True)
    return split, split.training_set(catalogue)


def test_where_the_first_to_come_are_chosen_most_they_are_ranked_first():
    split, training = world(early_best=True)
    ranker, plain = DatedNeighbours(), build_ranker(CONTENT_KNN)
    for one in (ranker, plain):
        one.fit(training, seed=0)
    assert ranker.weight > 0
    pool, catalogue = cold_pool(split), training.catalogue
    dated, undated = (
        pool_ndcg(one.score(pool.task), pool, catalogue).mean() for one in (ranker, plain)
    )
    assert dated > undated + 0.05


def test_where_dates_say_nothing_the_ranking_is_the_ensembles():
    split, training = world(early_best=False)
    ranker, plain = DatedNeighbours(), build_ranker(CONTENT_KNN)
    for one in (ranker, plain):
        one.fit(training, seed=0)
    assert ranker.weight == WEIGHTS[0] == 0
    task = cold_pool(split).task
    np.testing.assert_array_equal(
        np.argsort(-ranker.score(task), axis=1, kind="stable"),
        np.argsort(-plain.score(task), axis=1, kind="stable"),
    )


@pytest.mark.parametrize("by_time", [True, False])
def test_a_shop_too_small_to_choose_on_gets_no_weight(by_time):
    split, training = world(early_best=True)
    few = replace(training, interactions=training.interactions.where(
        training.interactions.user_index < 2
    ))  # fmt: skip
    ranker = DatedNeighbours(by_time=by_time)
    ranker.fit(few, seed=0)
    assert np.isfinite(ranker.score(cold_pool(split).task)).all()
