"""Gains over no support: paired, over seeds, and told as they were measured."""

import numpy as np
import pytest

from benchmarks.shots_tables import UNTAUGHT, WHOLE, gain, published

USERS = 400


def values(*, factor: float, seed: int) -> np.ndarray:
    return factor * np.random.default_rng(seed).uniform(0.1, 0.5, USERS)


def pair(plain: np.ndarray, adapted: np.ndarray) -> np.ndarray:
    return np.column_stack([plain, adapted])


def test_a_gain_that_every_user_has_alike_has_no_width():
    plain = [values(factor=1.0, seed=seed) for seed in (0, 1)]
    found = gain(np.stack([pair(each, 1.1 * each) for each in plain]))
    assert (found.mean, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))


def test_a_gain_that_a_few_users_make_is_wide_and_holds_its_mean():
    plain = values(factor=1.0, seed=0)
    adapted = plain.copy()
    adapted[:8] *= 3
    found = gain(pair(plain, adapted)[None])
    assert found.low < found.mean < found.high
    assert found.mean == pytest.approx(adapted.mean() / plain.mean() - 1)
    assert found.high - found.low > 0.01


def test_nothing_gained_is_not_told_from_chance():
    plain = values(factor=1.0, seed=0)
    noise = np.random.default_rng(1).normal(0, 0.1, USERS)
    found = gain(pair(plain, plain + noise - noise.mean())[None])
    assert found.low < 0 < found.high


def result(*, warm: dict[str, float] | None) -> dict[str, object]:
    plain = values(factor=1.0, seed=0)
    return {
        "cut": "retail-06-01",
        "seed": 0,
        "contest": {"winner": "bayes", "kept": "bayes"},
        "warm": warm,
        "seconds": 90.0,
        "pools": [
            {
                "shots": shots,
                "users": list(range(USERS)),
                "without": plain.tolist(),
                "with": {
                    "none": plain.tolist(),
                    "bayes": (1.2 * plain).tolist(),
                    WHOLE: (1.2 * plain).tolist(),
                },
            }
            for shots in (1, 10)
        ],
    }


def test_a_user_of_several_seeds_is_drawn_for_all_of_them_at_once():
    plain = values(factor=1.0, seed=0)
    adapted = plain * np.random.default_rng(1).uniform(0.5, 1.6, USERS)
    one = pair(plain, adapted)
    absent = np.full_like(one, np.nan)
    once, thrice, beside = gain(one[None]), gain(np.stack([one] * 3)), gain(np.stack([one, absent]))
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high))
    assert (beside.mean, beside.low) == pytest.approx((once.mean, once.low))


def test_the_tables_tell_gains_by_learner_and_what_warm_items_lose():
    text = published(
        [result(warm={"before": 0.2, "after": 0.199})], left_out={"ikea": "no folder"}, machine={}
    )
    assert "won on validation: `bayes`" in text
    assert "| `bayes` | +20.0 % (+20.0 % to +20.0 %) | +20.0 % (+20.0 % to +20.0 %) |" in text
    assert "| `none` | +0.0 % (+0.0 % to +0.0 %) |" in text
    assert "before .2000; after .1990" in text
    assert "ikea" in text


def on_one_pool(*counts: int) -> dict[str, object]:
    """A result whose kept learner gains k per cent on the pool of the largest k."""
    plain = values(factor=1.0, seed=1)
    pools = [
        {
            "shots": count,
            "users": list(range(USERS)),
            "without": plain.tolist(),
            "with": {WHOLE: ((1 + count / 100) * plain).tolist()},
        }
        for count in counts
    ]
    return result(warm=None) | {"one_pool": pools}


def test_the_kept_learner_is_told_at_every_k_on_the_pool_of_the_largest():
    text = published([on_one_pool(1, 10)], left_out={}, machine={})
    gains = "+1.0 % (+1.0 % to +1.0 %) | +10.0 % (+10.0 % to +10.0 %)"
    assert f"| `kept`, every k on the pool of k = 10 | {gains} |" in text


def test_pools_that_are_not_one_are_not_told_as_one():
    for seeds in ([result(warm=None)], [on_one_pool(1)], [on_one_pool(1, 10), on_one_pool(1)]):
        assert "on the pool of" not in published(seeds, left_out={}, machine={})


def test_without_a_result_it_says_what_to_do():
    with pytest.raises(ValueError, match="--data"):
        published([], left_out={}, machine={})


def test_what_was_taught_is_held_against_its_start():
    taught = result(warm=None)
    for pool in taught["pools"]:
        pool["with"][UNTAUGHT] = (1.1 * np.asarray(pool["without"])).tolist()
    rows = published([taught], left_out={}, machine={}).splitlines()
    (start,) = [row for row in rows if row.startswith("| `kept, untaught` |")]
    (over,) = [row for row in rows if row.startswith("| `kept`, over it untaught |")]
    assert start.count("+10.0 %") == over.count("+9.1 %") == 2 * 3
