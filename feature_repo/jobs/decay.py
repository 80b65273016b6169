"""Exponential decay in whole numbers, as SQL: a sum that halves in every half-life.

An event of time t weighs 2^((t − start) / half-life) in whole 2^-40ths, where `start` is the
beginning of the era (48 half-lives from 1970 on) in which it became known. The sum over the
events so far, times 2^(−(moment − start) / half-life), is their decayed number at that moment.
What came in the era before is carried over by shifting it 48 bits. Whole numbers add up to the
same in any order; floating-point sums would not.
"""

from typing import Final

ERA: Final = 48
"""Half-lives in an era; what is older than the era before weighs less than 2^-48."""
PRECISION: Final = 40
"""Bits behind the binary point of a weight."""


def era(at: str, *, half_life_us: int) -> str:
    """SQL: the number of the era of a moment in µs."""
    return f"({at} // {ERA * half_life_us})"


def weight(since: str, at: str, *, half_life_us: int) -> str:
    """SQL: what an event of `since` weighs that became known at `at`, a whole number."""
    exponent = _half_lives(since, at, half_life_us)
    return f"round(pow(2.0, {exponent} + {PRECISION}))::HUGEINT"


def carried(total: str) -> str:
    """SQL: the weights of the era before, in those of this one."""
    return f"coalesce({total} // {1 << ERA}::HUGEINT, 0)"


def decayed(total: str, at: str, *, half_life_us: int) -> str:
    """SQL: the sum of weights as a decayed number at `at`."""
    return f"{total}::DOUBLE * pow(2.0, -{PRECISION} - {_half_lives(at, at, half_life_us)})"


def _half_lives(time: str, at: str, half_life_us: int) -> str:
    """SQL: half-lives from the beginning of the era of `at` to `time`."""
    start = f"{era(at, half_life_us=half_life_us)} * {ERA * half_life_us}"
    return f"(({time} - {start})::DOUBLE / {half_life_us}.0)"
