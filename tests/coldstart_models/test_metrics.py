import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldstart_models.metrics import (
    bootstrap_intervals,
    ndcg_of_each,
    ndcg_with_and_without,
    popularity_lift,
    seed_means,
    shown,
    user_metrics,
)

IDS = np.array(["a", "b", "c", "d", "e"], dtype=object)


def one_user(scores: list[float], truth: list[int], excluded: list[int] | None = None):
    marks = np.zeros((2, 1, len(scores)), bool)
    marks[0, 0, truth] = True
    marks[1, 0, excluded or []] = True
    ids = np.array([f"i{place:03}" for place in range(len(scores))], dtype=object)
    return user_metrics(np.array([scores], np.float32), marks[0], ids, excluded=marks[1])


def test_metrics_of_a_ranking_computed_by_hand():
    # Ranks: b 1, d 2, a 3, e 4, c 5; the truth is d and c.
    scores = np.array([[3.0, 5.0, 1.0, 4.0, 2.0]], np.float32)
    truth = np.array([[False, False, True, True, False]])
    found = user_metrics(scores, truth, IDS)
    dcg = 1 / np.log2(3) + 1 / np.log2(6)
    ideal = 1 / np.log2(2) + 1 / np.log2(3)
    # d beats a, e and loses to b; c loses to all three others.
    np.testing.assert_allclose(found.values[0], [1.0, dcg / ideal, 1 / 2, 2 / 6])
    assert [IDS[column] for column in found.order[0]] == ["b", "d", "a", "e", "c"]


def test_ndcg_without_a_part_is_that_of_the_other_candidates_alone():
    generator = np.random.default_rng(0)
    scores = generator.integers(0, 9, (80, 31)).astype(np.float32)  # many ties
    chosen = generator.random((80, 31)) < 0.04
    chosen[np.arange(80), generator.integers(0, 31, 80)] = True
    parts = generator.integers(0, 4, 31)
    whole, found = ndcg_with_and_without(scores, chosen, parts, 5)
    np.testing.assert_array_equal(whole, ndcg_of_each(scores, chosen))
    for part in range(5):
        rest = parts != part
        people = chosen[:, rest].any(axis=1)
        expected = ndcg_of_each(scores[people][:, rest], chosen[people][:, rest])
        np.testing.assert_allclose(found[part, people], expected)
        assert np.isnan(found[part, ~people]).all()
    assert np.isnan(found).any()
    np.testing.assert_allclose(found[4], ndcg_of_each(scores, chosen))  # no candidate is of it


def test_recall_counts_hits_in_the_first_twenty_over_all_truth():
    scores = [float(-rank) for rank in range(30)]
    assert one_user(scores, [0, 19, 20, 29]).values[0, 0] == 0.5


def test_ideal_of_ndcg_holds_at_most_ten_items():
    scores = [float(-rank) for rank in range(30)]
    assert one_user(scores, list(range(15))).values[0, 1] == pytest.approx(1.0)


def test_ties_break_by_item_id_in_rankings_and_count_half_in_the_auc():
    scores = np.zeros((1, 5), np.float32)
    truth = np.array([[False, True, False, False, False]])
    found = user_metrics(scores, truth, IDS)
    assert found.values[0, 2] == 0.5
    assert found.values[0, 3] == 0.5
    backwards = user_metrics(scores, truth[:, ::-1], IDS[::-1])
    np.testing.assert_array_equal(backwards.values, found.values)


def test_excluded_candidates_leave_the_ranking_and_the_auc():
    # Without the two best, the truth is first of three.
    found = one_user([9.0, 8.0, 7.0, 6.0, 5.0], [2], excluded=[0, 1])
    np.testing.assert_array_equal(found.values[0], [1.0, 1.0, 1.0, 1.0])
    assert found.ranked[0] == 3
    np.testing.assert_array_equal(shown(found, 5), [False, False, True, True, True])


