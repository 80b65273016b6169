"""What cannot be told from the best, and what can."""

import numpy as np

from coldstart_models.siamese.doubt import (
    PARTS,
    Outcome,
    near_best,
    near_best_of_lifts,
    parts_of,
)

PEOPLE, LISTINGS = 400, 60
BEST = np.random.default_rng(0).random(PEOPLE)


def short(by: float, *, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0.0, 0.2, len(BEST))
    return BEST - by - noise + noise.mean()


def lifted(scores: np.ndarray, listings: list[int]) -> np.ndarray:
    raised = scores.copy()
    raised[:, listings] += 10.0
    return raised


def test_what_is_worse_by_chance_is_kept_beside_the_best() -> None:
    models = [[short(0.1, seed=1)], [short(0.005, seed=2)], [BEST], [BEST]]
    assert near_best(models) == [False, True, True, True]
    assert near_best([[BEST + 1.0], [BEST]]) == [True, False]
    assert near_best([[BEST]]) == [True]


def test_the_same_people_asked_again_make_nothing_surer() -> None:
    near = short(0.015, seed=3)
    assert near_best([[near], [BEST]]) == near_best([[near] * 9, [BEST] * 9]) == [True, True]


def test_every_group_counts_alike_however_many_people_it_has() -> None:
    few = np.array([0.0, 0.5, 1.0, 0.5])
    lead = [BEST + 0.5, few - 0.9]
    assert near_best([lead, [BEST, few]]) == [False, True]


def test_one_listing_that_did_well_tells_nothing_by_however_many_people() -> None:
    """Everybody chose one of five listings. Whoever lifts one of them for everybody ranks better by
    many standard errors of people, and by the luck of one listing."""
    generator = np.random.default_rng(0)
    listings = np.arange(LISTINGS)
    wanted = [3, 14, 25, 36, 47]
    chosen = np.zeros((PEOPLE, LISTINGS), bool)
    chosen[np.arange(PEOPLE), generator.choice(wanted, PEOPLE)] = True
    scores = generator.normal(size=(PEOPLE, LISTINGS)).astype(np.float32)
    plain, lucky, sure = (
        Outcome.of(lifted(scores, raised), chosen, listings) for raised in ([], [14], wanted)
    )
    assert near_best([[plain.values], [lucky.values]]) == [False, True]
    assert near_best_of_lifts([[plain], [lucky]]) == [True, True]
    assert near_best_of_lifts([[plain], [sure]]) == [False, True]


def test_few_people_are_few_among_however_many_listings() -> None:
    """What no listing made is of the people, and there are no more of them by a lift."""
    near, far, best = (
        Outcome(values, np.tile(values, (PARTS, 1)))
        for values in (short(0.015, seed=3), short(0.1, seed=1), BEST)
    )
    assert near_best_of_lifts([[near], [far], [best]]) == [True, False, True]


def test_groups_of_the_same_listings_make_nothing_surer() -> None:
    """A listing that did well did so with one customer known and with five."""
    listings = np.arange(LISTINGS)
    chosen = np.zeros((PEOPLE, LISTINGS), bool)
    chosen[np.arange(PEOPLE), np.arange(PEOPLE) % 5] = True
    scores = np.random.default_rng(0).normal(size=chosen.shape).astype(np.float32)
    plain, lucky = (Outcome.of(lifted(scores, raised), chosen, listings) for raised in ([], [3]))
    assert near_best_of_lifts([[plain] * 9, [lucky] * 9]) == [True, True]


def test_where_everybody_chose_one_listing_nothing_is_told() -> None:
    chosen = np.zeros((PEOPLE, 2), bool)
    chosen[:, 0] = True
    scores = np.tile(np.array([0.0, 1.0], np.float32), (PEOPLE, 1))
    behind, ahead = (Outcome.of(found, chosen, np.array([5, 7])) for found in (scores, -scores))
    part = parts_of(np.array([5]))[0]
    assert np.isnan(behind.without[part]).all()
    assert np.isfinite(behind.without[np.arange(PARTS) != part]).all()
    assert (ahead.values > behind.values).all()
    assert near_best_of_lifts([[behind], [ahead]]) == [True, True]


def test_listings_are_dealt_evenly_and_by_what_they_are() -> None:
    numbers = np.arange(2000)
    found = parts_of(numbers)
    assert found.min() == 0
    assert found.max() == PARTS - 1
    assert np.bincount(found).min() > 80
    assert (parts_of(numbers[::-1]) == found[::-1]).all()
