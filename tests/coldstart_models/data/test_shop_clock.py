"""The shop's clock counts what was chosen: a busy hour is long, one without choices is nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldstart_models.data.shop_clock import HOUR_US, NEXT_US, ORDER_US, ShopClock

MOMENTS = st.lists(
    st.one_of(st.integers(0, 60 * HOUR_US), st.integers(ORDER_US - 5, ORDER_US + HOUR_US + 5)),
    max_size=30,
)


def at(*hours: float) -> "np.typing.NDArray[np.int64]":
    return np.array([hour * HOUR_US for hour in hours], np.int64)


def test_between_two_moments_lie_the_choices_of_everybody_in_between() -> None:
    clock = ShopClock.of(at(5.1, 0.0, 0.2, 5.9, 0.3, 0.9, 8.0))
    moments = at(0, 0.5, 1, 3, 5.5, 6, 8)
    assert clock.read(moments).tolist() == [0.0, 2.0, 4.0, 4.0, 5.0, 6.0, 6.0]


def test_the_running_hour_is_as_long_as_it_lasted() -> None:
    clock = ShopClock.of(at(3.0, 8.02, 8.05, 8.1))
    assert clock.read(at(8.0, 8.05, 8.1)) == pytest.approx([1.0, 2.5, 4.0])
    assert clock.later(at(8.9, 9.5)).read(at(8.0, 9.0)).tolist() == [1.0, 5.0]


def test_of_an_order_each_step_counts_whoever_comes_later() -> None:
    order = ORDER_US + np.arange(50)
    clock = ShopClock.of(order)
    assert clock.read(order).tolist() == list(range(50))
    longer = clock.later(ORDER_US + np.arange(50, 500)).later(at(400_000.0))
    assert longer.read(order).tolist() == list(range(50))
    several = ShopClock.of(np.repeat(order, 3))
    assert several.read(order)[:4].tolist() == [0, 3, 6, 9]


def test_beyond_the_log_it_goes_on_as_fast_as_in_the_weeks_next_to_it() -> None:
    weeks = NEXT_US / HOUR_US
    quiet, busy = at(*np.arange(0, 1_000, 10)), at(*np.arange(2_000, 2_000 + weeks, 0.5))
    clock = ShopClock.of(np.concatenate([quiet, busy]))
    end = 2_000 + weeks - 0.5
    after, before = clock.read(at(end + 24, end)), clock.read(at(-24, 0))
    assert after[0] - after[1] == pytest.approx(48.0, rel=0.01)
    assert before[0] - before[1] == pytest.approx(-2.4, rel=0.02)
    assert ShopClock.of(at(3.0, 4.0, 4.5)).read(at(7.5)) == pytest.approx(3 + 3 * 3 / 1.5)


def test_where_nothing_was_counted_nothing_is_told() -> None:
    assert np.isnan(ShopClock.of(at()).read(at(0, 5))).all()
    assert ShopClock.of(at()).later(at(2.5, 2.6)).read(at(3.0)) > 0


@given(MOMENTS, MOMENTS)
def test_what_comes_later_counts_as_if_it_had_been_there(one: list[int], other: list[int]) -> None:
    first, second = np.array(one, np.int64), np.array(other, np.int64)
    grown, whole = ShopClock.of(first).later(second), ShopClock.of(np.append(first, second))
    assert grown.starts.tolist() == whole.starts.tolist()
    assert grown.counts.tolist() == whole.counts.tolist()
    assert grown.until_us == whole.until_us


@given(MOMENTS, MOMENTS)
def test_it_never_goes_back(log: list[int], asked: list[int]) -> None:
    read = ShopClock.of(np.array(log, np.int64)).read(np.array(sorted(asked), np.int64))
    assert (np.diff(read) >= 0).all() if log else np.isnan(read).all()
