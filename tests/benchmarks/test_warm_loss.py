"""What warm items lose is by the adaptation alone."""

from datetime import timedelta

import numpy as np
import pytest
import torch

from benchmarks import warm_loss
from coldstart_models.data.splits import cutoff_split
from coldstart_models.siamese.learners.plain import NoAdaptation
from coldstart_models.siamese.stages import pretrain
from tests.coldstart_models.checkerboard import (
    CUTOFF,
    START,
    board,
    board_rows,
    interactions_of,
)

SHOTS = 3
AMONG = "among new listings, {} support"


@pytest.fixture(scope="module")
def world():
    """A board on which everybody chooses two items of the other group after the cutoff."""
    catalogue, later = board(), (CUTOFF - START + timedelta(days=20)).days
    rows = board_rows()
    for user in {user for user, _, _ in rows}:
        other = "b" if user.startswith("a") else "a"
        rows += [(user, f"{other}{number:02}", later) for number in (0, 1)]
    split = cutoff_split(catalogue, interactions_of(rows, catalogue), CUTOFF, dated=True)
    model = pretrain(split.training_set(catalogue), dates=False, seed=0)
    return catalogue, split, model


@pytest.fixture(autouse=True)
def few_shots(monkeypatch):
    monkeypatch.setattr(warm_loss, "SHOTS", SHOTS)


def test_first_customers_are_ranked_their_own_listings_neither_without_support_nor_with(world):
    catalogue, split, model = world
    pool, _ = warm_loss.warm_choices(warm_loss.mixed(split, seed=0), split)
    assert len(np.unique(pool.task.support.item_index)) == 10
    model.network.learner = NoAdaptation()
    found = warm_loss.warm_loss(model, model, split, catalogue, seed=0)
    assert found["alone, before meta-training"] == found["alone, after"]
    assert found[AMONG.format("with")] == found[AMONG.format("without")]


def test_listings_that_are_lifted_above_all_take_the_warm_ones_places_unless_these_are_held(world):
    catalogue, split, model = world

    class Lifting(NoAdaptation):
        def step(self, evidence):
            weights = super().step(evidence)
            lifted = torch.where(evidence.customers > 0, 1e6, 0.0)
            return type(weights)(weights.vectors, lifted)

    model.network.learner = Lifting()
    found = warm_loss.warm_loss(model, model, split, catalogue, seed=0)
    assert found[AMONG.format("with") + ", places not held"] < found[AMONG.format("without")]
    assert found[AMONG.format("with")] == found[AMONG.format("without")]
