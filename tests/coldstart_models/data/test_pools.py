from functools import cache

import numpy as np
import pytest

from coldstart_models.data.pools import NO_WARM_TRUTH, build_pools, cold_pool, shots_pools
from coldstart_models.data.shop_clock import ShopClock
from coldstart_models.data.splits import cutoff_split, random_items_split
from coldstart_models.errors import NotEnoughData
from tests.coldstart_models.checkerboard import (
    COLD,
    CUTOFF,
    USERS,
    WARM,
    board,
    board_rows,
    board_split,
    interactions_of,
    titled,
)

TITLES = {"warm": "x", "other": "x", "new1": "x", "new2": "x", "new3": "x"}
ROWS = [
    *((user, "warm", day) for day, user in enumerate(["u1", "u2", "u3"])),
    ("u1", "new1", 101),
    ("u1", "new1", 101.5),
    ("u2", "new1", 102),
    ("stranger", "new1", 100),
    ("u3", "new2", 103),
    ("u3", "new1", 104),
    ("u1", "new2", 105),
    ("u2", "new3", 106),
    ("u1", "new1", 107),
    ("u1", "other", 108),
    ("u1", "warm", 109),
]


@cache
def small():
    catalogue = titled(TITLES)
    rows = [*ROWS, ("u9", "other", 5)]
    return catalogue, cutoff_split(catalogue, interactions_of(rows, catalogue), CUTOFF, dated=True)


def pools(shots=(0, 1, 2)):
    catalogue, split = small()
    built, skipped = build_pools(split, shots=shots, seed=0)
    return catalogue, split, {(pool.name, pool.shots): pool for pool in built}, skipped


def pairs(catalogue, split, pool, matrix):
    rows, columns = matrix.nonzero()
    users = split.training.user_ids[pool.task.user_index[rows]]
    items = catalogue.item_ids[pool.task.candidates[columns]]
    return sorted(zip(users, items, strict=True))


def test_the_cold_pool_holds_users_with_history_and_distinct_truth():
    catalogue, split, built, _ = pools()
    pool = built["cold", 0]
    assert list(catalogue.item_ids[pool.task.candidates]) == ["new1", "new2", "new3"]
    assert pairs(catalogue, split, pool, pool.chosen) == [
        ("u1", "new1"),
        ("u1", "new2"),
        ("u2", "new1"),
        ("u2", "new3"),
        ("u3", "new1"),
        ("u3", "new2"),
    ]
    assert pool.excluded.nnz == 0


def test_candidates_at_k_shots_have_more_than_k_users():
    catalogue, _, built, skipped = pools(shots=(0, 1, 2, 3, 4))
    names = {key: list(catalogue.item_ids[p.task.candidates]) for key, p in built.items()}
    assert names["cold>1", 1] == names["cold>1", 0] == ["new1", "new2"]
    for shots in (2, 3, 4):  # of a single candidate every ranking is right
        assert (f"cold>{shots}", shots) not in built
        assert f"cold>{shots}" in {one.what for one in skipped}


def test_the_first_k_distinct_users_are_the_support_whatever_their_history(monkeypatch):
    monkeypatch.setattr("coldstart_models.data.pools.MIN_CANDIDATES", 1)
    catalogue, split, built, _ = pools()
    support = built["cold>2", 2].task.support
    assert list(split.training.user_ids[support.user_index]) == ["stranger", "u1"]
    assert list(catalogue.item_ids[support.item_index]) == ["new1", "new1"]
    # What the stranger had chosen before is nothing, what u1 had is the warm item.
    assert support.histories.item_index[0].max() == -1
    assert support.histories.item_index[1].max() == catalogue.position["warm"]


@pytest.mark.parametrize("by_time", [True, False])
def test_when_supporters_came_is_told_by_all_that_was_chosen(by_time: bool) -> None:
    catalogue = board()
    log = interactions_of(
        [*board_rows(), *((f"w{one}", "a00", 101.5) for one in range(9))], catalogue
    )
    split = (
        cutoff_split(catalogue, log, CUTOFF, dated=True)
        if by_time
        else random_items_split(catalogue, log, 0.3, seed=0, timed=True, dated=True)
    )
    support = shots_pools(split, shots=3, seed=0)[1].task.support
    assert support is not None
    every = ShopClock.of(log.time_us)  # warm choices among them
    assert support.moments.tolist() == every.read(support.time_us).tolist()
    assert (
        support.moments.tolist() != ShopClock.of(split.truth.time_us).read(support.time_us).tolist()
    )


