"""What one training keeps, when it stops, and what it leaves to popularity.

A known world: people of two kinds choose new things of their own kind, popular ones four times as
readily as others. Content tells the kind and nothing of the demand, the prior the demand and
nothing of the kind.
"""

import copy
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from coldstart_models.data.episodes import episode_of
from coldstart_models.siamese.network import MetaSiamese
from coldstart_models.siamese.preparing import PastItems, PreparedEpisode, prepare
from coldstart_models.siamese.scorer import DAY_US, Vectors
from coldstart_models.siamese.training import Schedule, train
from tests.coldstart_models.checkerboard import START, interactions_of, titled

KINDS, OLD, NEW, PEOPLE, WIDTH = 2, 8, 24, 60, 6
"""Of each kind: things of the past, new ones and people; and the content's width."""
OPENING_US = int(START.timestamp() * 1e6) + 50 * DAY_US


def launch(
    *, seed: int, own: bool = True, names: Sequence[str] = ("text",), shown: float = 1.0
) -> PreparedEpisode:
    """A launch of the world.

    Args:
        own: whether people choose what is of their kind, or what is of the other.
        names: of the modalities, each of which tells the kind with an error of its own,
        shown: and which a thing has with this chance.
    """
    generator = np.random.default_rng(seed)
    kind = np.repeat(np.arange(KINDS), OLD + NEW)
    number = np.tile(np.arange(OLD + NEW), KINDS)
    new, popular = number >= OLD, number % 2 == 0
    ids = [f"{k}-{n:02}" for k, n in zip(kind, number, strict=True)]
    rows = []
    for person in range(KINDS * PEOPLE):
        likes = person % KINDS
        past = generator.choice(np.flatnonzero((kind == likes) & ~new), 4, replace=False)
        wanted = np.flatnonzero((kind == (likes if own else 1 - likes)) & new)
        odds = np.where(popular[wanted], 4.0, 1.0)
        later = generator.choice(wanted, 4, replace=False, p=odds / odds.sum())
        rows += [(f"u{person:03}", ids[item], day) for day, item in enumerate(past)]
        rows += [(f"u{person:03}", ids[item], 60 + day) for day, item in enumerate(later)]
    log = interactions_of(rows, titled({one: one for one in ids}))
    episode = episode_of(log, OPENING_US, np.flatnonzero(new))
    assert episode is not None
    values, present = {}, {}
    for name in names:
        content = np.eye(WIDTH)[kind] + 0.5 * generator.normal(size=(len(ids), WIDTH))
        values[name] = torch.nn.functional.normalize(torch.from_numpy(content).float())
        there = np.ones(len(ids), bool) if shown == 1.0 else generator.random(len(ids)) < shown
        present[name] = torch.from_numpy(there)
        values[name] *= present[name][:, None]
    past_items = PastItems(
        inputs=Vectors(values, present),
        prior=torch.from_numpy(popular).float(),
        population=log.histories(np.arange(KINDS * PEOPLE)),
        seasons=np.zeros((len(ids), 2), np.float32),
        selling=torch.zeros(len(ids)),
        known=torch.from_numpy(~new),
    )
    return prepare(episode, past_items, first_us=log.first_time_us())


def network(names: Sequence[str] = ("text",)) -> MetaSiamese:
    widths = dict.fromkeys(names, WIDTH)
    return MetaSiamese(widths, dates=False, generator=torch.Generator().manual_seed(0))


def state(model: MetaSiamese) -> dict[str, Tensor]:
    return copy.deepcopy(model.state_dict())


def alike(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Tensor]]:
    """The parameters at each check, of which the third is told to be the best."""
    met: list[dict[str, Tensor]] = []
    told = [0.2, 0.3, 0.5, 0.4, 0.3, 0.45, 0.1, 0.1]

    def quality(model: MetaSiamese, validation: Sequence[PreparedEpisode]) -> float:
        met.append(state(model))
        return told[len(met) - 1]

    monkeypatch.setattr("coldstart_models.siamese.training._quality", quality)
    return met


