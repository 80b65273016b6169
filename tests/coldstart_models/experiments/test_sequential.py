"""Looking every day: the sequential interval stays honest, the fixed one does not."""

import numpy as np
import pytest

from coldstart_models.experiments.sequential import half_width

DAYS, A_DAY, TESTS = 60, 100, 1_000


@pytest.fixture(scope="module")
def looks():
    """Estimates and standard errors of A/A tests, day by day: (TESTS, DAYS)."""
    rng = np.random.default_rng(0)
    revenue = rng.lognormal(0.0, 1.0, (TESTS, DAYS * A_DAY)) * (
        rng.random((TESTS, DAYS * A_DAY)) < 0.3
    )
    arm = np.tile([0, 1], DAYS * A_DAY // 2)
    ends = np.arange(A_DAY, DAYS * A_DAY + 1, A_DAY) // 2
    means, errors = [], []
    for side in (0, 1):
        part = revenue[:, arm == side]
        total, squares = np.cumsum(part, axis=1), np.cumsum(part**2, axis=1)
        mean = total[:, ends - 1] / ends
        means.append(mean)
        errors.append((squares[:, ends - 1] / ends - mean**2) / (ends - 1))
    return means[1] - means[0], np.sqrt(errors[0] + errors[1])


def test_no_difference_is_found_in_at_most_one_of_twenty_tests_at_any_look(looks):
    difference, error = looks
    counts = np.arange(1, DAYS + 1) * A_DAY
    widths = np.array([half_width(1.0, count=count, planned=3_000) for count in counts])
    found = (abs(difference) > widths * error).any(axis=1).mean()
    fixed = (abs(difference) > 1.96 * error).any(axis=1).mean()
    assert found <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / TESTS)
    assert fixed > 0.2


def test_a_real_difference_is_found_and_the_price_of_looking_is_bounded(looks):
    difference, error = looks
    counts = np.arange(1, DAYS + 1) * A_DAY
    widths = np.array([half_width(1.0, count=count, planned=3_000) for count in counts])
    effect = 8 * error[:, -1:]
    assert (abs(difference + effect) > widths * error).any(axis=1).mean() > 0.99
    assert widths[29] / 1.96 == pytest.approx(1.55, abs=0.01)  # at the planned number
    assert widths.argmin() in range(20, 40)


GBSTATS = (
    # count, planned, alpha, standard error, lower and upper bound
    (100, 1_000, 0.05, 0.19868958457958524, -0.5259592036677427, 1.0059592036677427),
    (1_000, 1_000, 0.05, 0.05816238003158203, -0.09961190185046112, 0.25345805569661484),
    (20_000, 5_000, 0.05, 0.004676771024833467, -0.004624796818546901, 0.02462479681854692),
    (3_000, 3_000, 0.01, 0.06204553097060065, -0.22827034463983464, 0.21493701130650134),
    (250, 100_000, 0.1, 0.15657627225176254, -2.536893871550074, 2.8568938715500742),
)
"""Intervals of gbstats 0.8.0 (GrowthBook), as its `SequentialTwoSidedTTest` computes them.

In an environment of its own (`pip install gbstats==0.8.0 "numpy<2" "pandas<2"`; here numpy 1.26.4,
pandas 1.5.3), from `gbstats.frequentist.tests` and `gbstats.models.statistics`, a line from two
`SampleMeanStatistic(n=…, sum=…, sum_squares=…)`, the first (50, 30, 60) and (50, 42, 90):

    test = SequentialTwoSidedTTest(a, b, SequentialConfig(
        sequential_tuning_parameter=planned, alpha=alpha, difference_type="absolute"))
    print(test.variance**0.5, test.confidence_interval)

then (480, 240, 500) and (520, 300, 640); (10000, 1200, 1200) and (10000, 1300, 1300);
(1500, 700, 5200) and (1500, 690, 4100); (125, 60, 200) and (125, 80, 260).
"""


@pytest.mark.parametrize("told", GBSTATS)
def test_another_librarys_intervals_are_ours(told):
    count, planned, alpha, error, lower, upper = told
    width = half_width(error, count=count, planned=planned, alpha=alpha)
    assert width == pytest.approx((upper - lower) / 2, rel=1e-12)


def test_what_is_no_count_or_chance_is_refused():
    for wrong in ({"count": 0}, {"planned": 0}, {"alpha": 1.0}):
        with pytest.raises(ValueError, match="expected counts of at least 1"):
            half_width(1.0, **{"count": 9, "planned": 9, **wrong})