def test_auc_is_undefined_where_every_candidate_is_truth():
    assert np.isnan(one_user([1.0, 2.0], [0, 1]).values[0, 3])


def test_a_users_own_choice_does_not_make_a_ranking_popular():
    ids = np.array([f"i{number:02}" for number in range(40)], dtype=object)
    truth = np.zeros((2, 40), bool)
    truth[0, 0] = truth[1, 39] = True
    chosen_by = np.ones(40)
    chosen_by[[0, 39]] = 2.0  # one other chose these, and one each of the rest
    scores = np.tile(-np.arange(40, dtype=np.float32), (2, 1))
    lift = popularity_lift(user_metrics(scores, truth, ids), chosen_by, truth)
    np.testing.assert_allclose(lift, [20 / (41 / 40) / 20, 21 / (41 / 40) / 20])
    alone = np.where(truth[:1].any(axis=0), 1.0, 0.0)
    nobody = popularity_lift(user_metrics(scores[:1], truth[:1], ids), alone, truth[:1])
    assert np.isnan(nobody[0])


def test_scores_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="1 of 2 scores are not finite"):
        one_user([1.0, float("nan")], [0])


def test_a_user_without_truth_is_refused():
    with pytest.raises(ValueError, match="at least one candidate"):
        one_user([1.0, 2.0], [])


def test_means_over_seeds_weigh_every_seed_alike():
    values = np.full((2, 3, 1), np.nan)
    values[0, :, 0] = [0.0, 0.0, 1.0]
    values[1, 0, 0] = 1.0
    assert seed_means(values)[0] == pytest.approx((1 / 3 + 1) / 2)


def test_interval_of_a_constant_is_that_constant_and_of_others_holds_the_mean():
    values = np.stack([np.full((1, 50), 0.25), np.random.default_rng(0).random((1, 50))], axis=2)
    bounds = bootstrap_intervals(values, seed=0)
    np.testing.assert_allclose(bounds[0], 0.25)
    assert bounds[1, 0] < values[0, :, 1].mean() < bounds[1, 1]
    # 1.96 standard errors of the mean, as for any mean of 50.
    width = 2 * 1.96 * values[0, :, 1].std() / np.sqrt(50)
    assert bounds[1, 1] - bounds[1, 0] == pytest.approx(width, rel=0.1)


def test_a_metric_that_nobody_has_gets_no_interval():
    values = np.stack([np.full((2, 5), np.nan), np.ones((2, 5))], axis=2)
    bounds = bootstrap_intervals(values, seed=0)
    assert np.isnan(bounds[0]).all()
    np.testing.assert_array_equal(bounds[1], [1.0, 1.0])


def test_a_metric_of_one_user_gets_no_interval():
    values = np.full((2, 5, 2), np.nan)
    values[:, 0, 0] = 0.5
    values[0, 1, 1], values[1, 2, 1] = 0.25, 0.75
    bounds = bootstrap_intervals(values, seed=0)
    assert np.isnan(bounds[0]).all()
    assert bounds[1, 0] < 0.5 < bounds[1, 1]


def test_intervals_repeat_by_seed():
    values = np.random.default_rng(0).random((2, 20, 4))
    first, again = (bootstrap_intervals(values, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first, again)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000))
def test_auc_equals_the_share_of_ordered_pairs(seed):
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, 4, (1, 12)).astype(np.float32)
    excluded = generator.random((1, 12)) < 0.2
    truth = (generator.random((1, 12)) < 0.3) & ~excluded
    truth[0, 0], excluded[0, 0] = True, False
    ids = np.array([f"{place:02}" for place in range(12)], dtype=object)
    found = user_metrics(scores, truth, ids, excluded=excluded).values[0, 3]
    ours = scores[0, truth[0]][:, None]
    others = scores[0, ~truth[0] & ~excluded[0]]
    if others.size:
        assert found == pytest.approx(((ours > others) + 0.5 * (ours == others)).mean())
    else:
        assert np.isnan(found)
