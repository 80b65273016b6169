"""One person's request gives what the plain form gives for a batch of people."""

import numpy as np
import pytest
import torch

from coldstart_models.blocks import Blocks
from coldstart_models.data.traits import TRAITS
from coldstart_models.siamese.scorer import (
    Calibration,
    HistoryBatch,
    SiameseScorer,
    Vectors,
)
from coldstart_models.siamese.sight import Past, Sight, contributions, stacked
from coldstart_models.siamese.similarities import Similarities

WIDTHS = {"photo": 12, "text": 9, "words": 7, "together": 5}
ITEMS, EVENTS = 60, 11


def world(seed: int) -> tuple[SiameseScorer, Vectors, HistoryBatch]:
    """A scorer with weights of its own, items some of which lack modalities, and a history."""
    generator = torch.Generator().manual_seed(seed)
    scorer = SiameseScorer(WIDTHS, generator=generator)
    present = {name: torch.rand(ITEMS, generator=generator) < 0.8 for name in WIDTHS}
    if seed % 2:  # nothing of the history has words
        present["words"][:EVENTS] = False
    values = {
        name: torch.nn.functional.normalize(torch.randn(ITEMS, width, generator=generator))
        * present[name][:, None]
        for name, width in WIDTHS.items()
    }
    with torch.no_grad():
        scorer.recency.fill_(0.3)
        scorer.trait_weights.copy_(torch.randn(len(TRAITS), generator=generator))
        scorer.term_weights.copy_(torch.randn(2 * len(WIDTHS), generator=generator))
    history = HistoryBatch(
        torch.randperm(EVENTS, generator=generator)[None],
        torch.rand(1, EVENTS, generator=generator) * 90,
        torch.randn(1, EVENTS, len(TRAITS), generator=generator),
    )
    return scorer, Vectors(values, present), history


def past_of(scorer: SiameseScorer, vectors: Vectors, history: HistoryBatch) -> Past:
    return Past.of(
        scorer,
        vectors,
        history.rows[0],
        age_days=history.age_days[0],
        traits=history.traits[0],
    )


@pytest.mark.parametrize("seed", range(8))
@torch.inference_mode()
def test_terms_and_calibrated_scores_are_those_of_the_plain_form(seed: int) -> None:
    scorer, vectors, history = world(seed)
    prior = torch.randn(ITEMS, generator=torch.Generator().manual_seed(seed))
    users = scorer.profiles(vectors, history)
    plain, there = scorer.term_values(vectors, users, vectors)
    seen = Sight.of(scorer, past_of(scorer, vectors, history), vectors)
    values, exists = seen.batch()
    assert torch.equal(exists, there)
    torch.testing.assert_close(values * exists, plain * there, rtol=1e-4, atol=1e-5)
    scores = scorer.combine(values, exists, prior, Calibration.of(values, exists, prior))
    expected = scorer(vectors, users, vectors, prior)
    torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-4)
    assert scores.argsort().tolist() == expected.argsort().tolist()


@pytest.mark.parametrize("seed", range(8))
@torch.inference_mode()
def test_profiles_are_those_of_the_plain_form(seed: int) -> None:
    scorer, vectors, history = world(seed)
    users = scorer.profiles(vectors, history)
    past = past_of(scorer, vectors, history)
    mean = torch.randn(sum(WIDTHS.values()), generator=torch.Generator().manual_seed(seed))
    own = past.profiles
    blocks = mean.split(list(WIDTHS.values()))
    expected = []
    for (name, values), centre in zip(users.values.items(), blocks, strict=True):
        torch.testing.assert_close(own.values[name], values)
        torch.testing.assert_close(own.weights[name], users.weights[name])
        assert torch.equal(own.present[name], users.present[name])
        expected.append((values[0] - centre) * users.present[name][0])
    torch.testing.assert_close(past.centred(mean), torch.cat(expected))


