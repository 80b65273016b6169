"""What a history event is said to add is what a score loses without it.

Without an event the others' weights grow to a sum of 1 again. With ω and p its shares of the
average and of the nearest term, Y what all events are said to add, and f and τ the nearest term's
factor and temperature, the loss follows from what is said, modality by modality:

    (1 − ω) lost = told − ω Y + f/τ [(1 − ω) log((1 − ω) / (1 − p)) − ω log(p / ω) − p KL(ω ‖ p)]

The bracket is what a soft maximum is from being a sum over events; averages have none.
"""

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from coldstart_models.data.traits import TRAITS
from coldstart_models.explaining import AGE, FIRST_CUSTOMERS, PACE, SEASON
from coldstart_models.recommending import Recommender
from coldstart_models.siamese.network import MetaSiamese
from coldstart_models.siamese.preparing import PreparedEpisode, history_batch
from coldstart_models.siamese.scorer import Calibration, HistoryBatch, SiameseScorer, Vectors
from coldstart_models.siamese.sight import contributions, stacked
from coldstart_models.siamese.training import Schedule, train
from coldstart_models.snapshot import Snapshot
from coldstart_models.user_history import UserHistory
from tests.coldstart_models.siamese.test_training import launch, network
from tests.coldstart_models.test_calendar_terms import JANUARY, dated
from tests.coldstart_models.test_recommending import HISTORY as PERSON
from tests.coldstart_models.test_recommending import _told_apart, history_of, recommender

__all__ = ["recommender"]

HISTORY, POOL = 8, 40


def world(seed: int, widths: dict[str, int]) -> tuple[SiameseScorer, Vectors]:
    """HISTORY chosen items and POOL candidates in random directions."""
    generator = torch.Generator().manual_seed(seed)
    values = {
        name: torch.nn.functional.normalize(torch.randn(HISTORY + POOL, width, generator=generator))
        for name, width in widths.items()
    }
    present = {name: torch.ones(HISTORY + POOL, dtype=torch.bool) for name in widths}
    return SiameseScorer(widths, generator=generator), Vectors(values, present)


def chosen(*rows: int) -> HistoryBatch:
    shape = (1, len(rows))
    return HistoryBatch(torch.tensor([rows]), torch.zeros(shape), torch.zeros(*shape, len(TRAITS)))


@torch.inference_mode()
def told_and_lost(
    scorer: SiameseScorer, vectors: Vectors, candidate: int
) -> tuple[torch.Tensor, torch.Tensor, float]:
    """(H,) what each event is said to add and what is lost without it, and the score."""
    pool = vectors.take(torch.arange(HISTORY, HISTORY + POOL))
    one = vectors.take(torch.tensor([HISTORY + candidate]))
    everything = range(HISTORY)
    users = scorer.profiles(vectors, chosen(*everything))
    calibration = Calibration.of(*scorer.term_values(vectors, users, pool), torch.zeros(POOL))

    def score(rows: list[int]) -> float:
        fewer = scorer.profiles(vectors, chosen(*rows))
        return float(scorer(vectors, fewer, one, torch.zeros(1), calibration=calibration)[0, 0])

    parts = contributions(
        scorer,
        torch.stack(
            [one.values[name] @ vectors.values[name][:HISTORY].T for name in scorer.widths]
        ),
        torch.stack([users.weights[name][0] for name in scorer.widths]),
        stacked(one, scorer.widths),
        mean=calibration.mean[0, 0],
        deviation=calibration.deviation[0, 0],
    )
    told = torch.from_numpy(parts.sum(axis=0)[0])
    whole = score(list(everything))
    lost = [whole - score([row for row in everything if row != left]) for left in everything]
    return told, torch.tensor(lost), whole


@pytest.mark.parametrize("candidate", range(0, POOL, 5))
def test_of_one_kind_of_content_events_are_told_in_the_order_of_what_is_lost(
    candidate: int,
) -> None:
    scorer, vectors = world(3, {"text": 6})
    told, lost, whole = told_and_lost(scorer, vectors, candidate)
    assert float(told.sum()) == pytest.approx(whole, abs=1e-4)
    assert told.argsort().tolist() == lost.argsort().tolist()


