"""The pieces that peers are made of, on numbers worked out by hand."""

import numpy as np
import pytest
import torch
from scipy import sparse

from benchmarks.peers import boosted
from benchmarks.peers.boosted import Boosted
from benchmarks.peers.clcrec import contrast
from benchmarks.peers.content import item_content, profiles
from benchmarks.peers.handmade import OF_ONE
from benchmarks.peers.item_tasks import ItemTasks, padded
from benchmarks.peers.kept import Kept
from benchmarks.peers.latent import als_factors, scaled_factors
from benchmarks.peers.lightfm_hybrid import strongest
from benchmarks.peers.melu import left_out
from benchmarks.peers.meta_embedding import click_loss
from benchmarks.peers.networks import MAX_STEPS, choice_batches
from benchmarks.peers.registry import PUBLISHED
from coldstart_models.data.interactions import Histories
from coldstart_models.data.pools import build_pools, cold_pool
from coldstart_models.data.traits import TRAITS
from coldstart_models.errors import NotEnoughData
from tests.coldstart_models.checkerboard import (
    board,
    board_split,
    interactions_of,
    titled,
)

LOG = interactions_of(
    [("u1", "a", 1), ("u2", "a", 2), ("u2", "b", 3)], titled({"a": "x", "b": "y"})
)


def split():
    return board_split()[1]


def test_a_profile_is_the_mean_of_the_history_and_zero_without_one():
    vectors = np.array([[1, 0], [0, 2], [4, 4]], np.float32)
    items = np.array([[-1, 0, 1], [-1, -1, -1]])
    traits = np.zeros((*items.shape, len(TRAITS)), np.float32)
    found = profiles(Histories(items, np.zeros_like(items), traits), vectors)
    np.testing.assert_allclose(found, [[0.5, 1.0], [0.0, 0.0]])


def test_content_statistics_come_from_warm_items_alone():
    training = split().training_set(board())
    content = item_content(training, seed=0, kept=Kept())
    assert len(content.full) == len(content.axes) == len(board())
    assert (content.axes[training.warm] ** 2).mean() == pytest.approx(1.0, rel=1e-4)
    catalogue = board()
    catalogue.frame.loc[catalogue.position["a16"], "title"] = "quantum teapot"
    other = item_content(split().training_set(catalogue), seed=0, kept=Kept())
    np.testing.assert_allclose(other.full[training.warm], content.full[training.warm], atol=1e-5)


def test_batches_hold_every_distinct_choice_once_an_epoch():
    repeated = interactions_of(
        [("u1", "a", 1), ("u1", "a", 2), ("u2", "b", 3)], titled({"a": "x", "b": "y"})
    )
    batches = list(choice_batches(repeated, epochs=2, generator=np.random.default_rng(0)))
    pairs = [pair for users, items in batches for pair in zip(users, items, strict=True)]
    assert sorted(pairs) == [(0, 0), (0, 0), (1, 1), (1, 1)]


@pytest.mark.parametrize("peer", ["aldi", "dropoutnet"])
def test_a_batch_of_one_choice_is_left_out_where_batches_are_normalised(monkeypatch, peer):
    def with_one_left(log, *, least=1, **how):
        for users, items in choice_batches(log, least=least, **how):
            yield users, items
            if least == 1:
                yield users[:1], items[:1]

    training, network = split().training_set(board()), PUBLISHED[peer].ranker
    plain, odd = network(), network()
    plain.fit(training, seed=0)
    monkeypatch.setattr(f"benchmarks.peers.{peer}.choice_batches", with_one_left)
    odd.fit(training, seed=0)
    task = build_pools(split(), shots=(), seed=0)[0][0].task
    np.testing.assert_array_equal(odd.score(task), plain.score(task))


def test_a_last_batch_of_too_few_choices_is_left_out_if_asked():
    rows = [(f"u{user}", item, 1) for user in range(33) for item in ("a",)]
    log = interactions_of(rows, titled({"a": "x"}))
    sizes = {
        least: [
            len(users)
            for users, _ in choice_batches(
                log, epochs=2, generator=np.random.default_rng(0), least=least
            )
        ]
        for least in (1, 2)
    }
    assert sizes == {1: [32, 1, 32, 1], 2: [32, 32]}


def test_the_steps_of_a_fit_are_bounded_whatever_the_epochs():
    batches = choice_batches(LOG, epochs=10_000, generator=np.random.default_rng(0))
    assert sum(1 for _ in batches) == MAX_STEPS


