"""What an event of a history counts is learned where past launches agree, and not otherwise."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from coldstart_models.data.interactions import Histories
from coldstart_models.data.traits import TRAITS
from coldstart_models.metrics import ndcg_of_each
from coldstart_models.siamese.event_weights import (
    RECENCY,
    STEPS,
    choose_event_weights,
    moved,
    told_steps,
)
from coldstart_models.siamese.network import MetaSiamese, score_task
from coldstart_models.siamese.preparing import PreparedEpisode
from coldstart_models.siamese.scorer import SiameseScorer
from tests.coldstart_models.siamese.test_training import launch, network, state

CLICK = TRAITS.index("click")


def distracted(*, seed: int, clicks: bool = True) -> PreparedEpisode:
    """A launch before which everybody also had what the other kind of people likes.

    Args:
        clicks: whether these events are clicks and the person's own ones purchases, or the reverse.
    """
    found = launch(seed=seed)
    own = found.histories
    others = np.roll(own.item_index, 1, axis=0)
    traits = np.zeros((*own.item_index.shape, len(TRAITS)), np.float32)
    traits[:, :, CLICK] = own.mask
    events = [traits if clicks else 0.0 * traits, 0.0 * traits if clicks else traits]
    both = Histories(
        np.concatenate([others, own.item_index], axis=1),
        np.concatenate([own.time_us, own.time_us], axis=1),
        np.concatenate(events, axis=1),
    )
    return replace(found, histories=both)


def ndcg(model: MetaSiamese, problem: PreparedEpisode) -> float:
    return float(ndcg_of_each(score_task(model, problem), problem.episode.chosen).mean())


def weights(scorer: SiameseScorer) -> dict[str, float]:
    """What is not zero."""
    told = {RECENCY: float(scorer.recency.detach())}
    told |= dict(zip(TRAITS, scorer.trait_weights.tolist(), strict=True))
    return {name: round(value, 4) for name, value in told.items() if value}


def test_clicks_that_say_nothing_count_less() -> None:
    model, later = network(), distracted(seed=5)
    before = ndcg(model, later)
    learning = [distracted(seed=1), distracted(seed=3)]
    taken = choose_event_weights(model, learning, [distracted(seed=2)])
    assert weights(model.scorer) == taken
    assert taken["click"] == -2.0
    assert ndcg(model, later) > before + 0.1


@pytest.mark.parametrize(
    ("learning", "validation"), [(True, False), (False, True)], ids=["the last", "the first"]
)
def test_what_one_launch_prefers_and_others_do_not_is_left(
    learning: bool, validation: bool
) -> None:
    model = network()
    before = state(model)
    episodes = [[distracted(seed=1, clicks=learning)], [distracted(seed=2, clicks=validation)]]
    assert choose_event_weights(model, *episodes) == {}
    assert all(torch.equal(value, before[name]) for name, value in state(model).items())


def test_where_all_events_are_alike_or_nobody_judges_nothing_is_learned() -> None:
    model = network()
    alike = launch(seed=1)
    assert {name for name, _ in told_steps(alike)} == {RECENCY}
    assert choose_event_weights(model, [alike], [launch(seed=2)]) == {}
    assert choose_event_weights(model, [distracted(seed=1)], []) == {}
    assert choose_event_weights(model, [], [distracted(seed=1)]) == {}
    assert weights(model.scorer) == {}


def test_a_weight_is_moved_for_a_while_and_put_back() -> None:
    scorer = network().scorer
    with torch.no_grad():
        scorer.recency.fill_(0.1)
        scorer.trait_weights.fill_(0.2)
    before = {name: value.clone() for name, value in scorer.state_dict().items()}
    with moved(scorer, RECENCY, 0.4):
        assert float(scorer.recency.detach()) == pytest.approx(0.5)
        assert bool((scorer.trait_weights == before["trait_weights"]).all())
    with moved(scorer, "price", -0.6):
        change = (scorer.trait_weights - before["trait_weights"]).tolist()
        assert change == pytest.approx([-0.6 if name == "price" else 0.0 for name in TRAITS])
    assert all(bool((value == before[name]).all()) for name, value in scorer.state_dict().items())


def test_only_what_histories_tell_has_steps() -> None:
    problem = launch(seed=1)
    own = problem.histories
    traits = np.zeros_like(own.traits)
    traits[0, -1, CLICK] = 1.0
    same_time = np.where(own.mask, own.time_us.max(), 0)
    told = Histories(own.item_index, same_time, traits)
    assert list(told_steps(replace(problem, histories=told))) == [
        ("click", step) for step in STEPS["click"]
    ]
    traits[:, :, CLICK] = own.mask  # nothing but clicks: all count alike
    assert not list(told_steps(replace(problem, histories=told)))
