"""Which of several choices cannot be told from the best, by what people reached with each.

Of the difference to the best one the standard error is taken within each group of measurements and
averaged over them: groups are of the same people and listings, so their errors go together, and
more groups of them make nothing surer.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

Reached = Sequence[npt.NDArray[np.float64]]
"""Groups of measurements, (U,) of each group's people."""
DOUBT: Final = 2.0
"""Standard errors."""


def near_best(choices: Sequence[Reached]) -> list[bool]:
    """Which are no worse than the best by more than DOUBT standard errors; that one is not.

    Args:
        choices: groups of the same people in the same order of each.
    """
    best = max(choices, key=_mean)
    return [_mean(best) - _mean(each) <= DOUBT * _error(best, each) for each in choices]


def told_better(new: Reached, old: Reached) -> bool:
    """Whether one choice is better than another by more than DOUBT standard errors."""
    return not near_best([old, new])[0]


def _mean(reached: Reached) -> float:
    return float(np.mean([group.mean() for group in reached]))


def _error(best: Reached, other: Reached) -> float:
    pairs = zip(best, other, strict=True)
    return float(np.mean([(one - two).std() / math.sqrt(len(one)) for one, two in pairs]))
