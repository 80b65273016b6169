"""Intervals that hold at every look, however often one looks and whenever one stops.

An interval of a fixed sample size covers in 95 of 100 experiments if it is looked at once. Looked
at daily until it excludes zero, it finds a difference where there is none several times as often.
The asymptotic confidence sequence (Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas, "Time-uniform
central limit theory and asymptotic confidence sequences", Annals of Statistics, 2024) covers at all
times together: around an estimate of standard error s from n observations it is

    ± s · √( (n ρ² + 1) / (n ρ²) · ln((n ρ² + 1) / α²) ),

the mixture of the sequential probability ratio test over a normal with deviation ρ (mSPRT). It is
narrowest, beside an interval of fixed size, near the n* for which

    ρ² = (−2 ln α + ln(−2 ln α + 1)) / n*.
"""

import math


def half_width(error: float, *, count: int, planned: int, alpha: float = 0.05) -> float:
    """Half the width of the interval at this look.

    Args:
        error: standard error of the estimate.
        count: n, observations that it is of.
        planned: n*, at which the interval is to be narrowest; fixed before the first look.
        alpha: how often the interval may ever miss.
    """
    if count < 1 or planned < 1 or not 0.0 < alpha < 1.0:
        raise ValueError(
            f"count {count}, planned {planned}, alpha {alpha}; expected counts of at least 1 "
            "and an alpha between 0 and 1"
        )
    log = -2.0 * math.log(alpha)
    grown = count * (log + math.log(log + 1.0)) / planned + 1.0
    return error * math.sqrt(grown / (grown - 1.0) * math.log(grown / alpha**2))
