"""Off-policy estimates against the marketplace's truth, which no log is needed for."""

import numpy as np
import pytest

from benchmarks.exploration_truth import (
    Pages,
    draw_clicks,
    expected_clicks,
    replicate,
    true_value,
)
from coldstart_models.exploration.linucb import LinUCB
from coldstart_models.exploration.policy import Arms, Policy
from coldstart_models.exploration.thompson import Thompson
from feature_repo.catalogs.marketplace.choices import outside_option
from feature_repo.catalogs.marketplace.size import SIZES
from feature_repo.catalogs.marketplace.stock import make_stock
from feature_repo.catalogs.marketplace.tastes import make_shoppers, utilities

PEOPLE, KEPT, ARMS = 60, 7, 12
REPLICATIONS = 100


@pytest.fixture(scope="module")
def pages() -> Pages:
    """People of the marketplace; a scorer that knows two blurred views of their utilities."""
    stock = [one for one in make_stock(SIZES["small"], seed=0) if one.is_home]
    utility = utilities(make_shoppers(PEOPLE, seed=0), stock)
    above = utility - outside_option(utility)[:, None]
    rng = np.random.default_rng(0)
    views = above[..., None] + rng.normal(scale=1.5, size=(*above.shape, 2))
    views = (views - views.mean(axis=1, keepdims=True)) / views.std(axis=1, keepdims=True)
    scores = views.sum(axis=2)
    order = np.argsort(-scores, axis=1)
    kept, arms = order[:, :KEPT], order[:, KEPT : KEPT + ARMS]
    people = np.arange(PEOPLE)
    return Pages(
        tuple(Arms(scores[one, arms[one]], 0.3 * views[one, arms[one]]) for one in people),
        np.take_along_axis(above, kept, axis=1),
        tuple(above[one, arms[one]] for one in people),
    )


def test_expected_clicks_are_the_mean_of_what_the_model_draws(pages: Pages) -> None:
    rng = np.random.default_rng(1)
    for above in (pages.kept[0], pages.kept[1] + 2.0, np.array([6.0] * 9), np.array([-3.0])):
        drawn = draw_clicks(np.tile(above, (200_000, 1)), rng)
        error = max(drawn.std() / np.sqrt(len(drawn)), 1e-4)
        assert expected_clicks(above) == pytest.approx(drawn.mean(), abs=4 * error)


@pytest.mark.parametrize(
    ("logged", "new", "sharp"),
    [
        (Thompson(draws=64, floor=0.2), LinUCB(floor=0.05), True),
        (LinUCB(floor=0.5), Thompson(draws=64, floor=0.2), False),
    ],
    ids=["thompson-linucb", "linucb-thompson"],
)
def test_the_intervals_cover_the_true_value(
    pages: Pages, logged: Policy, new: Policy, *, sharp: bool
) -> None:
    """At least 90 of 100, by each estimator; the second log is worth too few pages."""
    truth = true_value(new, pages, rng=np.random.default_rng(2))
    covered = np.zeros(3, int)
    errors = np.zeros(3)
    for seed in range(REPLICATIONS):
        found = replicate(
            logged,
            new,
            pages,
            people=250,
            visits=4,
            rng=np.random.default_rng([7, seed]),
        ).estimates
        covered += [one.covers(truth) for one in found]
        errors += [one.error for one in found]
    assert (covered >= 90).all(), covered
    if sharp:  # intervals that always cover say nothing
        assert (covered[1:] <= 99).all(), covered
    assert errors[2] < errors[0]  # DR is the surer of the unbiased two
