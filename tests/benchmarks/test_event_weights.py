"""The weights of a history's events: which are moved, how far, and what is told of it."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.event_weights import by_cut, rows_of
from coldstart_models.data.interactions import Histories
from coldstart_models.data.pools import cold_pool
from coldstart_models.data.traits import TRAITS
from coldstart_models.siamese.event_weights import RECENCY, STEPS
from coldstart_models.siamese.preparing import PastItems
from coldstart_models.siamese.ranker import prepared_task
from coldstart_models.siamese.stages import pretrain
from tests.coldstart_models.checkerboard import (
    board_split,
)


@pytest.fixture(scope="module")
def world():
    """A model, and its new items as a problem."""
    catalogue, split = board_split()
    training, pool = split.training_set(catalogue), cold_pool(split)
    model = pretrain(training, dates=False, seed=0)
    known = PastItems.of(training.interactions, model.inputs, model.fitted)
    return model, (prepared_task(training, known, pool.task), pool.chosen.toarray())


def test_rows_tell_what_new_items_and_the_past_gain_by_a_weight(world):
    model, (prepared, chosen) = world
    rows = rows_of("board", model, [(prepared, ~chosen)], (prepared, chosen))

    assert [row["weight"] for row in rows] == [f"{step:+.2f}" for step in STEPS[RECENCY]]
    # two groups that share no word: whichever events count, the whole truth is found
    assert {row["new items"] for row in rows} == {"+0.0 %"}
    assert {row["95 %"] for row in rows} == {"+0.0 to +0.0"}


def test_a_weight_that_makes_the_wrong_event_count_is_told(world):
    model, (prepared, chosen) = world
    histories = prepared.histories
    items, traits = histories.item_index.copy(), np.zeros_like(histories.traits)
    items[:, -1] = items[::-1, -2]  # each one's last event is of the other group, and dear
    traits[:, -1, TRAITS.index("price")] = 5.0
    mixed = Histories(items, histories.time_us, traits)
    problem = replace(prepared, histories=mixed), chosen

    rows = rows_of("board", model, [problem], problem)

    of_price = [row for row in rows if row["an event's"] == "price"]
    gains = {row["weight"]: float(row["new items"].split()[0]) for row in of_price}
    assert gains["+0.60"] < -1.0 < gains["-0.60"]
    assert all(row["past cold starts"] == row["new items"] for row in of_price)
    assert not model.network.scorer.trait_weights.detach().any()


def test_the_page_has_a_column_for_each_cut_and_a_dash_where_events_do_not_tell():
    numbers = {"past cold starts": "+1.0 %", "new items": "-2.0 %", "95 %": "-3.0 to -1.0"}
    rows = [
        {"cut": "a", "an event's": "price", "weight": "+0.20", **numbers},
        {"cut": "b", "an event's": RECENCY, "weight": "+0.10", **numbers},
        {"cut": "b", "an event's": "price", "weight": "+0.20", **numbers},
    ]

    found = by_cut(rows)

    cell = "+1.0 % / -2.0 % (-3.0 to -1.0)"
    assert found == [
        {"an event's": RECENCY, "weight": "+0.10", "a": "–", "b": cell},
        {"an event's": "price", "weight": "+0.20", "a": cell, "b": cell},
    ]
