"""How sure scores are: the posterior of the last layer, and chances that come true."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from coldstart_models.data.pools import cold_pool
from coldstart_models.data.splits import random_items_split
from coldstart_models.ranker import RankingTask, Sure
from coldstart_models.reliability import reliability
from coldstart_models.siamese.certainty import SPREAD, Certainty, Choices
from coldstart_models.siamese.files import load_folder, save_folder
from coldstart_models.siamese.population import Population
from coldstart_models.siamese.ranker import SiameseRanker
from tests.coldstart_models.siamese.test_ranker import many_launches

USERS, CANDIDATES, TERMS = 400, 30, 4


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
    torch.testing.assert_close(Certainty(TERMS).deviation(features), SPREAD * features.norm(dim=1))


@pytest.mark.parametrize("scale", [0.4, 1.5])
def test_scale_and_inflation_are_those_that_the_choices_were_drawn_by(
    scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Choices, "of", lambda network, episode: episode)
    certainty = Certainty(TERMS)
    certainty.learn(None, [drawn(scale)], [drawn(scale, seed=1)])  # type: ignore[arg-type]
    assert float(certainty.scale) == pytest.approx(scale, rel=0.15)
    later = drawn(scale, seed=2)
    deviation = certainty.deviation(later.features)
    assert float(deviation.max()) < SPREAD * float(later.features.norm(dim=2).max())
    chances = certainty.log_chances(later.scores, deviation)
    torch.testing.assert_close(chances.exp().sum(dim=1), torch.ones(USERS))
    found = reliability("m", chances.numpy(), later.share.numpy() > 0)
    assert found.error < 0.2
    assert found.gain > 0.1
    # The world turned round: what was learned says nothing of later choices.
    moved = replace(drawn(scale, seed=3), share=drawn(0.0, seed=4).share)
    certainty.learn(None, [drawn(scale)], [moved])  # type: ignore[arg-type]
    assert float(certainty.inflation) > 30


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


def test_reliability_tells_what_came_true() -> None:
    chosen = np.zeros((4, 10), bool)
    chosen[:, 0] = True
    sure = np.full((4, 10), np.log(0.01 / 9), np.float32)
    sure[:, 0] = np.log(0.99)
    right = reliability("m", sure, chosen)
    assert right.error == pytest.approx(0.02, abs=1e-3)
    assert right.gain == pytest.approx(np.log(0.99) + np.log(10), abs=1e-3)
    blind = reliability("m", np.full((4, 10), -np.log(10), np.float32), chosen)
    assert blind.gain == pytest.approx(0.0, abs=1e-6)
    wrong = reliability("m", sure, np.roll(chosen, 1, axis=1))
    assert wrong.error == pytest.approx(1.99, abs=1e-2)
    assert wrong.gain < 0