def test_without_the_first_reason_a_score_falls_and_by_more_than_without_the_last() -> None:
    found = []
    for seed in range(10):
        scorer, vectors = world(seed, {"photo": 8, "text": 6, "together": 5})
        for candidate in range(0, POOL, 4):
            told, lost, whole = told_and_lost(scorer, vectors, candidate)
            assert float(told.sum()) == pytest.approx(whole, abs=1e-3)
            first, last = int(told.argmax()), int(told.argmin())
            assert lost[first] > 0
            assert lost[first] > lost[last]
            found.append(stats.spearmanr(told.numpy(), lost.numpy()).statistic)
    assert sorted(found)[len(found) // 2] > 0.8


NAMES = ("photo", "text")


def problem(seed: int) -> PreparedEpisode:
    """A launch of things some of which lack photos or texts, its histories' events told apart."""
    found = launch(seed=seed, names=NAMES, shown=0.9)
    drawn = np.random.default_rng(seed).normal(size=found.histories.traits.shape)
    return replace(found, histories=replace(found.histories, traits=drawn.astype(np.float32)))


@pytest.fixture(scope="module")
def taught() -> MetaSiamese:
    """Trained, with traits."""
    model = network(NAMES)
    record = train(
        model,
        [problem(1), problem(3)],
        [problem(2)],
        schedule=Schedule(steps=40, check_every=10, patience=9, weight_rate=0.05),
        generator=np.random.default_rng(0),
    )
    assert record.kept_step > 0
    assert model.scorer.trait_weights.detach().abs().max() > 0.05
    assert all(up.detach().abs().max() > 0 for up in model.scorer.up.values())
    return model


@pytest.mark.parametrize("nearest", [False, True], ids=["averages alone", "as trained"])
@pytest.mark.parametrize("person", range(0, 100, 20))
@torch.inference_mode()
def test_without_an_event_a_trained_score_falls_by_what_was_said_and_its_share_of_the_rest(
    taught: MetaSiamese, person: int, nearest: bool
) -> None:
    scorer, later = copy.deepcopy(taught.scorer), problem(4)
    if not nearest:
        scorer.term_weights[1::2] = 0.0
    view = taught.view(later, later.histories)
    everything = history_batch(later.histories.take(slice(person, person + 1))).among(view.used)
    users = scorer.profiles(view.vectors, everything)
    values, exists = scorer.term_values(view.vectors, users, view.candidates)
    nothing = torch.zeros(len(later.candidates))
    calibration = Calibration.of(values, exists, nothing)

    def scores(history: HistoryBatch) -> torch.Tensor:
        fewer = scorer.profiles(view.vectors, history)
        return scorer(view.vectors, fewer, view.candidates, nothing, calibration=calibration)[0]

    weights = torch.stack([users.weights[name][0] for name in NAMES])
    rows, present = everything.rows[0], stacked(view.candidates, NAMES)
    similar = torch.stack(
        [view.candidates.values[name] @ view.vectors.values[name][rows].T for name in NAMES]
    )
    parts = contributions(
        scorer,
        similar,
        weights,
        present,
        mean=calibration.mean[0, 0],
        deviation=calibration.deviation[0, 0],
    )
    whole = scores(everything)
    np.testing.assert_allclose(parts.sum(axis=(0, 2)), whole, atol=1e-4)
    factors = (scorer.term_weights / calibration.deviation[0, 0])[1::2]
    for event in range(len(rows)):
        others = torch.arange(len(rows)) != event
        left = HistoryBatch(
            everything.rows[:, others], everything.age_days[:, others], everything.traits[:, others]
        )
        expected = np.zeros(len(whole))
        for modality, told in enumerate(parts):
            own, tau = weights[modality].numpy(), float(scorer.temperatures[modality])
            expected += present[modality].numpy() * said_to_be_lost(
                told, own, similar[modality].numpy(), event, float(factors[modality]), tau
            )
        np.testing.assert_allclose(whole - scores(left), expected, atol=2e-4)


def said_to_be_lost(
    told: np.ndarray, own: np.ndarray, similar: np.ndarray, event: int, factor: float, tau: float
) -> np.ndarray:
    """(C,): the module's formula for one modality, of what is told (C, H) and ω (H,)."""
    weight = own[event]
    if weight in (0.0, 1.0):  # the modality's only event takes it along
        return told[:, event]
    known = own > 0
    shares = own[known] * np.exp(tau * similar[:, known].astype(np.float64))
    shares /= shares.sum(axis=1, keepdims=True)
    share = shares[:, int(known[:event].sum())]
    divergence = (own[known] * np.log(own[known] / shares)).sum(axis=1)
    soft = (
        (1 - weight) * np.log((1 - weight) / (1 - share))
        - weight * np.log(share / weight)
        - share * divergence
    )
    return (told[:, event] - weight * told.sum(axis=1) + factor / tau * soft) / (1 - weight)


def changed(
    one: Recommender,
    *,
    network: Callable[[MetaSiamese], object] = lambda network: None,
    snapshot: Callable[[Snapshot], Snapshot] = lambda snapshot: snapshot,
) -> Recommender:
    """The same with something of its network or its listings taken away."""
    other = copy.deepcopy(one._scoring.network)
    with torch.no_grad():
        network(other)
    return Recommender(
        tag=one.tag,
        featurizer=one._featurizer,
        head=one._head,
        network=other,
        population=one._scoring.population,
        snapshot=snapshot(one._snapshot),
        now=lambda: JANUARY,
    )


WITHOUT = {
    AGE: lambda one: changed(one, network=lambda of: of.date_term.age_weight.zero_()),
    SEASON: lambda one: changed(one, network=lambda of: of.date_term.season_weight.zero_()),
    PACE: lambda one: changed(
        one, snapshot=lambda of: replace(of, biases=np.zeros_like(of.biases))
    ),
    FIRST_CUSTOMERS: lambda one: changed(
        one, snapshot=lambda of: replace(of, deltas=np.zeros_like(of.deltas))
    ),
}
"""What is added beside the history and popularity → a recommender that knows nothing of it."""


@pytest.mark.parametrize("personal", [None, 0.4])
@pytest.mark.parametrize("term", list(WITHOUT))
def test_without_what_is_not_of_the_history_a_score_falls_by_exactly_that_contribution(
    recommender: Recommender, term: str, personal: float | None
) -> None:
    one = dated(recommender, JANUARY)
    customers = [PERSON, replace(PERSON, item_ids=("b00", "b02", "b03"))]
    one.adapt("b13", customers, moments=[0.0, 5.0])
    biases = np.where(one._snapshot.item_ids == "b13", np.float32(0.7), np.float32(0))
    one = changed(one, snapshot=lambda of: replace(of, biases=biases))
    told = one.explain(PERSON, "b13", personal=personal)
    added = sum(part.value for part in told.contributions if part.term == term)
    assert abs(added) > 1e-3
    (without,) = WITHOUT[term](one).score(PERSON, ["b13"], personal=personal)
    assert told.score - without == pytest.approx(added, abs=1e-4)
    other = WITHOUT[term](one).explain(PERSON, "b13", personal=personal)
    assert not any(part.value for part in other.contributions if part.term == term)


@pytest.mark.parametrize("personal", [None, 0.8])
def test_without_the_first_reason_a_served_score_falls(
    recommender: Recommender, personal: float | None
) -> None:
    """As a shop would ask: the person's scale is anew what is left of the history."""
    _told_apart(recommender)
    history = history_of("a00", "b01", "a03", "b05", "a07")
    found = []
    for item_id in ("a12", "a14", "b13", "b15"):
        told = recommender.explain(history, item_id, personal=personal)
        by_event = dict.fromkeys(history.item_ids, 0.0)
        for part in told.contributions:
            if part.history_item_id is not None:
                by_event[part.history_item_id] += part.value
        lost = {}
        for event in by_event:
            (left,) = recommender.score(_less(history, event), [item_id], personal=personal)
            lost[event] = told.score - left
        first = max(by_event, key=lambda event: by_event[event])
        last = min(by_event, key=lambda event: by_event[event])
        assert lost[first] > 0.0
        assert lost[first] > lost[last]
        found.append(stats.spearmanr(list(by_event.values()), list(lost.values())).statistic)
    assert min(found) > 0.5


def _less(history: UserHistory, item_id: str) -> UserHistory:
    return history_of(*(one for one in history.item_ids if one != item_id))
