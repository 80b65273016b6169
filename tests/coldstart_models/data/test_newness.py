"""Who is new, by one rule for training and the service."""

import numpy as np
import pytest

from coldstart_models.data.newness import NEW_FOR_US, new_listings
from coldstart_models.data.shop_clock import ORDER_US

NEWEST = 1_700_000_000_000_000
UNKNOWN = np.iinfo(np.int64).min


def test_new_is_what_was_listed_shortly_before_the_newest_choice_or_never_chosen():
    listed = np.array([NEWEST - NEW_FOR_US, NEWEST - NEW_FOR_US - 1, UNKNOWN, UNKNOWN, 0])
    chosen = np.array([True, True, True, False, False])
    found = new_listings(listed, chosen, newest_us=NEWEST)
    assert found.tolist() == [True, False, False, True, True]


@pytest.mark.parametrize("newest", [None, ORDER_US, ORDER_US + 5_000_000])
def test_where_the_log_has_no_dates_only_what_nobody_chose_is_new(newest: int | None):
    listed = np.array([NEWEST, NEWEST, UNKNOWN])
    chosen = np.array([True, False, True])
    assert new_listings(listed, chosen, newest_us=newest).tolist() == [False, True, False]


def test_events_of_today_after_a_log_without_dates_make_listings_new_by_their_date_again():
    found = new_listings(np.array([NEWEST, 0]), np.array([True, True]), newest_us=NEWEST + 1)
    assert found.tolist() == [True, False]