def test_contrast_is_the_share_of_the_own_item():
    anchors = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    items = torch.tensor([[2.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
    expected = -np.log(np.exp(4) / (np.exp(4) + 1))
    assert contrast(anchors, items, temperature=0.5).item() == pytest.approx(expected, rel=1e-5)


def test_the_gradient_of_the_click_loss_is_that_of_autograd():
    draw = torch.Generator().manual_seed(0)
    items = torch.randn(3, 4, generator=draw, requires_grad=True)
    chosen, others = torch.randn(3, 5, 4, generator=draw), torch.randn(3, 2, 4, generator=draw)
    weights = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]], np.float32)
    loss, gradient = click_loss(items, chosen, others, weights)
    (expected,) = torch.autograd.grad(loss.sum(), items)
    torch.testing.assert_close(gradient, expected)


def test_owners_get_rows_of_their_users():
    rows, weights = padded(np.array([2, 0, 2]), np.array([7, 8, 9]), 3)
    assert rows.tolist() == [[8, 0], [0, 0], [7, 9]]
    assert weights.tolist() == [[1, 0], [0, 0], [1, 1]]


def test_the_two_batches_of_an_item_share_no_customer():
    log = split().training
    items, a, b = ItemTasks(log, seed=0).drawn(8, size=4)
    customers = log.matrix().tocsc()
    for row, item in enumerate(items):
        mine, yours = (set(one.users[row][one.weights[row] > 0]) for one in (a, b))
        assert mine
        assert yours
        assert not mine & yours
        assert mine | yours <= set(customers[:, [item]].nonzero()[0])


def test_tasks_need_an_item_with_two_customers():
    lonely = interactions_of([("u1", "a", 1), ("u2", "b", 2)], titled({"a": "x", "b": "y"}))
    with pytest.raises(NotEnoughData, match="no warm item has two users"):
        ItemTasks(lonely, seed=0)


def test_factors_score_choices_above_the_rest():
    log = split().training
    choices = log.matrix().toarray() > 0
    known = log.item_users() > 0
    for factors in (
        als_factors(log, width=8, confidence=10.0, regularization=0.1, seed=0),
        scaled_factors(log, width=8, confidence=10.0, scale=3.0, seed=0),
    ):
        scores = (factors.users @ factors.items.T)[:, known]
        chosen = choices[:, known]
        assert scores[chosen].min() > scores[~chosen].max()


def test_scaled_factors_have_entries_of_one_size_on_both_sides():
    log = split().training
    factors = scaled_factors(log, width=16, confidence=10.0, scale=4.0, seed=0)
    known = log.item_users() > 0
    for side in (factors.users, factors.items[known]):
        assert (side**2).mean() == pytest.approx(4.0 / 16**0.5, rel=1e-3)


def test_factors_need_events():
    nothing = LOG.before(0)
    with pytest.raises(NotEnoughData, match="no positive event"):
        als_factors(nothing, width=8, confidence=1.0, regularization=1.0, seed=0)


def test_the_strongest_entries_of_each_row_are_left():
    rows = sparse.csr_matrix(np.array([[3, 1, 2], [0, 5, 0]], np.float32))
    assert strongest(rows, 2).toarray().tolist() == [[3, 0, 2], [0, 5, 0]]


def test_an_item_leaves_a_profile_that_holds_it_and_no_other():
    """Histories are bounded: of a long one an early choice is not among what is read."""
    profile, own = torch.tensor([[[2.0], [2.0]]]), torch.tensor([[[5.0]]])
    sizes, held = torch.tensor([[3.0, 3.0]]), sparse.csr_matrix(np.array([[1.0, 0.0]], np.float32))
    assert left_out(profile, sizes, own, held).tolist() == [[[0.5], [2.0]]]


def test_lightfm_compares_choices_with_known_items_alone(monkeypatch):
    from lightfm import LightFM

    seen = []
    fit = LightFM.fit

    def watched(self, matrix, *, item_features, **options):
        seen.append((matrix.shape[1], item_features.shape[0]))
        return fit(self, matrix, item_features=item_features, **options)

    monkeypatch.setattr(LightFM, "fit", watched)
    training = split().training_set(board())
    ranker = PUBLISHED["lightfm"].ranker()
    ranker.fit(training, seed=0)
    known = int(training.warm.sum())
    assert known < len(board())
    assert seen == [(known, known)]


def test_trees_read_what_is_of_one_side_alone_only_where_they_are_told_to():
    training, task = split().training_set(board()), cold_pool(split()).task
    read = {}
    for of_one in (True, False):
        ranker = Boosted(boosted.Settings(of_one=of_one))
        ranker.fit(training, seed=0)
        assert np.isfinite(ranker.score(task)).all()
        read[of_one] = ranker._model.n_features_in_
    assert read[True] - read[False] == len(OF_ONE)