def test_the_parameters_of_the_best_check_are_kept(judged: list[dict[str, Tensor]]) -> None:
    model, schedule = network(), Schedule(steps=10, check_every=2, patience=9)
    record = train(
        model,
        [launch(seed=1)],
        [launch(seed=2)],
        schedule=schedule,
        generator=np.random.default_rng(0),
    )
    assert record.kept_step == 4
    assert [step for step, _ in record.checks] == [0, 2, 4, 6, 8, 10]
    assert [alike(one, state(model)) for one in judged] == [step == 4 for step, _ in record.checks]


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_learning_stops_at_the_check_at_which_patience_is_over(
    judged: list[dict[str, Tensor]], patience: int
) -> None:
    steps: list[int] = []
    record = train(
        network(),
        [launch(seed=1)],
        [launch(seed=2)],
        schedule=Schedule(steps=14, check_every=2, patience=patience),
        generator=np.random.default_rng(0),
        progress=lambda step, total: steps.append(step),
    )
    last = 4 + 2 * patience
    assert steps == list(range(1, last + 1))
    assert record.checks[-1][0] == last
    assert record.kept_step == 4


def test_where_a_later_launch_disagrees_it_ends_as_it_began_and_soon() -> None:
    model = network()
    before = state(model)
    record = train(
        model,
        [launch(seed=1, own=False)],
        [launch(seed=2)],
        schedule=Schedule(steps=40, check_every=4, patience=3, weight_rate=0.1),
        generator=np.random.default_rng(0),
    )
    assert [step for step, _ in record.checks] == [0, 4, 8, 12]
    assert record.kept_step == 0
    assert alike(before, state(model))


def popularity_weight(*, corrected: bool) -> float:
    """The prior's weight after it has learned on launches whose best sellers the prior knows."""
    model = network()
    weights: list[float] = []
    episodes = [launch(seed=1), launch(seed=3)]
    if not corrected:
        flat = torch.zeros_like(episodes[0].log_popularity)
        episodes = [replace(each, log_popularity=flat) for each in episodes]
    train(
        model,
        episodes,
        [launch(seed=2)],
        schedule=Schedule(steps=80, check_every=20, patience=9, weight_rate=0.05),
        generator=np.random.default_rng(0),
        curves=lambda name, value, step: weights.append(float(model.scorer.prior_weight.detach())),
    )
    assert len(weights) >= 80
    return float(np.mean(weights[-20:]))


def test_what_popularity_explains_the_scores_need_not() -> None:
    """The prior knows what is wanted most, and yet it neither rises nor sinks by its prior."""
    corrected, plain = (popularity_weight(corrected=each) for each in (True, False))
    assert abs(corrected) < 0.25
    assert plain > 0.75


def test_of_histories_only_what_a_step_needs_goes_through_the_towers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, problem = network(), launch(seed=1)
    rows, counted = np.arange(4), list[int]()
    tower = model.scorer.tower

    def counting(inputs: Vectors) -> Vectors:
        counted.append(len(inputs.values["text"]))
        return tower(inputs)

    monkeypatch.setattr(model.scorer, "tower", counting)
    short = replace(problem, histories=problem.histories.newest(1))
    assert torch.equal(model(problem, rows, length=1), model(short, rows))
    whole = model(problem, rows)
    assert counted[0] == counted[1] < counted[2]
    assert not torch.allclose(whole, model(problem, rows, length=1))


def test_towers_learn_the_same_beside_weights_in_no_gradient() -> None:
    found = []
    for rate in (0.0, 1e-30):
        model, without = network(), set[bool]()
        train(
            model,
            [launch(seed=1), launch(seed=3)],
            [launch(seed=2)],
            schedule=Schedule(steps=20, check_every=10, weight_rate=rate, tower_rate=0.01),
            generator=np.random.default_rng(0),
            progress=partial(_looking, model.scorer.term_weights, without),
        )
        assert without == {rate == 0.0}
        assert all(each.requires_grad for each in model.parameters())
        found.append(model.scorer)
    for one, other in zip(found[0].up.values(), found[1].up.values(), strict=True):
        assert bool(one.detach().any())
        assert torch.equal(one, other)


def _looking(weights: Tensor, without: set[bool], step: int, total: int) -> None:
    without.add(weights.grad is None)
