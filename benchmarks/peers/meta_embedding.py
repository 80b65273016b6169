"""MetaEmbedding: a generator of initial embeddings from which few choices go far.

Source: Pan et al., "Warm Up Cold-start Advertisements: Improving CTR Predictions via Learning to
Learn ID Embeddings", SIGIR 2019, section 4 and algorithm 1. The base model is trained on warm
items and frozen. A generator maps content to an item's embedding φ; for each warm item, as if it
were new, φ meets one batch of choices, takes a step φ' = φ − η ∂l_a/∂φ, and meets a second:

    L = a · l_a(φ) + (1 − a) · l_b(φ')

Different: ads become listings and clicks choices. The base model is weighted ALS, scaled to
logits; the loss is the cross-entropy of an item's customers and as many random other users, and
the ranking is by the logits. At k shots φ takes its step on the listing's first k customers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from optuna.trial import BaseTrial
from torch import Tensor

from benchmarks.peers.content import item_content
from benchmarks.peers.item_tasks import ItemTasks, columns, padded
from benchmarks.peers.kept import Kept
from benchmarks.peers.latent import scaled_factors
from benchmarks.peers.networks import descend, layers
from coldstart_models.data.catalogue import FloatMatrix
from coldstart_models.ranker import RankingTask, Support, TrainingSet

WIDTH: Final = 64
HALF: Final = 10
"""Customers of each of an item's two batches."""
TASKS: Final = 64
OTHERS: Final = 10
"""Users a supporter is contrasted with at k shots."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What is tuned."""

    balance: float = 0.5
    """a; the paper's 0.1 is for ads that will have clicks."""
    step: float = 1.0
    """η"""
    rate: float = 3e-3
    steps: int = 400
    scale: float = 3.0
    """Standard deviation of the base model's logits."""
    confidence: float = 10.0
    """α of the base model's ALS."""

    @classmethod
    def suggested(cls, trial: BaseTrial) -> "Settings":
        return cls(
            balance=trial.suggest_float("balance", 0.1, 0.9),
            step=trial.suggest_float("step", 0.1, 10.0, log=True),
            rate=trial.suggest_float("rate", 3e-4, 1e-2, log=True),
            steps=trial.suggest_int("steps", 100, 800),
            scale=trial.suggest_float("scale", 1.0, 10.0, log=True),
            confidence=trial.suggest_float("confidence", 1.0, 100.0, log=True),
        )


class MetaEmbedding:
    """`Ranker`: the user's factors times generated, then adapted, item embeddings."""

    name = "meta-embedding"

    def __init__(self, settings: Settings | None = None, *, kept: Kept | None = None) -> None:
        self._settings = settings or Settings()
        self._kept = kept or Kept()

    def fit(self, training: TrainingSet, *, seed: int) -> None:
        chosen, log = self._settings, training.interactions
        base = scaled_factors(
            log, width=WIDTH, confidence=chosen.confidence, scale=chosen.scale, seed=seed
        )
        users = torch.from_numpy(base.users)
        content = torch.from_numpy(item_content(training, seed=seed, kept=self._kept).axes)
        draw = torch.Generator().manual_seed(seed)
        generator_net = layers(content.shape[1], 128, WIDTH, generator=draw)
        tasks = ItemTasks(log, seed=seed)

        def losses() -> Iterator[Tensor]:
            for _ in range(chosen.steps):
                items, a, b = tasks.drawn(TASKS, size=HALF)
                start = generator_net(content[items])
                loss_a, gradient = click_loss(start, users[a.users], users[a.others], a.weights)
                adapted = start - chosen.step * gradient
                loss_b, _ = click_loss(adapted, users[b.users], users[b.others], b.weights)
                yield (chosen.balance * loss_a + (1 - chosen.balance) * loss_b).mean()

        descend(generator_net.parameters(), losses(), rate=chosen.rate)
        with torch.inference_mode():
            generated = generator_net(content)
        warm = torch.from_numpy(log.item_users() > 0)[:, None]
        self._users, self._items = users, torch.where(warm, torch.from_numpy(base.items), generated)
        people = np.random.default_rng([seed, 17]).permutation(np.unique(log.user_index))
        self._others = users[people[:OTHERS]]

    def score(self, task: RankingTask) -> FloatMatrix:
        items = self._items[task.candidates]
        if task.support is not None and len(task.support.item_index):
            items = self._adapted(items, task, task.support)
        return np.asarray(self._users[task.user_index] @ items.T, dtype=np.float32)

    def _adapted(self, items: Tensor, task: RankingTask, support: Support) -> Tensor:
        """(C, R): each candidate after a step on its supporters."""
        rows, weights = padded(columns(task, support), support.user_index, len(items))
        others = self._others.expand(len(rows), -1, -1)
        _, gradient = click_loss(items, self._users[rows], others, weights)
        supported = torch.from_numpy(weights.sum(axis=1) > 0)[:, None]
        return torch.where(supported, items - self._settings.step * gradient, items)


def click_loss(
    items: Tensor, chosen: Tensor, others: Tensor, weights: FloatMatrix
) -> tuple[Tensor, Tensor]:
    """Cross-entropy (T,) of T items on their customers and others, and its gradient (T, R).

    Args:
        items: (T, R)
        chosen: (T, K, R) customers' factors.
        others: (T, J, R) factors of users who stand for everybody else.
        weights: (T, K), 0 where a customer is padding.
    """
    weight = torch.from_numpy(weights / np.maximum(weights.sum(axis=1, keepdims=True), 1.0))
    liked = (chosen * items[:, None]).sum(dim=2)
    unliked = (others * items[:, None]).sum(dim=2)
    loss = -(torch.nn.functional.logsigmoid(liked) * weight).sum(dim=1)
    loss = loss - torch.nn.functional.logsigmoid(-unliked).mean(dim=1)
    pull = ((torch.sigmoid(liked) - 1) * weight)[:, :, None] * chosen
    push = torch.sigmoid(unliked)[:, :, None] * others
    return loss, pull.sum(dim=1) + push.mean(dim=1)
