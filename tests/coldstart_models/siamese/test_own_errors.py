"""Listings' own errors: recovered from choices, and never larger with more first customers."""

import numpy as np
import pytest

from coldstart_models.siamese.own_errors import (
    CUSTOMERS,
    UNLEARNED,
    Turnout,
    at_customers,
    own_variances,
)

USERS, LISTINGS = 3000, 150


def turned_out(
    deviation: float, seed: int = 0, *, users: int = USERS, listings: int = LISTINGS, sharp=1.0
) -> Turnout:
    """People who choose one listing each, whose log rates are off by errors of a deviation.

    Args:
        sharp: deviation of the log chances of a person.
    """
    rng = np.random.default_rng(seed)
    utility = sharp * rng.normal(size=(users, listings))
    expected = np.exp(utility) / np.exp(utility).sum(axis=1, keepdims=True)
    real = np.exp(utility + rng.normal(scale=deviation, size=listings))
    real /= real.sum(axis=1, keepdims=True)
    place = (real.cumsum(axis=1) < rng.random((users, 1))).sum(axis=1).clip(max=listings - 1)
    chosen = np.zeros((users, listings), bool)
    chosen[np.arange(users), place] = True
    return Turnout.of(np.log(expected).astype(np.float32), chosen)


def test_people_who_choose_several_count_so_often():
    log_chances = np.log(np.array([[0.5, 0.25, 0.25], [0.2, 0.2, 0.6]], np.float32))
    found = Turnout.of(log_chances, np.array([[True, True, False], [False, False, True]]))
    np.testing.assert_array_equal(found.chosen, [1, 1, 1])
    np.testing.assert_allclose(found.expected, [1.2, 0.7, 1.1], rtol=1e-5)
    np.testing.assert_allclose(found.variance, [0.66, 0.535, 0.615], rtol=1e-5)


@pytest.mark.parametrize("deviation", [0.4, 0.8])
def test_the_variance_is_that_by_which_the_rates_were_off(deviation):
    several = [turned_out(deviation, seed) for seed in range(3)]
    found = own_variances({0: several})
    assert found[0] == pytest.approx(deviation**2, rel=0.3)
    assert found.tolist() == [found[0]] * len(CUSTOMERS)  # nothing is known of customers


@pytest.mark.parametrize("sharp", [1.4, 2.0, 3.0])
def test_so_it_is_of_few_people_who_are_nearly_sure_what_they_want(sharp):
    several = [turned_out(0.5, seed, users=60, listings=40, sharp=sharp) for seed in range(40)]
    assert own_variances({0: several})[0] == pytest.approx(0.25, rel=0.25)


def test_chances_that_come_true_leave_no_error_of_a_listings_own():
    assert own_variances({0: [turned_out(0.0, seed) for seed in range(3)]})[0] < 0.02


def test_more_customers_never_leave_more_open():
    found = own_variances({0: [turned_out(0.9)], 1: [turned_out(0.5, 1)], 3: [turned_out(0.8, 2)]})
    assert (np.diff(found) <= 0).all()
    assert found[1] == found[2] == found[3]  # what rises is sampling: a mean of both
    assert 0.5**2 < found[1] < 0.8**2
    assert found[-1] == found[3]


def test_without_any_problem_it_is_the_wide_one():
    assert own_variances({}).tolist() == [UNLEARNED] * len(CUSTOMERS)


def test_between_what_was_rehearsed_it_falls_with_the_logarithm_and_beyond_it_stays():
    variances = np.linspace(1.0, 0.4, len(CUSTOMERS))
    known = at_customers(variances, np.array(CUSTOMERS))
    np.testing.assert_allclose(known, variances)
    four, many = at_customers(variances, np.array([4, 500]))
    share = np.log(5 / 4) / np.log(6 / 4)
    assert four == pytest.approx(variances[3] + share * (variances[4] - variances[3]))
    assert many == variances[-1]
