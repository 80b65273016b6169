"""Parts are taken out one by one, and what is told is the difference."""

import numpy as np
import pytest

from benchmarks import ablation
from coldstart_models.data.pools import cold_pool
from coldstart_models.data.splits import cutoff_split
from coldstart_models.metrics import AUC, USER_METRICS, user_metrics
from coldstart_models.siamese.stages import pretrain
from tests.coldstart_models.checkerboard import CUTOFF, board, board_rows, interactions_of


@pytest.fixture(scope="module")
def scored():
    catalogue = board()
    split = cutoff_split(catalogue, interactions_of(board_rows(), catalogue), CUTOFF, dated=True)
    training, pool = split.training_set(catalogue), cold_pool(split)
    model = pretrain(training, dates=False, seed=0)
    before = model.network.scorer.term_weights.clone()
    found = dict(ablation.variant_scores(model, training, pool, seed=0))
    assert bool((model.network.scorer.term_weights == before).all())
    return found, model, pool, catalogue.item_ids[pool.task.candidates]


def test_every_term_and_part_is_taken_out_once(scored):
    found, model, pool, _ = scored
    terms = {f"term: {name}, {kind}" for name, kind in model.network.scorer.terms}
    assert terms < set(found)
    assert {"the prior", "learned: everything", "the listing's text"} < set(found)
    assert all(scores.shape == pool.chosen.shape for scores in found.values())
    assert all(np.isfinite(scores).all() for scores in found.values())


def test_a_listing_without_its_only_content_is_like_every_other(scored):
    found, _, _, _ = scored
    assert np.ptp(found["the listing's text"], axis=1).max() == pytest.approx(0.0, abs=1e-4)


def test_a_constant_boost_has_an_auc_of_one_half(scored):
    found, _, pool, ids = scored
    values = user_metrics(found[ablation.CONSTANT], pool.chosen.toarray(), ids).values
    assert values[:, USER_METRICS.index(AUC)].tolist() == pytest.approx([0.5] * len(values))


def test_a_row_tells_what_is_lost_over_users_and_seeds():
    users = np.array([1, 3])
    whole = [(users, np.array([[0.5, 0.9], [0.7, 0.9]]))]
    less = [(users, np.array([[0.4, 0.8], [0.5, 0.8]]))]
    row = ablation._row("cut", "part", whole, less, users=5)
    assert (row["ndcg@10"], row["auc"], row["ndcg@10 lost"]) == (0.45, 0.8, 0.15)
    assert row["95 %"].startswith("+.1")
