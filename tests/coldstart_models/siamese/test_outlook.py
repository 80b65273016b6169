"""A person's past seen from kinds of listings is the past itself, near a kind's mean."""

import pytest
import torch

from coldstart_models.data.traits import TRAITS
from coldstart_models.siamese.outlook import Outlook
from coldstart_models.siamese.scorer import Calibration, SiameseScorer, Vectors
from coldstart_models.siamese.shelves import Kinds, Shelves
from coldstart_models.siamese.sight import Past, Sight

WIDTHS = {"photo": 8, "text": 12}
EVENTS, LISTINGS = 30, 200


@pytest.fixture
def scorer() -> SiameseScorer:
    return SiameseScorer(WIDTHS, generator=torch.Generator().manual_seed(0))


def drawn(count: int, *, seed: int) -> Vectors:
    """Unit vectors; every fifth item lacks a text."""
    generator = torch.Generator().manual_seed(seed)
    values = {
        name: torch.nn.functional.normalize(torch.randn(count, width, generator=generator))
        for name, width in WIDTHS.items()
    }
    present = {name: torch.ones(count, dtype=torch.bool) for name in WIDTHS}
    present["text"][::5] = False
    values["text"][::5] = 0.0
    return Vectors(values, present)


def past_of(scorer: SiameseScorer) -> Past:
    items = drawn(EVENTS, seed=1)
    ages = torch.arange(EVENTS, dtype=torch.float32)
    traits = torch.zeros(EVENTS, len(TRAITS))
    return Past.of(scorer, items, torch.arange(EVENTS), age_days=ages, traits=traits)


@torch.inference_mode()
def approximated(
    scorer: SiameseScorer, past: Past, candidates: Vectors, kinds: dict[str, Kinds], *, near: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """(C,) scores by the past seen from kinds, and by the past itself."""
    prior = torch.zeros(len(candidates.present["photo"]))
    values, exists = Sight.of(scorer, past, candidates).batch()
    calibration = Calibration.of(values, exists, prior)
    found = torch.zeros(len(prior))
    for place, name in enumerate(WIDTHS):
        outlook = Outlook.of(scorer, past, calibration, place=place, kinds=kinds[name], near=near)
        told = kinds[name].of(candidates.values[name]).tolist()
        for row, (kind, value) in enumerate(zip(told, candidates.values[name], strict=True)):
            if candidates.present[name][row]:
                counts = torch.bincount(torch.tensor([kind]), minlength=len(kinds[name].centres))
                products = outlook.directions[kind] @ value[:, None]
                found[row] += outlook.part(products, counts)[0]
    return found, scorer.combine(values, exists, prior, calibration)[0]


def kinds_of(candidates: Vectors) -> dict[str, Kinds]:
    return {
        name: Kinds.fit(values[candidates.present[name]])
        for name, values in candidates.values.items()
    }


@pytest.mark.parametrize("near", [EVENTS, EVENTS + 5])
def test_with_every_event_near_scores_are_exact(scorer: SiameseScorer, near: int) -> None:
    candidates = drawn(LISTINGS, seed=2)
    found, exact = approximated(
        scorer, past_of(scorer), candidates, kinds_of(candidates), near=near
    )
    torch.testing.assert_close(found, exact, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("near", [0, 1, 8])
def test_at_the_mean_of_a_kind_scores_are_exact(scorer: SiameseScorer, near: int) -> None:
    kinds = {name: Kinds.fit(values) for name, values in drawn(LISTINGS, seed=2).values.items()}
    count = min(len(one.centres) for one in kinds.values())
    means = Vectors(
        {name: one.centres[:count] for name, one in kinds.items()},
        {name: torch.ones(count, dtype=torch.bool) for name in WIDTHS},
    )
    found, exact = approximated(scorer, past_of(scorer), means, kinds, near=near)
    torch.testing.assert_close(found, exact, rtol=1e-3, atol=1e-3)


def test_more_events_near_are_nearer_the_truth(scorer: SiameseScorer) -> None:
    candidates = drawn(LISTINGS, seed=2)
    off = []
    for near in (0, 8, 20):
        found, exact = approximated(
            scorer, past_of(scorer), candidates, kinds_of(candidates), near=near
        )
        off.append(float((found - exact).std()))
    assert off[0] > off[1] > off[2]


def test_shelves_multiply_the_listings_that_are_asked_for_and_have_the_modality() -> None:
    values = drawn(LISTINGS, seed=3).values["text"]
    kinds = Kinds.fit(values[values.any(dim=1)])
    shelves = Shelves.of(kinds, values)
    assert len(shelves.listings) == LISTINGS - LISTINGS // 5
    directions = torch.randn(len(kinds.centres), 1, 12, generator=torch.Generator().manual_seed(0))
    expected = (values * directions[kinds.of(values), 0]).sum(dim=1) + 1.0
    expected[::5] = 0.0
    asked = torch.arange(LISTINGS) % 3 == 0
    for some in (None, asked.numpy()):
        scores = torch.zeros(LISTINGS)
        shelves.add(scores, directions, lambda found, _: found[0] + 1.0, asked=some)
        wanted = expected if some is None else torch.where(asked, expected, 0.0)
        torch.testing.assert_close(scores, wanted, rtol=0.0, atol=0.02)


def test_of_a_modality_that_no_listing_has_nothing_is_shelved() -> None:
    kinds = Kinds.fit(torch.empty(0, 12))
    shelves = Shelves.of(kinds, torch.zeros(5, 12))
    scores = torch.zeros(5)
    shelves.add(scores, torch.ones(1, 1, 12), lambda found, _: found[0] + 1.0)
    assert len(shelves.listings) == 0
    assert torch.equal(scores, torch.zeros(5))
