"""The control between what sells in general and the person alone."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from coldstart_models.errors import ConfigError
from coldstart_models.ranker import RankingTask, Steerable
from coldstart_models.siamese.network import MetaSiamese, score_task
from coldstart_models.siamese.personal import PLACES, choose_place, moved, own_place, standardised
from coldstart_models.siamese.preparing import PreparedEpisode
from coldstart_models.siamese.ranker import SiameseRanker
from tests.coldstart_models.siamese.test_ranker import training_on_the_board


def ranked() -> tuple[SiameseRanker, RankingTask]:
    training = training_on_the_board()
    ranker = SiameseRanker(meta=False, dates=False)
    ranker.fit(training, seed=0)
    users = np.arange(30)
    cold = np.flatnonzero(~training.warm)
    return ranker, RankingTask(users, training.interactions.histories(users), cold)


def test_the_ends_are_what_sells_in_general_and_the_person_alone() -> None:
    general, person = torch.tensor([2.0, -1.0, 0.5]), torch.tensor([0.3, 0.1, -0.4])
    score = person + 0.05 * general
    assert torch.allclose(moved(score, general, 0.05, 1.0), person)
    assert torch.allclose(moved(score, general, 0.05, 0.0), general)
    assert torch.equal(moved(score, general, 0.05, None), score)
    at_half = moved(score, general, 0.05, 0.5)
    assert torch.allclose(at_half, (person + general) / 2)


@pytest.mark.parametrize("weight", [0.0, 0.05, 0.7, 3.0])
def test_at_its_own_place_the_order_is_the_models(weight: float) -> None:
    generator = torch.Generator().manual_seed(1)
    general, person = (torch.randn(50, generator=generator) for _ in range(2))
    score = person + weight * general
    place = own_place(weight)
    assert place is not None
    found = moved(score, general, weight, place)
    assert torch.equal(found.argsort(), score.argsort())


def test_a_score_that_leans_away_from_what_sells_has_no_place() -> None:
    assert own_place(0.0) == 1.0
    assert own_place(-0.2) is None


def test_a_place_outside_is_refused() -> None:
    with pytest.raises(ConfigError, match="from 0"):
        moved(1.0, 0.5, 0.05, 1.2)


def test_a_pool_of_equal_popularity_leans_nowhere() -> None:
    assert torch.equal(standardised(torch.full((4,), 2.5)), torch.zeros(4))


def rehearsed(weight: float, *, of: float = 0.05) -> tuple[MetaSiamese, PreparedEpisode, Tensor]:
    """A model of this weight, and what people chose by their scores with the weight `of`."""
    ranker, task = ranked()
    assert ranker._model is not None
    network, prepared = ranker._model.network, ranker._prepared(task)[1]
    drawn = torch.randn(prepared.prior.shape, generator=torch.Generator().manual_seed(0))
    prepared = replace(prepared, prior=drawn)
    with torch.no_grad():
        network.scorer.prior_weight.fill_(of)
    scores = torch.from_numpy(score_task(network, prepared))
    chosen = np.zeros(scores.shape, bool)
    chosen[np.arange(len(scores)), scores.argmax(dim=1).numpy()] = True
    with torch.no_grad():
        network.scorer.prior_weight.fill_(weight)
    return network, replace(prepared, episode=replace(prepared.episode, chosen=chosen)), scores


def test_a_model_stays_at_its_place_where_validation_ranks_no_other_better() -> None:
    network, episode, _ = rehearsed(0.05)
    told = choose_place(network, [episode])
    assert told is not None
    assert told.learned == told.kept
    assert told.kept == pytest.approx(own_place(0.05))
    assert told.ndcg == pytest.approx(1.0)
    assert float(network.scorer.prior_weight.detach()) == pytest.approx(0.05)


@pytest.mark.parametrize("weight", [25.0, -25.0])
def test_a_model_moves_to_where_validation_peaks(weight: float) -> None:
    network, episode, wanted = rehearsed(weight)
    told = choose_place(network, [episode])
    assert told is not None
    assert told.learned == own_place(weight)
    assert told.kept is not None
    assert told.by_place[told.kept] > told.ndcg + 0.1
    nearer = [place for place in PLACES if (told.kept - place) * weight > 0]
    assert all(told.by_place[place] < told.by_place[told.kept] for place in nearer)
    assert own_place(float(network.scorer.prior_weight.detach())) == pytest.approx(told.kept)
    assert json.loads(json.dumps(told.as_dict()))["kept"] == told.kept
    found = score_task(network, episode)
    assert (found.argmax(axis=1) == wanted.argmax(dim=1).numpy()).mean() > 0.9


def test_without_validation_there_is_no_place_to_choose() -> None:
    network, _, _ = rehearsed(0.3)
    assert choose_place(network, []) is None
    assert float(network.scorer.prior_weight.detach()) == pytest.approx(0.3)


def test_a_ranker_is_steered_from_one_order_for_all_to_each_persons_own() -> None:
    ranker, task = ranked()
    assert isinstance(ranker, Steerable)
    general = ranker.score_at(task, 0.0)
    np.testing.assert_array_equal(general, np.tile(general[0], (30, 1)))
    assert ranker.own_place is not None
    own = ranker.score_at(task, ranker.own_place)
    np.testing.assert_array_equal(own.argsort(axis=1), ranker.score(task).argsort(axis=1))
    personal = ranker.score_at(task, 1.0)
    assert not np.array_equal(personal[0].argsort(), personal[20].argsort())
