"""The report against known truth: right intervals, CUPED's gain, and a ratio that does not fit."""

import numpy as np
import pandas as pd
import pytest

from coldstart_models.errors import NotEnoughData
from coldstart_models.experiments.bucketing import Experiment, Variant
from coldstart_models.experiments.outcomes import Units
from coldstart_models.experiments.report import METRICS, ratio_pvalue, report

TWO = Experiment("x", (Variant("control"), Variant("new")), salt="x")
REAL = {"CTR": 0.0, "CVR": 0.05, "revenue per user": 1.5}
"""Differences that `users` plants; clicks do not change."""


def users(rng, *, count=2_000, planted=True):
    """People with a lasting inclination: what they did before tells of what they do."""
    variant = np.where(rng.random(count) < 0.5, "new", "control")
    treated = (variant == "new") & planted
    inclined = rng.gamma(2.0, 0.5, count)
    impressions = 10.0 * rng.integers(1, 4, count)
    return pd.DataFrame(
        {
            "unit": [f"user:{number}" for number in range(count)],
            "variant": variant,
            "impressions": impressions,
            "clicks": rng.binomial(impressions.astype(int), np.clip(0.1 * inclined, 0, 1)) * 1.0,
            "clicks_before": rng.poisson(5 * inclined) * 1.0,
            "bought": (rng.random(count) < 0.2 + 0.05 * treated).astype(float),
            "bought_before": (rng.random(count) < 0.2).astype(float),
            "revenue": 10 * inclined + rng.normal(0, 2, count) + 1.5 * treated,
            "revenue_before": 10 * inclined + rng.normal(0, 2, count),
        }
    )


def told(table, experiment=TWO, planned=2_000):
    dealt = table["variant"].value_counts().to_dict()
    return report(experiment, Units(table, dealt, unfinished=0, moved=0), planned=planned)


def test_the_intervals_hold_the_planted_differences_and_the_fixed_ones_in_95_of_100():
    covered, fixed, rounds = dict.fromkeys(METRICS, 0), dict.fromkeys(METRICS, 0), 100
    for seed in range(rounds):
        for one in told(users(np.random.default_rng(seed), count=400)).differences:
            covered[one.metric] += one.low <= REAL[one.metric] <= one.high
            fixed[one.metric] += one.fixed_low <= REAL[one.metric] <= one.fixed_high
    assert all(count >= 0.96 * rounds for count in covered.values()), covered
    assert all(0.89 * rounds <= count < rounds for count in fixed.values()), fixed


def test_cuped_takes_out_what_was_known_before():
    found = {one.metric: one for one in told(users(np.random.default_rng(1))).differences}
    revenue = found["revenue per user"]
    assert revenue.variance_left < 0.3
    assert revenue.told
    assert revenue.difference == pytest.approx(1.5, abs=0.4)
    assert found["CTR"].variance_left < 0.9
    assert not found["CTR"].told
    assert found["CVR"].variance_left == pytest.approx(1.0, abs=0.02)  # the past tells nothing


def test_a_past_that_is_the_same_for_everybody_is_no_covariate():
    table = users(np.random.default_rng(2)).assign(revenue_before=0.0, clicks_before=0.0)
    found = {one.metric: one for one in told(table).differences}
    assert found["revenue per user"].variance_left == 1.0
    assert np.isfinite(found["CTR"].high)


def test_every_variant_stands_beside_the_first():
    three = Experiment("x", (Variant("control"), Variant("new"), Variant("third")), salt="x")
    table = users(np.random.default_rng(3))
    table.loc[table.index % 3 == 0, "variant"] = "third"
    found = told(table, three)
    assert [(one.variant, one.metric) for one in found.differences] == [
        (name, metric) for name in ("new", "third") for metric in METRICS
    ]


def test_a_sample_ratio_that_does_not_fit_is_found_and_one_that_does_is_not():
    shares = {"a": 0.5, "b": 0.5}
    assert ratio_pvalue(shares, {"a": 5_000, "b": 5_100}) > 0.001
    assert ratio_pvalue(shares, {"a": 5_000, "b": 5_500}) < 0.001
    assert ratio_pvalue({"a": 0.9, "b": 0.1}, {"a": 9_000, "b": 1_010}) > 0.001
    table = users(np.random.default_rng(4))
    lost = table[(table["variant"] == "control") | (table.index % 5 > 0)]
    assert told(lost).mismatched
    assert not told(table).mismatched


def test_too_few_users_are_said_with_what_to_do():
    table = users(np.random.default_rng(5))
    alone = table[(table["variant"] == "control") & (table.index < 10)]
    with pytest.raises(NotEnoughData, match=r"new \(0\).*Ask again later"):
        told(alone)
    with pytest.raises(NotEnoughData, match=r"control \(0\), new \(0\).*Ask again later"):
        told(table[:0])


def test_a_variant_that_loses_everybody_is_told_though_nobody_is_finished():
    table = users(np.random.default_rng(5))
    alone = table[table["variant"] == "control"]
    found = told(alone)
    assert found.mismatched
    assert not found.trusted
    assert found.differences == ()
    assert found.users == {"control": len(alone), "new": 0}


def test_a_report_of_a_log_that_has_lost_pages_says_so():
    table = users(np.random.default_rng(5), count=200)
    units = Units(table, {"control": 100, "new": 100}, unfinished=0, moved=0)
    found = report(TWO, units, planned=2_000, lost_pages=7)
    assert (found.mismatched, found.trusted) == (False, False)
    assert found.as_dict()["lost_pages"] == 7
    assert found.as_dict()["trusted"] is False


def test_what_all_of_one_variant_did_and_none_of_the_other_has_no_interval():
    table = users(np.random.default_rng(5), count=6)
    table = table.assign(variant=["control", "new"] * 3, bought_before=0.0)
    table["bought"] = (table["variant"] == "new").astype(float)
    found = {one.metric: one for one in told(table).differences}["CVR"]
    assert (found.difference, found.low, found.fixed_high) == (1.0, None, None)
    assert not found.told


def test_nothing_that_was_bought_is_no_difference():
    table = users(np.random.default_rng(6)).assign(bought=0.0, revenue=0.0)
    found = {one.metric: one for one in told(table).differences}
    assert (found["CVR"].difference, found["CVR"].low, found["CVR"].high) == (0.0, None, None)
    assert not found["CVR"].told
    assert found["CTR"].low is not None
