"""The listwise contrast that the scorer and the learners of few shots learn by.

The loss of a user is the softmax over a whole pool of candidates, in which every candidate that the
user did not choose is a negative:

    L = − 1/|P| Σ_{c ∈ P} log ( q_c exp(γ y_c) / Σ_{c'} q_c' exp(γ y_c') )

with P the chosen candidates, γ a learned scale and q_c what is known of c's popularity. It is the
multi-positive InfoNCE (van den Oord et al., 2018; Khosla et al., NeurIPS 2020) with the popularity
correction of sampled softmax (Bengio & Senécal, 2008; Yi et al., RecSys 2019).
"""

import torch
from torch import Tensor


def contrast(
    scores: Tensor, chosen: Tensor, *, scale: Tensor, log_popularity: Tensor | None = None
) -> Tensor:
    """The loss of the module's docstring, a mean over users.

    Args:
        scores: (B, C), very low where a pair may not be ranked.
        chosen: (B, C) bool, at least one True a row.
        scale: γ, a scalar.
        log_popularity: (C,) log q, up to a constant; alike for all by default.
    """
    logits = scale * scores
    if log_popularity is not None:
        logits = logits + log_popularity
    log_shares = torch.log_softmax(logits, dim=1)
    positive = torch.where(chosen, log_shares, torch.zeros_like(log_shares)).sum(dim=1)
    return -(positive / chosen.sum(dim=1)).mean()
