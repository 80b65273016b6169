"""How sure scores are: the posterior of the last layer, and chances that come true."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from coldstart_models.data.pools import cold_pool, shots_pools
from coldstart_models.data.splits import random_items_split
from coldstart_models.ranker import RankingTask, Sure
from coldstart_models.reliability import among, demand_reliability, reliability
from coldstart_models.siamese import certainty as certainties
from coldstart_models.siamese.certainty import SPREAD, Certainty, Choices
from coldstart_models.siamese.files import load_folder, save_folder
from coldstart_models.siamese.learners.learner import FastWeights
from coldstart_models.siamese.learners.rehearsal import Rehearsal
from coldstart_models.siamese.own_errors import UNLEARNED, Turnout
from coldstart_models.siamese.population import Population
from coldstart_models.siamese.ranker import SiameseRanker
from tests.coldstart_models.siamese.test_ranker import many_launches

USERS, CANDIDATES, TERMS = 400, 30, 4
OFF = 0.7
NO_OWN_ERROR = Turnout(*np.full((3, CANDIDATES), 10.0))


def drawn(scale: float, seed: int = 0) -> Choices:
    """People who choose by softmax(scale × score), scores being a known sum of their features."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(USERS, CANDIDATES, TERMS + 1, generator=generator)
    scores = features @ torch.tensor([1.0, 0.5, -0.5, 0.2, 0.1])
    chosen = torch.multinomial(torch.softmax(scale * scores, dim=1), 1, generator=generator)
    return Choices(features, scores, torch.zeros(USERS, CANDIDATES).scatter(1, chosen, 1.0))


def test_information_is_the_curvature_of_the_loss() -> None:
    problem = drawn(0.8)
    weights = torch.tensor([1.0, 0.5, -0.5, 0.2, 0.1])

    def loss(w: torch.Tensor) -> torch.Tensor:
        chances = torch.log_softmax(0.8 * (problem.features @ w), dim=1)
        return -(problem.share * chances).sum()

    hessian = torch.autograd.functional.hessian(loss, weights)
    torch.testing.assert_close(problem.information(0.8), hessian, rtol=1e-3, atol=1e-2)


def test_before_learning_a_deviation_is_the_priors() -> None:
    features = torch.randn(7, TERMS + 1, generator=torch.Generator().manual_seed(0))
    shared = SPREAD * features.norm(dim=1)
    torch.testing.assert_close(Certainty(TERMS).shared(features), shared)
    own = Certainty(TERMS).own_deviations(np.arange(7))
    assert own.tolist() == [float(np.sqrt(UNLEARNED))] * 7


@pytest.mark.parametrize("scale", [0.4, 1.5])
def test_scale_and_inflation_are_those_that_the_choices_were_drawn_by(
    scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Choices, "of", lambda network, episode: episode)
    monkeypatch.setattr(certainties, "turnout", lambda network, episode, scale: NO_OWN_ERROR)
    certainty = Certainty(TERMS)
    certainty.learn(None, [drawn(scale)], [drawn(scale, seed=1)])  # type: ignore[arg-type]
    assert float(certainty.scale) == pytest.approx(scale, rel=0.15)
    later = drawn(scale, seed=2)
    shared = certainty.shared(later.features)
    assert float(shared.max()) < SPREAD * float(later.features.norm(dim=2).max())
    chances = certainty.log_chances(later.scores, shared)
    torch.testing.assert_close(chances.exp().sum(dim=1), torch.ones(USERS))
    found = reliability("m", chances.numpy(), later.share.numpy() > 0, own_variance=0.0)
    assert found.error < 0.2
    assert found.gain > 0.1
    # The world turned round: what was learned says nothing of later choices.
    moved = replace(drawn(scale, seed=3), share=drawn(0.0, seed=4).share)
    certainty.learn(None, [drawn(scale)], [moved])  # type: ignore[arg-type]
    assert float(certainty.inflation) > 30


