"""What warm items lose is by the adaptation alone."""

import copy
from datetime import timedelta

import numpy as np
import pytest
import torch

from benchmarks import warm_loss
from benchmarks.pool_ndcg import pool_ndcg
from benchmarks.rehearsed import rehearsal_of
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
ALL = "among new listings, all choices, {} support"


@pytest.fixture(scope="module")
def world():
    """A board on which every other user chooses two items of the other group after the cutoff."""
    catalogue, later = board(), (CUTOFF - START + timedelta(days=20)).days
    rows = board_rows()
    for user in sorted({user for user, _, _ in rows})[::2]:
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


def test_warm_choices_are_of_those_who_chose_something_warm_and_of_nothing_new(world):
    catalogue, split, model = world
    full = warm_loss.mixed(split, seed=0)
    pool, users = warm_loss.warm_choices(full, split)
    new = ~split.warm[full.task.candidates]
    assert full.chosen.toarray()[:, new].any(axis=1).all()
    assert not pool.chosen.toarray()[:, new].any()
    assert pool.chosen.getnnz(axis=1).tolist() == [2] * len(users)
    assert len(users) == len(full.task.user_index) / 2
    np.testing.assert_array_equal(pool.task.user_index, full.task.user_index[users])

    found = warm_loss.warm_loss(model, model, split, catalogue, seed=0)
    own = rehearsal_of(model, split.training_set(catalogue), pool).scores.numpy()
    alone = pool_ndcg(own, pool, catalogue).mean()
    assert found[AMONG.format("without")] == pytest.approx(alone, abs=1e-4)
    assert 0 < alone < 1


def test_what_turns_the_new_listings_is_told_of_all_choices_and_changes_none_of_the_warm_ones(
    world,
):
    catalogue, split, model = world

    class Turning(NoAdaptation):
        def step(self, evidence):
            weights = super().step(evidence)
            height = torch.linspace(1e3, -1e3, len(evidence.customers))
            return type(weights)(weights.vectors, torch.where(evidence.customers > 0, height, 0.0))

    model.network.learner = Turning()
    found = warm_loss.warm_loss(model, model, split, catalogue, seed=0)
    assert found[AMONG.format("with")] == found[AMONG.format("without")]
    assert found[ALL.format("with")] < found[ALL.format("without")]


def test_the_model_before_meta_training_is_told_apart_from_the_one_after(world):
    catalogue, split, model = world
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.network.scorer.term_weights.neg_()
    before, after = ("alone, before meta-training", "alone, after")
    found = warm_loss.warm_loss(model, other, split, catalogue, seed=0)
    swapped = warm_loss.warm_loss(other, model, split, catalogue, seed=0)
    assert found[before] == swapped[after]
    assert found[after] == swapped[before]
    assert found[before] != found[after]
