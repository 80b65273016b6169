"""The few parts that the papers' networks share: layers, batches of choices, and descent."""

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from coldstart_models.data.catalogue import IntArray
from coldstart_models.data.interactions import Interactions

BATCH: Final = 1_024
MAX_STEPS: Final = 600
"""Steps of one fit, however long the log: it bounds the time of a trial."""


def linear(width: int, out: int, *, generator: torch.Generator) -> nn.Linear:
    """A layer drawn from the generator (Glorot and Bengio, 2010), bias 0."""
    layer = nn.Linear(width, out, device="meta").to_empty(device="cpu")
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer


def layers(
    *widths: int,
    generator: torch.Generator,
    activation: Callable[[], nn.Module] = nn.Tanh,
    normalised: bool = False,
) -> nn.Sequential:
    """Fully connected layers with the activation between them, and batch norm before it."""
    parts: list[nn.Module] = []
    for width, out in pairwise(widths[:-1]):
        parts.append(linear(width, out, generator=generator))
        if normalised:
            parts.append(nn.BatchNorm1d(out))
        parts.append(activation())
    return nn.Sequential(*parts, linear(widths[-2], widths[-1], generator=generator))


def choice_batches(
    interactions: Interactions, *, epochs: int, generator: np.random.Generator, least: int = 1
) -> Iterator[tuple[IntArray, IntArray]]:
    """Users and items of the distinct choices, shuffled anew each epoch, MAX_STEPS at most.

    A log of fewer than eight full batches gets smaller ones, so that an epoch is some steps.

    Args:
        least: choices of a batch; an epoch's last one with fewer is left out. Batch norm takes two.
    """
    chosen = interactions.matrix().tocoo()
    users, items = chosen.row.astype(np.int64), chosen.col.astype(np.int64)
    size = int(np.clip(len(users) // 8, 32, BATCH))
    steps = 0
    for _ in range(epochs):
        order = generator.permutation(len(users))
        for start in range(0, len(order), size):
            if (steps := steps + 1) > MAX_STEPS:
                return
            rows = order[start : start + size]
            if len(rows) >= least:
                yield users[rows], items[rows]


def descend(
    parameters: Iterable[nn.Parameter], losses: Iterable[Tensor], *, rate: float, decay: float = 0.0
) -> None:
    """Take one AdamW step on each loss; `losses` is lazy, so the next one sees the step."""
    optimizer = torch.optim.AdamW(list(parameters), lr=rate, weight_decay=decay)
    for loss in losses:
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def known_items(interactions: Interactions) -> IntArray:
    """Items that somebody chose, ascending: where negatives are drawn from."""
    return np.unique(interactions.item_index)
