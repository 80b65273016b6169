"""A page keeps its best, gives the slots it may, and says with what probability."""

import numpy as np
import pytest

from coldstart_models.exploration.budget import ListingBudget
from coldstart_models.exploration.exploring import Explorer, build_policy, seed_of
from coldstart_models.exploration.linucb import LinUCB
from coldstart_models.exploration.page import Field, arrange
from coldstart_models.exploration.policy import Greedy
from coldstart_models.exploration.propensity import page_chances
from coldstart_models.exploration.thompson import Thompson

COUNT = 40


@pytest.fixture
def field():
    rng = np.random.default_rng(0)
    return Field(
        np.array([f"i{number:02d}" for number in range(COUNT)], dtype=object),
        np.arange(COUNT, 0, -1) / 10,
        rng.normal(size=(COUNT, 3)),
        np.ones(COUNT, bool),
    )


def arranged(field, *, k=10, eligible=None, policy=None, per_page=2, shortlist=50, seed=0):
    return arrange(
        field,
        np.arange(k),
        np.ones(COUNT, bool) if eligible is None else eligible,
        policy=policy or Thompson(),
        per_page=per_page,
        shortlist=shortlist,
        rng=np.random.default_rng(seed),
    )


@pytest.mark.parametrize("seed", range(20))
def test_the_best_keep_the_page_but_for_the_explored_places(field, seed):
    page = arranged(field, seed=seed)
    assert page.places == (4, 9)
    kept = np.delete(page.columns, page.places)
    assert kept.tolist() == list(range(8))
    assert len(set(page.columns.tolist())) == 10
    assert np.delete(page.propensities, page.places).tolist() == [1.0] * 8
    assert (page.columns[list(page.places)] >= 8).all()


def test_the_propensities_are_those_of_the_policy_on_the_pages_arms(field):
    page = arranged(field)
    rows = page_chances(Thompson(), page.arms, page.drawn, rng=np.random.default_rng(0))
    assert page.propensities[list(page.places)] == pytest.approx(
        rows[np.arange(2), list(page.drawn)]
    )
    assert page.arm_columns[list(page.drawn)].tolist() == page.columns[list(page.places)].tolist()


def test_arms_are_what_may_be_explored_and_stands_nowhere_yet(field):
    eligible = np.zeros(COUNT, bool)
    eligible[[3, 20, 30]] = True
    page = arranged(field, eligible=eligible)
    assert page.arm_columns.tolist() == [20, 30]
    assert sorted(page.columns[list(page.places)].tolist()) == [20, 30]


def test_where_fewer_may_be_explored_fewer_slots_are_given(field):
    eligible = np.zeros(COUNT, bool)
    eligible[20] = True
    one = arranged(field, eligible=eligible)
    assert one.places == (9,)
    assert one.columns.tolist() == [*range(9), 20]
    none = arranged(field, eligible=np.zeros(COUNT, bool))
    assert (none.columns.tolist(), none.places) == (list(range(10)), ())
    assert none.propensities.tolist() == [1.0] * 10


def test_the_shortlist_holds_those_that_may_be_best(field):
    page = arranged(field, shortlist=5)
    hopeful = field.scores + 2 * np.linalg.norm(field.directions, axis=1)
    best = np.argsort(-hopeful[8:])[:5] + 8
    assert page.arm_columns.tolist() == sorted(best.tolist())


def test_greedy_without_a_floor_changes_no_page(field):
    page = arranged(field, policy=Greedy(), per_page=1)
    assert page.columns.tolist() == list(range(10))
    assert page.propensities.tolist() == [1.0] * 10


def test_a_turn_can_be_repeated_by_its_pages_id_and_counts_its_exposures(field):
    explorer = Explorer(LinUCB(), 1, ListingBudget(1))
    first = explorer.turn("page-1").arrange(field, np.arange(10))
    (shown,) = first.columns[list(first.places)]
    assert explorer.budget.left(field.item_ids[shown]) == 0
    again = Explorer(LinUCB(), 1, ListingBudget(1)).turn("page-1").arrange(field, np.arange(10))
    assert again.columns.tolist() == first.columns.tolist()
    later = explorer.turn("page-1").arrange(field, np.arange(10))
    assert shown not in later.arm_columns
    assert seed_of("page-1") != seed_of("page-2")


def test_only_new_listings_are_explored(field):
    known = np.zeros(COUNT, bool)
    known[25] = True
    later = Field(field.item_ids, field.scores, field.directions, known)
    page = Explorer(Thompson(), 2, ListingBudget(9)).turn("p").arrange(later, np.arange(10))
    assert page.columns[list(page.places)].tolist() == [25]


@pytest.mark.parametrize(
    ("name", "policy_id"),
    [
        ("greedy", "greedy(floor=0.2)"),
        ("thompson", "thompson(draws=64,width=0.5,floor=0.2)"),
        ("linucb", "linucb(bonus=0.5,floor=0.2)"),
    ],
)
def test_policies_are_built_by_name(name, policy_id):
    assert build_policy(name, floor=0.2, draws=64, width=0.5).policy_id == policy_id
