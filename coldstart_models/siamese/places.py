"""Places: what first customers change where new listings stand among known items.

A bias and a vector move a listing against every other one, and an item that many have chosen has
neither. So first customers would lift new listings past known items that they were never compared
with, the more the more of them there are. Where both are ranked, the new listings therefore share
out among themselves the scores that they have without their first customers. With y the scores of
one person without them, y' with them, and N the new ones of the candidates,

    ŷ(c) = the r-th largest of { y(n) : n ∈ N },   r the rank of y'(c) in { y'(n) : n ∈ N }

and ŷ = y for known items. Every known item stands exactly where it stood, and new listings are
in the order that their customers teach: the same as where they are ranked alone, but that those who
tie without customers stay tied.
"""

import torch
from torch import Tensor


def shared_out(plain: Tensor, adapted: Tensor, new: Tensor) -> Tensor:
    """(B, C): ŷ. Where none or all of the candidates are new there is nothing to hold: y'.

    Args:
        plain: (B, C) y.
        adapted: (B, C) y'.
        new: (C,) bool: N.
    """
    columns = torch.nonzero(new).flatten()
    if len(columns) in (0, len(new)):
        return adapted
    best_first = adapted[:, columns].argsort(dim=1, descending=True, stable=True)
    places = plain[:, columns].sort(dim=1, descending=True).values
    found = plain.clone()
    found[:, columns] = torch.zeros_like(places).scatter(1, best_first, places)
    return found