class Guessing:
    """A learner whose biases are the best guess from one blurred look at the rates a customer."""

    def __init__(self, errors: torch.Tensor, generator: torch.Generator) -> None:
        self.errors, self.generator = errors, generator

    def adapt(self, evidence: Any) -> FastWeights:
        noise = torch.randn(len(self.errors), generator=self.generator) / evidence.sqrt()
        bias = (self.errors + noise) / (1.0 + 1.0 / (OFF**2 * evidence))
        return FastWeights(torch.zeros(len(bias), 1, 1), bias)


def test_first_customers_leave_less_of_a_listings_own_error() -> None:
    users, listings = 3000, 200
    generator = torch.Generator().manual_seed(0)
    errors = OFF * torch.randn(listings, generator=generator)
    scores = torch.randn(users, listings, generator=generator)
    drawn = torch.multinomial(torch.softmax(scores + errors, dim=1), 1, generator=generator)
    chosen = torch.zeros(users, listings, dtype=torch.bool).scatter(1, drawn, True)
    rehearsals = [
        Rehearsal(
            shots,
            scores,
            torch.zeros(users, 1, 1),
            np.arange(listings),
            torch.full((listings,), float(shots)),  # type: ignore[arg-type]
            chosen,
        )
        for shots in (1, 3, 10)
        for _ in range(3)
    ]
    certainty = Certainty(TERMS)
    certainty.own.fill_(OFF**2)
    certainty.learn_own(rehearsals, Guessing(errors, generator))  # type: ignore[arg-type]
    found = certainty.own_deviations(np.array([0, 1, 3, 10, 50]))
    assert found[0] == pytest.approx(OFF)
    expected = 1 / np.sqrt(1 / OFF**2 + np.array([1, 3, 10]))
    np.testing.assert_allclose(found[1:4], expected, rtol=0.25)
    assert found[4] == found[3]
    # In the score's units: a scale of half makes twice as much of a log rate.
    certainty.scale.fill_(0.5)
    np.testing.assert_allclose(certainty.own_deviations(np.array([0])), [2 * OFF], rtol=1e-5)
    # Rehearsals that say more than is open without any customer do not raise it.
    certainty.own.fill_(1e-3)
    certainty.learn_own(rehearsals, Guessing(errors, generator))  # type: ignore[arg-type]
    assert float(certainty.own.max()) == pytest.approx(1e-3)


def test_chances_know_of_first_customers_where_the_model_learned_to() -> None:
    training = many_launches()
    split = random_items_split(
        training.catalogue, training.interactions, 0.2, seed=0, timed=True, dated=True
    )
    bare, known = shots_pools(split, shots=1, seed=0)
    for meta in (False, True):
        ranker = SiameseRanker(meta=meta, dates=False)
        ranker.fit(split.training_set(training.catalogue), seed=0)
        without, told = ranker.log_chances(bare.task), ranker.log_chances(known.task)
        # Of one person's candidates that may be ranked, with which chances are the same but for a
        # factor unless customers say something of them.
        moved = np.where(known.excluded.toarray(), np.nan, told - without)
        assert (np.nanstd(moved, axis=1).max() > 0.01) == meta
        np.testing.assert_allclose(np.exp(told).sum(axis=1), 1.0, rtol=1e-4)
        assert ranker._model is not None
        assert (ranker._model.network.certainty.own.diff() <= 0).all()


def test_chances_are_of_the_pool_and_a_saved_model_tells_the_same(tmp_path) -> None:
    training = many_launches()
    split = random_items_split(
        training.catalogue, training.interactions, 0.2, seed=0, timed=True, dated=True
    )
    ranker = SiameseRanker(meta=False, dates=False)
    ranker.fit(split.training_set(training.catalogue), seed=0)
    assert isinstance(ranker, Sure)
    pool = cold_pool(split)
    chances = ranker.log_chances(pool.task)
    np.testing.assert_allclose(np.exp(chances).sum(axis=1), 1.0, rtol=1e-4)
    few = RankingTask(
        pool.task.user_index[:3], pool.task.histories.take(np.arange(3)), pool.task.candidates
    )
    np.testing.assert_allclose(ranker.log_chances(few), chances[:3], rtol=1e-4)
    model = ranker._model
    assert model is not None
    assert not torch.equal(
        model.network.certainty.covariance, Certainty(len(model.network.scorer.terms)).covariance
    )
    nobody = Population(
        {name: torch.zeros(width) for name, width in model.network.scorer.widths.items()},
        {name: torch.eye(width) for name, width in model.network.scorer.widths.items()},
    )
    save_folder(
        tmp_path,
        featurizer=model.featurizer,
        head=model.fitted.head,
        network=model.network,
        population=nobody,
    )
    _, _, network, _ = load_folder(tmp_path)
    assert torch.equal(network.certainty.covariance, model.network.certainty.covariance)
    assert float(network.certainty.scale) == float(model.network.certainty.scale)
    assert torch.equal(network.certainty.own, model.network.certainty.own)


