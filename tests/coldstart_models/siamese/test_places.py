"""Each kind is ranked by what customers teach, in the places that its kind had without."""

import pytest
import torch

from coldstart_models.siamese.places import shared_out

USERS, ITEMS = 20, 30


def scores(seed: int, *, lift: float = 0.0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Scores without first customers, with them, and who is new: of known items both are alike."""
    generator = torch.Generator().manual_seed(seed)
    plain = torch.randn(USERS, ITEMS, generator=generator)
    new = torch.rand(ITEMS, generator=generator) < 0.5
    taught = lift + 3 * torch.randn(USERS, ITEMS, generator=generator)
    return plain, plain + taught * new, new


def places(values: torch.Tensor) -> torch.Tensor:
    """(B, C) ranks from 0."""
    return values.argsort(dim=1, descending=True).argsort(dim=1)


@pytest.mark.parametrize("lift", [-5.0, 0.0, 5.0])
def test_every_known_item_stands_where_it_stood(lift):
    plain, adapted, new = scores(1, lift=lift)
    held = shared_out(plain, adapted, new)
    assert torch.equal(held[:, ~new], plain[:, ~new])
    assert torch.equal(places(held)[:, ~new], places(plain)[:, ~new])
    assert not torch.equal(places(adapted)[:, ~new], places(plain)[:, ~new])


def test_new_listings_are_in_the_order_that_their_customers_teach():
    plain, adapted, new = scores(2)
    held = shared_out(plain, adapted, new)
    assert torch.equal(places(held[:, new]), places(adapted[:, new]))
    assert not torch.equal(places(held[:, new]), places(plain[:, new]))


def test_known_items_that_sell_are_before_others_of_them_and_no_new_listing_moves():
    plain, _, new = scores(6)
    selling = 5 * torch.randn(ITEMS, generator=torch.Generator().manual_seed(7)) * ~new
    adapted = plain + selling
    held = shared_out(plain, adapted, new)
    assert torch.equal(places(held)[:, new], places(plain)[:, new])
    assert torch.equal(places(held[:, ~new]), places(adapted[:, ~new]))
    assert not torch.equal(places(adapted)[:, new], places(plain)[:, new])


def test_both_kinds_are_in_their_own_order_at_once():
    plain, taught, new = scores(8)
    adapted = taught - 4 * torch.arange(ITEMS) * ~new
    held = shared_out(plain, adapted, new)
    for kind in (new, ~new):
        assert torch.equal(places(held[:, kind]), places(adapted[:, kind]))
        assert torch.equal(held[:, kind].sort(dim=1).values, plain[:, kind].sort(dim=1).values)


def test_nobodys_places_are_shared_with_another_persons():
    plain, adapted, new = scores(3)
    together = shared_out(plain, adapted, new)
    for row in range(USERS):
        assert torch.equal(shared_out(plain[[row]], adapted[[row]], new)[0], together[row])


def test_without_first_customers_nothing_changes():
    plain, _, new = scores(4)
    assert torch.equal(shared_out(plain, plain, new), plain)


@pytest.mark.parametrize("everybody", [False, True])
def test_of_one_kind_alone_scores_are_what_customers_teach(everybody):
    plain, adapted, new = scores(5)
    kind = torch.full_like(new, everybody)
    assert torch.equal(shared_out(plain, adapted, kind), adapted)
