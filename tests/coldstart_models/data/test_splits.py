from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from coldstart_models.data.splits import (
    cutoff_split,
    first_seen_us,
    random_items_split,
    target_items,
    validation_split,
)
from coldstart_models.errors import ConfigError, NotEnoughData
from tests.coldstart_models.checkerboard import (
    CUTOFF,
    START,
    board,
    board_rows,
    board_split,
    catalogue_of,
    events_of,
    interactions_of,
    titled,
)
from validation import tables


def ids(catalogue, mask):
    return list(catalogue.item_ids[mask])


def test_cold_items_are_those_first_available_at_or_after_the_cutoff():
    catalogue = catalogue_of(
        pd.DataFrame(
            {
                tables.ITEM_ID: ["before", "at", "unlisted-early", "unlisted-late", "early-bird"],
                tables.TITLE: "x",
                tables.LISTED_AT: [
                    CUTOFF - timedelta(microseconds=1),
                    CUTOFF,
                    None,
                    None,
                    CUTOFF + timedelta(days=9),
                ],
            }
        )
    )
    rows = [("u", "before", 1), ("u", "unlisted-early", 2), ("u", "early-bird", 3)]
    rows += [("u", "at", 101), ("u", "unlisted-late", 102), ("u", "before", 103)]
    split = cutoff_split(catalogue, interactions_of(rows, catalogue), CUTOFF, dated=True)
    # An event before the listing date proves that the item was there.
    assert ids(catalogue, split.cold) == ["at", "unlisted-late"]
    assert ids(catalogue, split.warm) == ["before", "early-bird", "unlisted-early"]
    assert len(split.training) == 3
    assert len(split.truth) == 2
    assert len(split.warm_truth) == 1


def test_an_impression_makes_an_unlisted_item_available():
    catalogue = titled({"shown": "x", "other": "y"})
    events = pd.concat(
        [
            events_of([("u", "shown", 1)], event_type=tables.IMPRESSION),
            events_of([("u", "other", 2), ("u", "shown", 101), ("u", "other", 101)]),
        ]
    )
    interactions = interactions_of([("u", "other", 2), ("u", "shown", 101)], catalogue)
    seen = first_seen_us(events, catalogue)
    with pytest.raises(NotEnoughData, match="no cold item"):
        cutoff_split(catalogue, interactions, CUTOFF, dated=True, seen_us=seen)
    split = cutoff_split(catalogue, interactions, CUTOFF, dated=True)
    assert ids(catalogue, split.cold) == ["shown"]


def test_training_holds_nothing_from_the_cutoff_on():
    _, split = board_split()
    moment = int(CUTOFF.timestamp() * 1e6)
    assert split.training.time_us.max() < moment
    assert split.truth.time_us.min() >= moment
    assert not split.cold[split.training.item_index].any()


def test_a_later_event_does_not_alter_the_training_set():
    catalogue, rows = board(), board_rows()
    before = cutoff_split(catalogue, interactions_of(rows, catalogue), CUTOFF, dated=True)
    rows.append(("a-user00", "b00", 100.5))
    after = cutoff_split(catalogue, interactions_of(rows, catalogue), CUTOFF, dated=True)
    for name in ("user_index", "item_index", "time_us"):
        np.testing.assert_array_equal(getattr(after.training, name), getattr(before.training, name))
    np.testing.assert_array_equal(after.warm, before.warm)


def test_a_cutoff_on_a_sequence_suggests_random_items():
    catalogue = board()
    with pytest.raises(ConfigError, match=r"--random-items 0\.2"):
        cutoff_split(catalogue, interactions_of(board_rows(), catalogue), CUTOFF, dated=False)


def test_a_cutoff_after_the_log_says_what_the_log_holds():
    catalogue = board()
    late = START + timedelta(days=900)
    with pytest.raises(NotEnoughData, match=r"cutoff 2026-06-19 leaves no cold item.*2024-01-01"):
        cutoff_split(catalogue, interactions_of(board_rows(), catalogue), late, dated=True)


def test_random_items_are_a_share_by_seed_and_train_on_all_other_events():
    catalogue = board()
    interactions = interactions_of(board_rows(), catalogue)
    first, again, other = (
        random_items_split(catalogue, interactions, 0.2, seed=seed, timed=True, dated=True)
        for seed in (0, 0, 1)
    )
    assert first.cold.sum() == round(0.2 * len(catalogue))
    np.testing.assert_array_equal(first.cold, again.cold)
    assert (first.cold != other.cold).any()
    assert len(first.training) + len(first.truth) == len(interactions)
    assert not first.cold[first.training.item_index].any()


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 20])
def test_a_share_outside_zero_and_one_is_refused(share):
    catalogue = board()
    with pytest.raises(ConfigError, match="is not a share"):
        random_items_split(
            catalogue,
            interactions_of(board_rows(), catalogue),
            share,
            seed=0,
            timed=True,
            dated=True,
        )


def test_the_home_domain_is_ranked_where_there_are_others():
    mixed = titled({"a": "x", "b": "y"}, domain=["home", "grocery"])
    assert ids(mixed, target_items(mixed)) == ["a"]
    assert ids(mixed, target_items(mixed, domain="grocery")) == ["b"]
    some = titled({"a": "x", "b": "y", "c": "z"}, domain=["home", "grocery", None])
    assert ids(some, target_items(some)) == ["a", "c"]  # as they are served
    assert ids(some, target_items(some, domain="home")) == ["a"]
    assert target_items(titled({"a": "x", "b": "y"}, domain=["beauty", "health"])).all()
    with pytest.raises(ConfigError, match="the catalogue has grocery, home"):
        target_items(mixed, domain="garden")


def test_validation_stays_inside_the_training_period():
    catalogue, split = board_split()
    for by_time in (True, False):
        inner = validation_split(split.training_set(catalogue), by_time=by_time, seed=0)
        assert not (inner.cold & split.cold).any()
        assert not (inner.warm & split.cold).any()
        assert inner.truth.time_us.max() < int(CUTOFF.timestamp() * 1e6)
        assert not inner.cold[inner.training.item_index].any()
