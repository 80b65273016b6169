"""Traits of events, on histories whose numbers are known."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from coldstart_models.data.interactions import read_interactions
from coldstart_models.data.traits import PRICE, QUANTITY, REPEATS, TRAITS, event_traits
from tests.coldstart_models.checkerboard import START, titled
from validation import tables


def test_an_event_says_its_type_and_pieces_and_a_purchase_of_one_says_nothing():
    traits = event_traits(["click", "cart", "rating", "purchase"], [1, 8, np.nan, 0], [np.nan] * 4)
    assert traits[:, :3].tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]
    assert traits[:, QUANTITY].tolist() == pytest.approx([0, np.log(8), 0, 0])
    assert np.isnan(traits[:, PRICE]).all()


def log(*rows):
    columns = [tables.USER_ID, tables.ITEM_ID, tables.EVENT_TYPE, "day", tables.UNIT_PRICE]
    frame = pd.DataFrame(rows, columns=columns)
    frame[tables.EVENT_TIMESTAMP] = [START + timedelta(days=day) for day in frame.pop("day")]
    return frame


def test_prices_count_against_the_persons_mean_and_a_listings_price_stands_in_for_an_unknown_one():
    catalogue = titled({"a": "x", "b": "y", "c": "z"}, price=[np.nan, 4.0, np.nan])
    events = log(
        ("u", "a", "purchase", 1, 1.0),
        ("u", "b", "click", 2, np.nan),
        ("u", "c", "cart", 3, np.nan),
        ("u", "a", "purchase", 4, 1.0),
    )
    history = read_interactions(events, catalogue).histories(np.array([0]))
    assert history.item_index.tolist() == [[1, 2, 0]]
    usual = np.log(4) / 3  # of 1, 4 and 1
    np.testing.assert_allclose(
        history.traits[0, :, PRICE], [np.log(4) - usual, 0.0, -usual], rtol=1e-6
    )
    np.testing.assert_allclose(history.traits[0, :, REPEATS], [0, 0, np.log(2)], rtol=1e-6)
    assert history.traits[0, :, TRAITS.index("click")].tolist() == [1, 0, 0]


def test_padding_has_no_traits():
    events = log(
        ("u", "a", "click", 1, 2.0), ("v", "a", "click", 1, 2.0), ("v", "b", "cart", 2, 3.0)
    )
    histories = read_interactions(events, titled({"a": "x", "b": "y"})).histories(np.arange(2))
    assert histories.item_index.tolist() == [[-1, 0], [0, 1]]
    assert not histories.traits[0, 0].any()
