"""What holds for every ranker: inherit :class:`RankerContract` and say how to build one."""

from dataclasses import replace

import numpy as np
import pytest

from coldstart_models.data.catalogue import Embeddings
from coldstart_models.data.pools import Pool, build_pools
from coldstart_models.data.splits import cutoff_split
from coldstart_models.ranker import Ranker, RankingTask
from tests.coldstart_models.checkerboard import (
    CUTOFF,
    board,
    board_rows,
    catalogue_of,
    interactions_of,
)


def board_with_photos():
    """The checkerboard, its photos' vectors pointing one way a group; one of each lacks one."""
    catalogue = board()
    generator = np.random.default_rng(5)
    group = np.array([item_id[0] == "a" for item_id in catalogue.item_ids])
    vectors = np.where(group[:, None], [1, 0, 0, 0], [0, 1, 0, 0]) + 0.1 * generator.normal(
        size=(len(group), 4)
    )
    present = ~np.isin(catalogue.item_ids, ["a01", "b16"])
    vectors[~present] = 0
    photos = Embeddings(vectors.astype(np.float32), present, "tiny", "0" * 64)
    return catalogue_of(catalogue.frame, image=photos)


class RankerContract:
    """Tests that every ranker inherits."""

    @classmethod
    def build(cls) -> Ranker:
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def world(cls):
        catalogue = board_with_photos()
        interactions = interactions_of(board_rows(), catalogue)
        split = cutoff_split(catalogue, interactions, CUTOFF, dated=True)
        pools, _ = build_pools(split, shots=[1], seed=0)
        return catalogue, split, pools

    @pytest.fixture(scope="class")
    @classmethod
    def fitted(cls, world):
        return cls.fit(world)

    @classmethod
    def fit(cls, world, *, seed: int = 0) -> Ranker:
        catalogue, split, _ = world
        ranker = cls.build()
        ranker.fit(split.training_set(catalogue), seed=seed)
        return ranker

    def test_scores_are_finite_float32_of_users_by_candidates(self, world, fitted):
        for pool in world[2]:
            scores = fitted.score(pool.task)
            assert scores.shape == (len(pool.task.user_index), len(pool.task.candidates))
            assert scores.dtype == np.float32
            assert np.isfinite(scores).all()

    def test_a_batch_equals_its_users_one_by_one(self, world, fitted):
        for pool in world[2]:
            together = fitted.score(pool.task)
            for row in (0, 7, len(together) - 1):
                alone = fitted.score(one_user(pool.task, row))
                np.testing.assert_allclose(alone[0], together[row], rtol=1e-3, atol=1e-4)

    def test_scores_follow_the_order_of_the_candidates(self, world, fitted):
        pool: Pool = world[2][0]
        scores = fitted.score(pool.task)
        order = np.random.default_rng(1).permutation(len(pool.task.candidates))
        moved = fitted.score(replace(pool.task, candidates=pool.task.candidates[order]))
        np.testing.assert_allclose(moved, scores[:, order], rtol=1e-3, atol=1e-4)

    def test_the_same_seed_gives_the_same_scores(self, world, fitted):
        task = world[2][0].task
        again = self.fit(world)
        np.testing.assert_allclose(again.score(task), fitted.score(task), rtol=1e-4, atol=1e-5)

    def test_an_empty_history_still_gets_finite_scores(self, world, fitted):
        task = one_user(world[2][0].task, 0)
        histories = replace(task.histories, item_index=np.full_like(task.histories.item_index, -1))
        assert np.isfinite(fitted.score(replace(task, histories=histories))).all()

    def test_scoring_changes_neither_the_task_nor_the_ranker(self, world, fitted):
        task = world[2][0].task
        before = task.histories.item_index.copy(), task.candidates.copy()
        first = fitted.score(task)
        second = fitted.score(task)
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(task.histories.item_index, before[0])
        np.testing.assert_array_equal(task.candidates, before[1])

    def test_events_after_the_cutoff_do_not_reach_the_scores(self, world, fitted):
        catalogue, _, pools = world
        rows = [*board_rows(), *((f"a-user{n:02}", "b00", 101.0) for n in range(10))]
        rows += [(f"b-user{n:02}", "a16", 140.0) for n in range(10)]
        interactions = interactions_of(rows, catalogue)
        split = cutoff_split(catalogue, interactions, CUTOFF, dated=True)
        other = self.fit((catalogue, split, pools))
        task = pools[0].task
        np.testing.assert_allclose(other.score(task), fitted.score(task), rtol=1e-4, atol=1e-5)


def one_user(task: RankingTask, row: int) -> RankingTask:
    return task.of_users(np.array([row]))