def test_reliability_tells_what_came_true() -> None:
    chosen = np.zeros((4, 10), bool)
    chosen[:, 0] = True
    sure = np.full((4, 10), np.log(0.01 / 9), np.float32)
    sure[:, 0] = np.log(0.99)
    right = reliability("m", sure, chosen, own_variance=0.0)
    assert right.error == pytest.approx(0.02, abs=1e-3)
    assert right.gain == pytest.approx(np.log(0.99) + np.log(10), abs=1e-3)
    blind = reliability("m", np.full((4, 10), -np.log(10), np.float32), chosen, own_variance=0.0)
    assert blind.gain == pytest.approx(0.0, abs=1e-6)
    wrong = reliability("m", sure, np.roll(chosen, 1, axis=1), own_variance=0.0)
    assert wrong.error == pytest.approx(1.99, abs=1e-2)
    assert wrong.gain < 0


def test_drawing_blindly_from_what_is_ranked_gains_nothing_and_other_pairs_are_in_no_bin() -> None:
    ranked = np.ones((4, 3), bool)
    ranked[:, 2] = False
    chances = among(np.zeros((4, 3), np.float32), ranked)
    chosen = np.array([[True, False, False], [False, True, False]] * 2)
    blind = reliability("m", chances, chosen, own_variance=0.0, ranked=ranked)
    assert blind.gain == pytest.approx(0.0, abs=1e-6)
    assert blind.predicted == pytest.approx([0.5] * len(blind.predicted))
    assert sum(blind.observed) == pytest.approx(4.0)


def test_reliability_of_fewer_pairs_than_bins_is_a_number() -> None:
    chances = np.log(np.array([[0.5, 0.3, 0.2]], np.float32))
    few = reliability("m", chances, np.array([[True, False, False]]), own_variance=0.0)
    assert len(few.predicted) == 3
    assert few.error == pytest.approx(1.0)


def test_a_demand_is_held_against_what_came_whatever_its_level() -> None:
    rng = np.random.default_rng(0)
    expected = rng.normal(size=4000)
    customers = np.exp(expected + rng.normal(scale=0.4, size=4000) + 5.0).round().astype(np.int64)
    right = demand_reliability("m", expected + 1.0, np.full(4000, 0.4), customers)
    assert right.within_one == pytest.approx(0.683, abs=0.03)
    assert right.within_two == pytest.approx(0.954, abs=0.015)
    assert right.items == 4000
    sure = demand_reliability("m", expected, np.full(4000, 0.1), customers)
    assert sure.within_two < 0.5
    assert right.as_dict()["within_one_deviation"] == right.within_one


@pytest.mark.parametrize("deviation", [0.0, 0.6])
def test_listings_that_are_off_on_their_own_are_told_by_how_far(deviation: float) -> None:
    generator = np.random.default_rng(0)
    people, listings = 4000, 300
    rates = np.exp(deviation * generator.normal(size=listings))
    chosen = np.zeros((people, listings), bool)
    picks = generator.choice(listings, people, p=rates / rates.sum())
    chosen[np.arange(people), picks] = True
    alike = np.full(chosen.shape, -np.log(listings), np.float32)
    found = reliability("m", alike, chosen, own_variance=0.36, shots=3)
    assert found.own_found == pytest.approx(deviation**2, abs=0.08)
    assert found.as_dict()["own_variance_said"] == 0.36
