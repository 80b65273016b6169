"""The scorer: what it is before training, and that its parts are what they say."""

import numpy as np
import pytest
import torch

from coldstart_models.data.interactions import Histories
from coldstart_models.data.traits import TRAITS
from coldstart_models.siamese.contrast import contrast
from coldstart_models.siamese.learners.evidence import Evidence
from coldstart_models.siamese.learners.learner import effect
from coldstart_models.siamese.learners.prototype import Prototype
from coldstart_models.siamese.learners.space import Space
from coldstart_models.siamese.network import BARRED
from coldstart_models.siamese.pace import Pace
from coldstart_models.siamese.population import Population
from coldstart_models.siamese.preparing import history_batch
from coldstart_models.siamese.scorer import Calibration, HistoryBatch, SiameseScorer, Vectors

WIDTHS = {"text": 3, "words": 4}


@pytest.fixture
def scorer():
    return SiameseScorer(WIDTHS, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def vectors():
    generator = torch.Generator().manual_seed(1)
    values = {
        name: torch.nn.functional.normalize(torch.randn(6, width, generator=generator))
        for name, width in WIDTHS.items()
    }
    present = {name: torch.ones(6, dtype=torch.bool) for name in WIDTHS}
    present["words"][5] = False
    values["words"][5] = 0.0
    return Vectors(values, present)


def batch(*rows):
    shape = (len(rows), len(rows[0]))
    return HistoryBatch(torch.tensor(rows), torch.zeros(shape), torch.zeros(*shape, len(TRAITS)))


def test_the_untrained_tower_leaves_its_inputs_as_they_are(scorer, vectors):
    tower = scorer.tower(vectors)
    for name in WIDTHS:
        torch.testing.assert_close(tower.values[name], vectors.values[name])


def test_terms_are_the_average_and_the_soft_maximum_of_the_similarities(scorer, vectors):
    users = scorer.profiles(vectors, batch([0, 1]))
    values, _ = scorer.term_values(vectors, users, vectors.take(torch.tensor([3])))
    similar = vectors.values["text"][:2] @ vectors.values["text"][3]
    temperature = scorer.temperature("text")
    nearest = torch.log(torch.exp(temperature * similar).mean()) / temperature
    torch.testing.assert_close(values[0, 0, 0], similar.mean())
    torch.testing.assert_close(values[0, 0, 1], nearest)


def test_padding_changes_nothing(scorer, vectors):
    candidates = vectors.take(torch.tensor([3, 4]))
    bare = scorer.term_values(vectors, scorer.profiles(vectors, batch([0, 1])), candidates)
    padded = scorer.term_values(
        vectors, scorer.profiles(vectors, batch([-1, -1, 0, 1])), candidates
    )
    torch.testing.assert_close(bare[0], padded[0])
    assert bare[1].tolist() == padded[1].tolist()


def test_a_missing_modality_adds_nothing_and_is_marked(scorer, vectors):
    candidates = vectors.take(torch.tensor([4, 5]))
    users = scorer.profiles(vectors, batch([0, 1]))
    values, exists = scorer.term_values(vectors, users, candidates)
    assert exists[0, :, 2].tolist() == [True, False]
    calibration = Calibration.of(values, exists, torch.zeros(2))
    before = scorer.combine(values, exists, torch.zeros(2), calibration)
    values[0, 1, 2:] = 99.0
    after = scorer.combine(values, exists, torch.zeros(2), calibration)
    assert before[0, 1] == after[0, 1]


def test_the_loss_is_finite_where_pairs_are_barred():
    scores = torch.tensor([[1.0, BARRED, 0.0]], requires_grad=True)
    scale = torch.tensor(0.5, requires_grad=True)
    chosen = torch.tensor([[True, False, False]])
    loss = contrast(scores, chosen, scale=scale)
    loss.backward()
    expected = -np.log(np.exp(0.5) / (np.exp(0.5) + 1.0))
    assert loss.item() == pytest.approx(expected)
    assert torch.isfinite(scores.grad).all()
    assert torch.isfinite(scale.grad)


def test_what_popularity_explains_moves_no_score():
    """Where everybody is alike and choices follow popularity, the gradient is zero."""
    scores = torch.zeros(4, 2, requires_grad=True)
    chosen = torch.tensor([[True, False], [True, False], [True, False], [False, True]])
    log_popularity = torch.log(torch.tensor([3.0, 1.0]))
    contrast(scores, chosen, scale=torch.tensor(1.0), log_popularity=log_popularity).backward()
    assert scores.grad.sum(dim=0).abs().max().item() == pytest.approx(0.0, abs=1e-7)


@torch.no_grad()
def effect_of(scorer, vectors, supporters, owner, users, *, listings):
    """(B, C): what the customers in `supporters` add for `users`; C listings, all like item 4."""
    population = Population.of(scorer.profiles(vectors, batch([0, 1], [1, 2], [2, 3], [3, 4])))
    space = Space.of(population)
    evidence = Evidence.of(
        scorer.profiles(vectors, supporters),
        torch.tensor(owner),
        torch.zeros(len(owner), dtype=torch.long),
        listings=vectors.take(torch.full((listings,), 4)),
        prior=torch.zeros(listings),
        space=space,
        pace=Pace(),
    )
    weights = Prototype(len(WIDTHS)).adapt(evidence)
    seen = scorer.profiles(vectors, users)
    added = effect(seen, space.deltas(weights.vectors), space.mean)
    torch.testing.assert_close(added, weights.effect(space.of_users(seen)))
    return added


def test_an_item_without_support_is_scored_as_before(scorer, vectors):
    added = effect_of(scorer, vectors, batch([0, 1]), [1], batch([2, 3]), listings=3)
    assert added[0, [0, 2]].tolist() == [0.0, 0.0]
    assert added[0, 1].item() != 0.0


def test_who_is_like_the_first_customers_gains_most_and_more_customers_count_more(scorer, vectors):
    everybody = batch([0, 1], [1, 2], [2, 3], [3, 4])
    one = effect_of(scorer, vectors, batch([0, 1]), [0], everybody, listings=1)[:, 0]
    assert int(one.argmax()) == 0
    two = effect_of(scorer, vectors, batch([0, 1], [0, 1]), [0, 0], everybody, listings=1)
    assert two[0, 0] > one[0]


def test_ages_count_from_each_users_newest_event():
    day = 86_400_000_000
    times = np.array([[0, 5 * day, 7 * day]])
    histories = Histories(np.array([[-1, 4, 2]]), times, np.zeros((1, 3, len(TRAITS)), np.float32))
    assert history_batch(histories).age_days.tolist() == [[0.0, 2.0, 0.0]]


def test_what_is_known_of_an_event_changes_how_much_it_counts(scorer, vectors):
    history = batch([0, 1])
    history.traits[0, 1, TRAITS.index("quantity")] = 2.0
    even = scorer.history_weights(history, vectors.present["text"])
    torch.testing.assert_close(even, torch.tensor([[0.5, 0.5]]))
    with torch.no_grad():
        scorer.trait_weights[TRAITS.index("quantity")] = 0.5
    weights = scorer.history_weights(history, vectors.present["text"])
    torch.testing.assert_close(weights[0, 1] / weights[0, 0], torch.tensor(np.e).float())
