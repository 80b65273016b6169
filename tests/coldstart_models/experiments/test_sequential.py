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


def test_what_is_no_count_or_chance_is_refused():
    for wrong in ({"count": 0}, {"planned": 0}, {"alpha": 1.0}):
        with pytest.raises(ValueError, match="expected counts of at least 1"):
            half_width(1.0, **{"count": 9, "planned": 9, **wrong})
