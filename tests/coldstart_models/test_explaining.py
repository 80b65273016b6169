"""What a history event is said to add is what a score loses without it."""

import pytest
import torch
from scipy import stats

from coldstart_models.data.traits import TRAITS
from coldstart_models.siamese.scorer import Calibration, HistoryBatch, SiameseScorer, Vectors
from coldstart_models.siamese.sight import contributions, stacked

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
