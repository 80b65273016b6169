"""What cannot be told from the best, and what can."""

import numpy as np

from coldstart_models.siamese.doubt import near_best

BEST = np.random.default_rng(0).random(400)


def short(by: float, *, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0.0, 0.2, len(BEST))
    return BEST - by - noise + noise.mean()


def test_what_is_worse_by_chance_is_kept_beside_the_best():
    models = [[short(0.1, seed=1)], [short(0.005, seed=2)], [BEST], [BEST]]
    assert near_best(models) == [False, True, True, True]
    assert near_best([[BEST + 1.0], [BEST]]) == [True, False]
    assert near_best([[BEST]]) == [True]


def test_the_same_people_asked_again_make_nothing_surer():
    near = short(0.015, seed=3)
    assert near_best([[near], [BEST]]) == near_best([[near] * 9, [BEST] * 9]) == [True, True]


def test_every_group_counts_alike_however_many_people_it_has():
    few = np.array([0.0, 0.5, 1.0, 0.5])
    lead = [BEST + 0.5, few - 0.9]
    assert near_best([lead, [BEST, few]]) == [False, True]
