"""Places: what customers change where new listings and known items stand among each other.

First customers move a new listing by a bias and a vector, and an item that many have chosen has
neither; what sells now moves known items, and a listing that nobody could choose yet has nothing to
show. So the one would lift new listings past known items that they were never compared with, and
the other would bury them. Where both are ranked, each kind therefore shares out among itself the
scores that it has without them. With y the scores of one person without, y' with them, and G either
kind of the candidates,

    ŷ(c) = the r-th largest of { y(g) : g ∈ G },   r the rank of y'(c) in { y'(g) : g ∈ G }

Where a new listing stands and where a known item does is as by y, and which of its kind stands
there as by y': each kind is ranked as where it is ranked alone, but that those who tie by y stay
tied.
"""

import torch
from torch import Tensor


def shared_out(plain: Tensor, adapted: Tensor, new: Tensor) -> Tensor:
    """(B, C): ŷ. Where none or all of the candidates are new there is nothing to hold: y'.

    Args:
        plain: (B, C) y.
        adapted: (B, C) y'.
        new: (C,) bool: which candidates are new listings.
    """
    kinds = [torch.nonzero(one).flatten() for one in (new, ~new)]
    if not all(map(len, kinds)):
        return adapted
    found = plain.clone()
    for columns in kinds:
        had, wanted = plain[:, columns], adapted[:, columns]
        if not torch.equal(had, wanted):
            found[:, columns] = in_order_of(wanted, had)
    return found


def in_order_of(wanted: Tensor, had: Tensor) -> Tensor:
    """(B, K): the scores that K candidates have, the largest for whom is the most wanted; of those
    who are wanted alike the first one has the larger.
    """
    best_first = wanted.argsort(dim=1, descending=True, stable=True)
    places = had.sort(dim=1, descending=True).values
    return torch.zeros_like(places).scatter(1, best_first, places)
