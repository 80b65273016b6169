"""Weights of terms: what explains choices gains, and the loss is what its gradient says."""

import numpy as np
import pytest
import torch

from coldstart_models.siamese.network import MetaSiamese, ndcg
from coldstart_models.siamese.preparing import prepare_each
from coldstart_models.siamese.problems import held_out_episodes
from coldstart_models.siamese.stages import pretrain
from coldstart_models.siamese.weighing import (
    Choices,
    choice_loss,
    choices,
    fitted_weights,
    qualities,
    set_weights,
    stated_weights,
    weigh,
)
from tests.coldstart_models.siamese.test_ranker import training_on_the_board


def drawn(seed: int, *, true: int = 1) -> Choices:
    """200 people each choose the candidate of 15 whose term number `true` is the highest."""
    terms = np.random.default_rng(seed).normal(size=(200, 15, 4)).astype(np.float32)
    chosen = np.zeros(terms.shape[:2], bool)
    chosen[np.arange(200), terms[:, :, true].argmax(axis=1)] = True
    return Choices(terms, chosen, np.zeros(15, np.float32))


def test_the_gradient_is_that_of_the_loss():
    one, weights = drawn(0), np.array([0.3, -0.2, 0.5, 0.1])
    _, gradient = choice_loss(one, weights)
    for place in range(4):
        step = np.zeros(4)
        step[place] = 1e-2
        rise = choice_loss(one, weights + step)[0] - choice_loss(one, weights - step)[0]
        assert rise / 2e-2 == pytest.approx(gradient[place], abs=1e-3)


def test_the_term_that_explains_the_choices_gets_the_weight():
    found = fitted_weights([drawn(0)], np.array([0.5, 0.0, 0.5, 0.0]), pull=0.003)
    assert found[1] > 5 * np.abs(np.delete(found, 1)).max()
    assert qualities([drawn(1)], found)[0].mean() > 0.95


def test_what_popularity_explains_moves_no_weight_on_launches():
    # Everybody chooses by the last term, which is the same for all: the season's favourites.
    generator = np.random.default_rng(0)
    terms = generator.normal(size=(400, 15, 4)).astype(np.float32)
    terms[:, :, 3] = terms[0, :, 3]
    odds = np.exp(1.5 * terms[0, :, 3])
    wanted = generator.choice(15, size=400, p=odds / odds.sum())
    chosen = np.zeros((400, 15), bool)
    chosen[np.arange(400), wanted] = True
    seen = np.log(np.maximum(chosen.sum(axis=0), 1)).astype(np.float32)
    start = np.array([0.2, 0.2, 0.2, 0.0])
    plain = fitted_weights([Choices(terms, chosen, np.zeros_like(seen))], start, pull=0.003)
    apart = fitted_weights([Choices(terms, chosen, seen)], start, pull=0.003)
    assert plain[3] > 1.0
    assert abs(apart[3]) < 0.2


def test_a_strong_pull_keeps_the_start():
    start = np.array([0.5, 0.0, 0.5, 0.0])
    np.testing.assert_allclose(fitted_weights([drawn(0)], start, pull=1e4), start, atol=1e-3)


def fresh(*, dates: bool) -> tuple[MetaSiamese, list]:
    training = training_on_the_board()
    model = pretrain(training, dates=dates, seed=0)
    inputs = model.featurizer(training.catalogue)
    widths = model.network.scorer.widths
    network = MetaSiamese(widths, dates=dates, generator=torch.Generator().manual_seed(0))
    drawn_episodes = held_out_episodes(training, seed=3)
    both = [*drawn_episodes.learning, *drawn_episodes.validation]
    return network, list(prepare_each(both, training, inputs, {}, seed=0))


@pytest.mark.parametrize("dates", [False, True])
def test_the_terms_weighed_are_the_scores_themselves(monkeypatch, dates):
    monkeypatch.setattr("coldstart_models.data.episodes.MIN_COHORT", 3)
    network, episodes = fresh(dates=dates)
    assert episodes
    for prepared in episodes:
        one = choices(network, prepared, launches=False)
        assert one.terms.shape[2] == len(stated_weights(network))
        assert qualities([one], stated_weights(network))[0].mean() == pytest.approx(
            ndcg(network, prepared), abs=1e-6
        )


def test_weights_are_read_where_they_are_put_and_weighing_a_board_validates_no_worse(monkeypatch):
    monkeypatch.setattr("coldstart_models.data.episodes.MIN_COHORT", 3)
    network, episodes = fresh(dates=True)
    moved = stated_weights(network) + np.arange(len(stated_weights(network)))
    set_weights(network, moved)
    np.testing.assert_allclose(stated_weights(network), moved, rtol=1e-6)
    before = ndcg(network, episodes[-1])
    length = np.linalg.norm(stated_weights(network))
    weigh(network, episodes[:-1], episodes[-1:], launches=True)
    assert ndcg(network, episodes[-1]) >= before
    assert np.linalg.norm(stated_weights(network)) == pytest.approx(length, rel=1e-5)
