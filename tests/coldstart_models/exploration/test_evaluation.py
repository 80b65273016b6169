"""Off-policy estimates: unbiased by enumeration, honest about people, clear about nothing."""

from datetime import UTC, datetime
from itertools import permutations

import numpy as np
import pytest

from coldstart_models.errors import NotEnoughData
from coldstart_models.exploration.evaluation import (
    LoggedPages,
    PredictedReward,
    effective_pages,
    evaluate,
    is_enough,
    mean_weight,
    on_policy,
)
from coldstart_models.exploration.linucb import LinUCB
from coldstart_models.exploration.logged import value_policy
from coldstart_models.exploration.policy import Arms, Greedy
from coldstart_models.exploration.propensity import draw_slots, page_chances
from coldstart_models.exploration.reward_model import PageFeatures, arm_features, predict_rewards
from feature_repo.page_log import ServedPage

ARMS = Arms(np.array([1.0, 0.8, -0.5, 0.3]), np.diag([0.1, 0.9, 0.4, 0.2]))
LOGGED, NEW = LinUCB(floor=0.5), Greedy(floor=0.2)
RNG = np.random.default_rng(0)


def reward_of(first, second):
    """Of the whole page; the order and the company matter."""
    return 1.0 + first + 2.0 * second - 0.7 * first * second


def every_page():
    """All ordered pairs of arms with both policies' probabilities."""
    pages = list(permutations(range(4), 2))
    logged = np.array([_of_draws(LOGGED, page) for page in pages])
    new = np.array([_of_draws(NEW, page) for page in pages])
    reward = np.array([reward_of(*page) for page in pages])
    return pages, logged, new, reward


def _of_draws(policy, page):
    return page_chances(policy, ARMS, page, rng=RNG)[[0, 1], list(page)]


def test_ips_and_dr_are_right_on_average_over_everything_that_can_be_drawn():
    """Each page as often as it is drawn; the reward model is wrong on purpose."""
    pages, logged, new, reward = every_page()
    often = np.prod(logged, axis=1)
    truth = float(np.prod(new, axis=1) @ reward)
    guess = np.array([0.3, -2.0, 5.0, 1.0])
    expected = np.array([page_chances(NEW, ARMS, page, rng=RNG) @ guess for page in pages])
    repeated = np.repeat(np.arange(len(pages)), np.round(often * 100_000).astype(int))
    found = evaluate(
        LoggedPages(reward[repeated], np.arange(len(repeated)), logged[repeated], new[repeated]),
        PredictedReward(
            np.full(len(repeated), -4.0),
            guess[np.array(pages)][repeated],
            expected[repeated],
        ),
    )
    assert [one.value for one in found] == pytest.approx([truth] * 3, rel=2e-3)
    assert [one.estimator for one in found] == ["IPS", "SNIPS", "DR"]


def test_the_same_policy_is_worth_what_was_logged():
    pages, logged, _, reward = every_page()
    same = LoggedPages(reward, np.arange(len(pages)), logged, logged)
    nothing = PredictedReward(np.zeros(12), np.zeros((12, 2)), np.zeros((12, 2)))
    assert [one.value for one in evaluate(same, nothing)] == pytest.approx([reward.mean()] * 3)
    assert on_policy(same).value == pytest.approx(reward.mean())
    assert effective_pages(same) == pytest.approx(len(pages))


def test_pages_of_one_person_count_as_one_when_they_are_alike():
    rng = np.random.default_rng(1)
    reward = rng.normal(size=200)
    ones = np.ones((200, 1))
    alone = on_policy(LoggedPages(reward, np.arange(200), ones, ones))
    copies = on_policy(
        LoggedPages(np.repeat(reward, 9), np.repeat(np.arange(200), 9), *[np.ones((1800, 1))] * 2)
    )
    assert copies.error == pytest.approx(alone.error)


def test_a_linear_reward_is_learned_and_the_estimate_has_little_error_left():
    rng = np.random.default_rng(2)
    count = 2_000
    logged, chosen = np.full((count, 1), 0.25), rng.integers(0, 4, count)
    target = np.array([0.7, 0.1, 0.1, 0.1])
    known = arm_features(ARMS)
    reward = 2.0 + 1.5 * known[chosen, 0] + 0.01 * rng.normal(size=count)
    features = PageFeatures(
        rng.normal(size=(count, 1)),
        known[chosen][:, None, :],
        np.tile(target @ known, (count, 1))[:, None, :],
    )
    person = np.arange(count) // 4
    pages = LoggedPages(reward, person, logged, target[chosen][:, None])
    ips, _, robust = evaluate(pages, predict_rewards(features, reward, person))
    truth = 2.0 + 1.5 * float(target @ ARMS.scores)
    assert robust.covers(truth)
    assert robust.error < ips.error / 20