@pytest.mark.parametrize("seed", range(8))
@torch.inference_mode()
def test_contributions_follow_the_formula_a_modality_and_a_candidate_at_a_time(seed: int) -> None:
    scorer, vectors, history = world(seed)
    users = scorer.profiles(vectors, history)
    values, exists = scorer.term_values(vectors, users, vectors)
    calibration = Calibration.of(values, exists, torch.zeros(ITEMS))
    past = past_of(scorer, vectors, history)
    columns = torch.tensor([40, 3, 59])
    parts = contributions(
        scorer,
        Sight.of(scorer, past, vectors).similar(columns),
        past.weights,
        stacked(vectors, WIDTHS)[:, columns],
        mean=calibration.mean[0, 0],
        deviation=calibration.deviation[0, 0],
    )
    found = torch.from_numpy(parts)
    for place, name in enumerate(WIDTHS):
        weights = users.weights[name][0]
        logs = weights.log() if weights.any() else torch.zeros_like(weights)
        temperature = scorer.temperature(name)
        for number, column in enumerate(columns.tolist()):
            similar = vectors.values[name][history.rows[0]] @ vectors.values[name][column]
            logits = temperature * similar + logs
            ahead = logits.logsumexp(0) / temperature - (weights * similar).sum()
            average = (weights * (similar - calibration.mean[0, 0, 2 * place])) / (
                calibration.deviation[0, 0, 2 * place]
            )
            nearest = (
                weights * (similar - calibration.mean[0, 0, 2 * place + 1])
                + torch.softmax(logits, 0) * ahead
            ) / calibration.deviation[0, 0, 2 * place + 1]
            expected = (
                average * scorer.term_weights[2 * place]
                + nearest * scorer.term_weights[2 * place + 1]
            )
            counts = bool(users.present[name][0]) and bool(vectors.present[name][column])
            torch.testing.assert_close(
                found[place, number], expected * counts, rtol=1e-3, atol=1e-4
            )
    told = found.sum(dim=(0, 2))
    score = scorer.combine(values, exists, torch.zeros(ITEMS), calibration)[0, columns]
    torch.testing.assert_close(told, score, rtol=1e-3, atol=1e-3)


def test_a_block_serves_what_fills_it_and_other_candidates_get_their_own() -> None:
    _, vectors, _ = world(0)
    new = np.arange(20, 40)
    blocks = Blocks(vectors, np.zeros(ITEMS, np.float32), reference=new[::2], new=new)
    assert blocks.around(np.arange(5, ITEMS)) is blocks.whole
    assert blocks.around(new[3:]) is blocks.new
    few = np.array([1, 22, 23])
    own = blocks.around(few)
    assert own.rows.tolist() == few.tolist()
    assert not own.holds(new)
    assert blocks.new is not None
    assert blocks.new.holds(new[::2])
    assert blocks.new.columns(np.array([21, 39])).tolist() == [1, 19]
    for block in (blocks.whole, blocks.new, own):
        for name, values in block.vectors.values.items():
            torch.testing.assert_close(values, vectors.values[name][torch.from_numpy(block.rows)])


@pytest.mark.parametrize("seed", range(8))
@torch.inference_mode()
def test_what_is_kept_of_a_small_catalogue_gives_the_same_also_when_asked_again(seed: int) -> None:
    scorer, vectors, history = world(seed)
    past, rows = past_of(scorer, vectors, history), history.rows[0]
    kept = Similarities.of(vectors)
    assert kept is not None
    fresh = Sight.of(scorer, past, vectors)
    columns = torch.tensor([5, 41])
    kept.require(scorer, rows[:3])
    for _ in range(2):
        found = Sight.of_known(scorer, past, stacked(vectors, WIDTHS), kept)
        there = found.exists
        assert torch.equal(there, fresh.exists)
        torch.testing.assert_close(found.values * there, fresh.values * there)
        present = torch.tensor(past.known)[:, None, None]
        torch.testing.assert_close(
            found.similar(columns) * present, fresh.similar(columns) * present
        )


def test_a_large_catalogue_keeps_no_similarities() -> None:
    many = Vectors({"text": torch.zeros(5_000, 1)}, {"text": torch.ones(5_000, dtype=torch.bool)})
    assert Similarities.of(many) is None


def test_vectors_that_lie_in_rows_of_something_wider_make_the_same_profile() -> None:
    scorer, vectors, history = world(0)
    rows = torch.cat([vectors.values[name] for name in WIDTHS], dim=1)
    blocks = torch.split(rows, list(WIDTHS.values()), dim=1)
    wide = Vectors(dict(zip(WIDTHS, blocks, strict=True)), vectors.present)
    mean = torch.zeros(sum(WIDTHS.values()))
    torch.testing.assert_close(
        past_of(scorer, wide, history).centred(mean),
        past_of(scorer, vectors, history).centred(mean),
    )
