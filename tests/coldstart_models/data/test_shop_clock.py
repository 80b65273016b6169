"""The shop's clock counts what was chosen: a busy hour is long, one without choices is nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldstart_models.data.shop_clock import HOUR_US, RECENT_HOURS, ShopClock

MOMENTS = st.lists(st.integers(0, 60 * HOUR_US), max_size=30)


def at(*hours: float) -> "np.typing.NDArray[np.int64]":
    return np.array([hour * HOUR_US for hour in hours], np.int64)


def test_between_two_moments_lie_the_choices_of_everybody_in_between() -> None:
    clock = ShopClock.of(at(5.1, 0.0, 0.2, 5.9, 0.3, 0.9))
    moments = at(-1, 0, 0.5, 1, 3, 5.5, 6)
    assert clock.read(moments).tolist() == [0.0, 0.0, 2.0, 4.0, 4.0, 5.0, 6.0]


def test_an_order_without_dates_is_as_it_was() -> None:
    order = np.arange(50)
    read = ShopClock.of(order).read(order)
    np.testing.assert_allclose(np.diff(read), read[1], rtol=1e-9)
    assert read[1] > 0


def test_after_the_log_it_goes_on_as_fast_as_in_the_last_weeks() -> None:
    quiet, busy = at(*np.arange(0, 1_000, 10)), at(*np.arange(2_000, 2_000 + RECENT_HOURS, 0.5))
    clock = ShopClock.of(np.concatenate([quiet, busy]))
    end = 2_000 + RECENT_HOURS
    assert clock.read(at(end + 24)) - clock.read(at(end)) == pytest.approx(48.0)
    assert ShopClock.of(at(3.0, 4.0, 4.5)).read(at(7.0)) == pytest.approx(3 + 2 * 1.5)


def test_a_shop_without_choices_has_a_clock_that_stands_still() -> None:
    assert ShopClock.of(at()).read(at(0, 5)).tolist() == [0.0, 0.0]


@given(MOMENTS, MOMENTS)
def test_what_comes_later_counts_as_if_it_had_been_there(one: list[int], other: list[int]) -> None:
    first, second = np.array(one, np.int64), np.array(other, np.int64)
    grown, whole = ShopClock.of(first).later(second), ShopClock.of(np.append(first, second))
    assert grown.hours.tolist() == whole.hours.tolist()
    assert grown.counts.tolist() == whole.counts.tolist()


@given(MOMENTS, MOMENTS)
def test_it_never_goes_back(log: list[int], asked: list[int]) -> None:
    read = ShopClock.of(np.array(log, np.int64)).read(np.array(sorted(asked), np.int64))
    assert (np.diff(read) >= 0).all()
