"""Policies: the propensities are those of the draws, and the budgets hold."""

import numpy as np
import pytest

from coldstart_models.errors import ConfigError
from coldstart_models.exploration.budget import ListingBudget, slots_of
from coldstart_models.exploration.linucb import LinUCB
from coldstart_models.exploration.policy import Arms, Greedy
from coldstart_models.exploration.propensity import (
    draw_slots,
    monte_carlo_error,
    page_chances,
    slot_chances,
)
from coldstart_models.exploration.thompson import Thompson

SURE = Arms(np.array([3.0, 2.0, 1.0]), np.zeros((3, 2)))
UNSURE = Arms(np.array([1.0, 0.8, -5.0]), np.array([[0.1, 0.0], [0.0, 0.9], [0.0, 0.1]]))
POLICIES = (Greedy(floor=0.3), LinUCB(), Thompson(), Thompson(draws=1), LinUCB(floor=1.0))


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.policy_id)
def test_an_arm_is_drawn_as_often_as_its_logged_propensity_says(policy):
    """Inverse propensities of what was drawn add up to one for every arm, slot by slot."""
    rng = np.random.default_rng(3)
    pages = [draw_slots(policy, UNSURE, slots=2, rng=rng) for _ in range(6_000)]
    for slot in range(2):
        reached, squares = np.zeros(3), np.zeros(3)
        for page in pages:
            assert page[slot].chances.sum() == pytest.approx(1.0)
            assert page[slot].propensity == page[slot].chances[page[slot].arm]
            reached[page[slot].arm] += 1 / page[slot].propensity
            squares[page[slot].arm] += 1 / page[slot].propensity ** 2
        could = np.array([_open(pages, slot, arm) for arm in range(3)])
        errors = np.sqrt(squares) / len(pages)
        assert (abs(reached / len(pages) - could) <= 4 * errors).all()


def _open(pages, slot, arm):
    """How often the arm could be drawn in the slot."""
    return np.mean(
        [
            arm not in [one.arm for one in page[:slot]] and page[slot].chances[arm] > 0
            for page in pages
        ]
    )


def test_thompson_shows_each_of_two_arms_as_often_as_it_is_the_best():
    """u_0 − u_1 is normal with mean .2 and variance .01 + .81: P = Φ(.2 / √.82)."""
    from scipy.stats import norm

    draws = 200_000
    (drawn,) = draw_slots(
        Thompson(draws=draws, floor=0.0), UNSURE, slots=1, rng=np.random.default_rng(1)
    )
    chance = norm.cdf(0.2 / np.sqrt(0.82))
    assert drawn.chances[0] == pytest.approx(chance, abs=4 * monte_carlo_error(chance, draws=draws))
    assert drawn.chances[2] == 0.0


def test_the_stated_error_of_the_shares_is_their_deviation_over_repetitions():
    policy = Thompson(draws=64, floor=0.0)
    rng = np.random.default_rng(5)
    shares = [draw_slots(policy, UNSURE, slots=1, rng=rng)[0].chances[0] for _ in range(2_000)]
    stated = monte_carlo_error(float(np.mean(shares)), draws=64)
    assert np.std(shares) == pytest.approx(stated, rel=0.06)


def test_arms_whose_errors_go_together_are_not_told_apart_by_their_deviation():
    """A common direction moves both: the better one stays the better in every draw."""
    common = Arms(np.array([1.0, 0.9]), np.array([[2.0], [2.0]]))
    (drawn,) = draw_slots(Thompson(floor=0.0), common, slots=1, rng=np.random.default_rng(0))
    assert drawn.chances.tolist() == [1.0, 0.0]


def test_linucb_prefers_the_unsure_arm_and_its_propensities_are_in_closed_form():
    (drawn,) = draw_slots(LinUCB(), UNSURE, slots=1, rng=np.random.default_rng(0))
    assert drawn.chances == pytest.approx([0.1 / 3, 0.9 + 0.1 / 3, 0.1 / 3])
    (sure,) = draw_slots(LinUCB(bonus=0.0), UNSURE, slots=1, rng=np.random.default_rng(0))
    assert sure.chances == pytest.approx([0.9 + 0.1 / 3, 0.1 / 3, 0.1 / 3])


@pytest.mark.parametrize("policy", [Thompson(floor=0.0), LinUCB(floor=0.0), Greedy()])
def test_without_uncertainty_and_floor_every_policy_is_greedy(policy):
    drawn = draw_slots(policy, SURE, slots=2, rng=np.random.default_rng(0))
    assert [(one.arm, one.propensity) for one in drawn] == [(0, 1.0), (1, 1.0)]


def test_no_arm_is_drawn_twice_and_the_second_slot_shares_what_is_left():
    for seed in range(50):
        first, second = draw_slots(LinUCB(), UNSURE, slots=2, rng=np.random.default_rng(seed))
        assert first.arm != second.arm
        assert second.chances[first.arm] == 0.0
        assert second.chances.sum() == pytest.approx(1.0)


def test_the_chances_of_a_logged_page_are_those_it_was_drawn_with():
    drawn = draw_slots(Thompson(), UNSURE, slots=2, rng=np.random.default_rng(7))
    rows = page_chances(
        Thompson(), UNSURE, tuple(one.arm for one in drawn), rng=np.random.default_rng(7)
    )
    assert rows.tolist() == [one.chances.tolist() for one in drawn]


def test_more_slots_than_arms_and_no_open_arm_are_refused():
    with pytest.raises(ValueError, match="4 slots cannot be drawn from 3 arms"):
        draw_slots(Greedy(), SURE, slots=4, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="no arm is open"):
        slot_chances(SURE.scores[None], np.zeros(3, bool), floor=0.1)
    with pytest.raises(ValueError, match=r"expected \(3, D\)"):
        Arms(SURE.scores, np.zeros((2, 2)))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Thompson(draws=0), "takes 0 draws"),
        (lambda: Thompson(width=-1.0), "width of Thompson sampling is -1.0"),
        (lambda: LinUCB(bonus=-0.5), "bonus of LinUCB is -0.5"),
        (lambda: LinUCB(floor=1.5), "floor of a policy is 1.5"),
        (lambda: ListingBudget(0), "budget is 0"),
    ],
)
def test_settings_that_make_no_sense_are_named(make, told):
    with pytest.raises(ConfigError, match=told):
        make()


def test_a_listing_leaves_the_pool_when_its_budget_is_spent():
    budget = ListingBudget(2, spent={"old": 2, "half": 1})
    ids = np.array(["half", "new", "old"], dtype=object)
    assert budget.open(ids).tolist() == [True, True, False]
    budget.spend(["half"])
    assert budget.open(ids).tolist() == [False, True, False]
    budget.spend(["new"])
    assert budget.open(ids).tolist() == [False, True, False]
    assert [budget.left(one) for one in ids] == [0, 1, 0]


@pytest.mark.parametrize(
    ("page", "per_page", "slots"), [(10, 1, 1), (10, 3, 3), (4, 3, 2), (1, 1, 0), (10, 0, 0)]
)
def test_at_most_half_a_page_is_explored(page, per_page, slots):
    assert slots_of(page, per_page=per_page) == slots