def rare_log(rng, *, pages=600, rare=0.01, worth=0.52):
    """On every tenth page the log seldom drew what the new policy shows; the truth is 2.5.

    Two pages a person, of up to five clicks. What is seldom drawn may be worth more.
    """
    seldom = np.arange(pages) % 10 == 0
    often = np.where(seldom, rare, 0.5)  # of the arm that the new policy shows nine times of ten
    best = rng.random(pages) < often
    propensity = np.where(best, often, 1.0 - often)[:, None]
    target = np.where(best, 0.9, 0.1)[:, None]
    reward = rng.binomial(5, np.where(best, np.where(seldom, worth, 0.52), 0.32)).astype(float)
    return LoggedPages(reward, np.arange(pages) // 2, propensity, target)


def test_the_interval_of_ips_holds_the_truth_where_the_log_may_lack_the_greatest_weights():
    """Half of these logs lack all of them, and a plain interval covers as seldom."""
    nothing = PredictedReward(np.zeros(600), np.zeros((600, 1)), np.zeros((600, 1)))
    covered = plainly = 0
    for seed in range(100):
        pages = rare_log(np.random.default_rng([21, seed]))
        ips, _, _ = evaluate(pages, nothing)
        covered += ips.covers(2.5)
        plainly += abs(ips.value - 2.5) < 1.96 * ips.error
    assert plainly < 80
    assert covered >= 90


def test_a_log_that_is_too_little_tells_every_estimate_with_an_outer_interval():
    """What it lacks may earn anything; a sharp interval would miss most of the time."""
    nothing = PredictedReward(np.zeros(1200), np.zeros((1200, 1)), np.zeros((1200, 1)))
    truth = 2.5 + 0.1 * 0.9 * 5 * 0.4
    covered, sharply = np.zeros(3, int), 0
    for seed in range(100):
        pages = rare_log(np.random.default_rng([24, seed]), pages=1200, rare=0.003, worth=0.92)
        found = evaluate(pages, nothing)
        covered += [one.covers(truth) for one in found]
        sharply += abs(found[1].value - truth) < 1.96 * found[1].error
        assert not is_enough(pages) or mean_weight(pages).covers(1.0)
    assert sharply < 50
    assert (covered >= 90).all()


def test_the_interval_of_ips_is_hardly_wider_where_the_log_lacks_nothing():
    """Which is so where the weights' mean is 1."""
    nothing = PredictedReward(np.zeros(6_000), np.zeros((6_000, 1)), np.zeros((6_000, 1)))
    pages = rare_log(np.random.default_rng(22), pages=6_000, rare=0.5)
    ips, _, _ = evaluate(pages, nothing)
    assert ips.covers(2.5)
    assert ips.high - ips.low < 1.5 * 2 * 1.96 * ips.error
    assert mean_weight(pages).covers(1.0)


def test_a_log_that_lacks_what_the_new_policy_shows_is_told_by_its_weights_mean():
    """Though it is worth many pages by the weights that it has."""
    pages = rare_log(np.random.default_rng(23), pages=2_000, rare=1e-9)
    assert effective_pages(pages) > 1_000
    assert mean_weight(pages).high < 1.0
    assert not is_enough(pages)


def test_what_cannot_be_told_is_said():
    one = np.ones((3, 1))
    nothing = PredictedReward(np.zeros(3), np.zeros((3, 1)), np.zeros((3, 1)))
    with pytest.raises(NotEnoughData, match="nothing of what the 3 logged pages"):
        evaluate(LoggedPages(np.ones(3), np.arange(3), one, 0 * one), nothing)
    with pytest.raises(NotEnoughData, match="of 1 person"):
        on_policy(LoggedPages(np.ones(3), np.zeros(3, int), one, one))
    with pytest.raises(ValueError, match=r"not in \(0, 1\]"):
        LoggedPages(np.ones(3), np.arange(3), 0 * one, one)


def test_pages_of_fewer_slots_are_valued_beside_the_others():
    """Two places were drawn on some pages and one on others; nobody's reward depends on it."""
    pages, reward, rng = [], {}, np.random.default_rng(8)
    for number in range(600):
        drawn = draw_slots(LOGGED, ARMS, slots=1 + number % 2, rng=rng)
        pages.append(
            ServedPage(
                page_id=str(number),
                served_at=datetime(2026, 3, 1, tzinfo=UTC),
                user_id=f"u{number % 200}",
                session_id=None,
                model="m:1",
                policy=LOGGED.policy_id,
                experiment=None,
                variant=None,
                personal=None,
                item_ids=("top", *(f"arm-{one.arm}" for one in drawn)),
                propensities=(1.0, *(one.propensity for one in drawn)),
                explored=(2, 3)[: len(drawn)],
                drawn=tuple(one.arm for one in drawn),
                arm_ids=tuple(f"arm-{arm}" for arm in range(4)),
                arm_scores=ARMS.scores,
                arm_directions=ARMS.directions,
            )
        )
        reward[str(number)] = float(drawn[0].arm == 0)
    reward.pop("599")  # its outcomes are not known yet
    found = value_policy(NEW, pages, reward)
    truth = page_chances(NEW, ARMS, (0,), rng=RNG)[0, 0]
    assert found.pages == 599
    assert all(one.covers(truth) for one in found.estimates)
    assert found.logged.value == pytest.approx(np.mean(list(reward.values())))
    assert found.largest_weight > 1.0
