"""A cell of the benchmark of shots: pools that differ in nothing but the customers known."""

import numpy as np
import pytest

from benchmarks import shots_cells
from benchmarks.rehearsed import rehearsal_of
from coldstart_models.data.pools import shots_pools
from coldstart_models.siamese import stages
from coldstart_models.siamese.learners.registry import build_learner
from tests.coldstart_models.checkerboard import (
    board,
    board_split,
)


@pytest.fixture(scope="module")
def split():
    return board_split()[1]


def test_fewer_shots_are_each_listings_first_customers_of_the_same_pool(split):
    [_, pool] = shots_pools(split, shots=5, seed=0)
    fewer = list(shots_cells.with_fewer(pool))
    assert [one.shots for one in fewer] == [1, 3, 5]
    for one in fewer:
        [_, own] = shots_pools(split, shots=one.shots, seed=0)
        known, theirs = one.task.support, own.task.support
        listed = np.isin(theirs.item_index, pool.task.candidates)
        for column in ("item_index", "user_index", "time_us"):
            np.testing.assert_array_equal(getattr(known, column), getattr(theirs, column)[listed])
        assert known.histories.item_index.shape[0] == len(known.item_index)
        np.testing.assert_array_equal(one.task.candidates, pool.task.candidates)
        np.testing.assert_array_equal(one.task.user_index, pool.task.user_index)
        assert (one.excluded != pool.excluded).nnz == 0


def test_a_pool_without_support_has_no_fewer(split):
    [plain, _] = shots_pools(split, shots=5, seed=0)
    with pytest.raises(ValueError, match="no support"):
        list(shots_cells.with_fewer(plain))


def test_a_cell_tells_every_k_on_the_pool_of_the_largest(split, monkeypatch):
    """The board has too few people to rehearse on: learners are judged on what is measured."""

    def rehearsed(model, training, episodes, *, seed):
        [_, pool] = shots_pools(split, shots=3, seed=seed)
        return ([rehearsal_of(model, training, pool)],) * 2

    monkeypatch.setattr(shots_cells, "rehearsals", rehearsed)
    monkeypatch.setattr(shots_cells, "LEAST_CANDIDATES", 2)
    monkeypatch.setattr(shots_cells, "LEAST_USERS", 5)
    monkeypatch.setattr(shots_cells, "SHOTS", (1, 3))
    found = shots_cells.measured(board(), split, seed=0)
    own, alike = found["pools"], found["one_pool"]
    assert [one["shots"] for one in alike] == [one["shots"] for one in own] == [1, 3]
    assert {tuple(one["users"]) for one in alike} == {tuple(own[-1]["users"])}
    assert alike[0]["without"] == alike[1]["without"] == own[-1]["without"]
    assert alike[-1]["with"]["kept"] == own[-1]["with"]["kept"]
    assert alike[-1]["candidates"] == own[-1]["candidates"]
    assert own[-1]["with"]["kept, untaught"] == alike[-1]["with"]["kept, untaught"]


def test_what_is_untaught_knows_the_scales_of_what_it_reads_and_nothing_else(split):
    model = stages.pretrain(split.training_set(board()), dates=False, seed=0)
    [_, pool] = shots_pools(split, shots=3, seed=0)
    rehearsal = rehearsal_of(model, split.training_set(board()), pool)
    modalities = len(model.network.scorer.widths)
    taught = build_learner("prototype", modalities=modalities)
    fresh = {name: value.clone() for name, value in taught.named_parameters()}
    taught.learn([rehearsal])
    found = shots_cells.as_it_starts("prototype", [rehearsal], modalities=modalities)
    for name, value in found.named_parameters():
        np.testing.assert_array_equal(value.detach(), fresh[name].detach())
    for name, value in found.named_buffers():
        np.testing.assert_array_equal(value, dict(taught.named_buffers())[name])
    assert found.demand.expected_deviation.any()
    assert not np.array_equal(found.steps.detach(), taught.steps.detach())