def test_support_pairs_leave_the_truth_and_the_rankings_at_zero_shots_too(monkeypatch):
    monkeypatch.setattr("coldstart_models.data.pools.MIN_CANDIDATES", 1)
    catalogue, split, built, _ = pools()
    for shots in (0, 1):
        pool = built["cold>1", shots]
        # First users: of new1 the stranger, of new2 u3.
        assert pairs(catalogue, split, pool, pool.excluded) == [("u3", "new2")]
        assert pairs(catalogue, split, pool, pool.chosen) == [
            ("u1", "new1"),
            ("u1", "new2"),
            ("u2", "new1"),
            ("u3", "new1"),
        ]
    assert built["cold>1", 0].task.support is None
    pool = built["cold>2", 2]
    assert pairs(catalogue, split, pool, pool.chosen) == [("u2", "new1"), ("u3", "new1")]


def test_the_support_does_not_depend_on_the_seed_where_time_orders_it():
    _, split = small()
    first, other = (build_pools(split, shots=[1], seed=seed)[0][1:3] for seed in (0, 7))
    np.testing.assert_array_equal(
        first[1].task.support.user_index, other[1].task.support.user_index
    )


def test_without_an_order_the_support_is_drawn_by_seed():
    catalogue = board()
    rows = [(user, item, 0.0) for user, item, _ in board_rows()]
    interactions = interactions_of(rows, catalogue)
    split = random_items_split(catalogue, interactions, 0.3, seed=0, timed=False, dated=False)
    drawn = [build_pools(split, shots=[3], seed=seed)[0][2].task.support for seed in (0, 0, 1)]
    np.testing.assert_array_equal(drawn[0].user_index, drawn[1].user_index)
    assert (drawn[0].user_index != drawn[2].user_index).any()
    assert len(drawn[0].user_index) == 3 * split.cold.sum()


def test_the_full_pool_leaves_out_what_the_user_had_and_counts_new_warm_choices():
    catalogue, split, built, _ = pools()
    pool = built["full", 0]
    assert len(pool.task.candidates) == 5
    assert ("u1", "warm") in pairs(catalogue, split, pool, pool.excluded)
    found = pairs(catalogue, split, pool, pool.chosen)
    assert ("u1", "other") in found
    assert ("u1", "warm") not in found


def test_the_warm_pool_asks_for_warm_items_chosen_for_the_first_time():
    catalogue, split, built, _ = pools()
    pool = built["warm", 0]
    assert pairs(catalogue, split, pool, pool.chosen) == [("u1", "other")]
    assert pairs(catalogue, split, pool, pool.excluded) == [("u1", "warm")]


def test_months_are_calendar_months_of_launch():
    catalogue, _, built, _ = pools()
    # The cutoff is 2024-04-10: new1 came on 04-10, new2 on 04-13, new3 on 04-16.
    assert set(built["month", 0].month) == {2024 * 12 + 3}
    rows = [("u", "warm", 1), ("u", "new1", 101), ("v", "warm", 2), ("v", "new2", 150)]
    catalogue = titled(TITLES)
    split = cutoff_split(catalogue, interactions_of(rows, catalogue), CUTOFF, dated=True)
    built, skipped = build_pools(split, shots=[], seed=0)
    assert "month" not in {pool.name for pool in built}
    assert "month" in {one.what for one in skipped}


def test_a_random_split_has_no_warm_truth_and_says_so():
    catalogue = board()
    interactions = interactions_of(board_rows(), catalogue)
    split = random_items_split(catalogue, interactions, 0.2, seed=0, timed=True, dated=False)
    built, skipped = build_pools(split, shots=[], seed=0)
    assert {pool.name for pool in built} == {"cold", "full"}
    assert {one.what: one.reason for one in skipped}["warm"] == NO_WARM_TRUTH


def test_the_board_gives_every_user_the_cold_items_of_its_group():
    _, split = board_split()
    pool = cold_pool(split)
    assert pool.chosen.shape == (2 * USERS, 2 * COLD)
    assert (pool.chosen.sum(axis=1) == COLD).all()
    assert (pool.task.histories.mask.sum(axis=1) == WARM).all()


def test_no_user_with_both_sides_is_an_error_that_counts():
    catalogue = titled(TITLES)
    rows = [("u", "warm", 1), ("v", "new1", 101), ("v", "new2", 102)]
    split = cutoff_split(catalogue, interactions_of(rows, catalogue), CUTOFF, dated=True)
    with pytest.raises(NotEnoughData, match="no user with a history and a cold item"):
        build_pools(split, shots=[], seed=0)


def test_a_single_cold_item_is_nothing_to_rank():
    catalogue = titled(TITLES)
    rows = [("u", "warm", 1), ("u", "new1", 101), ("v", "warm", 2), ("v", "new1", 102)]
    split = cutoff_split(catalogue, interactions_of(rows, catalogue), CUTOFF, dated=True)
    with pytest.raises(NotEnoughData, match="leaves one cold item, and every ranking of one is"):
        build_pools(split, shots=[], seed=0)
