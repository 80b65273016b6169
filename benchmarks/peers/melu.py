"""MeLU: a network whose decision layers adapt to a task by gradient steps (MAML).

Source: Lee et al., "MeLU: Meta-Learned User Preference Estimator for Cold-Start Recommendation",
KDD 2019, sections 3.2 and 3.3, algorithm 1. User and item content are embedded and concatenated;
fully connected decision layers predict the choice. Local steps on a task's support move the
decision layers alone; the outer step moves everything by the query's loss after them.

Different: the paper's task is a user with few ratings, ours a new listing with few customers, so
the roles are exchanged: an item's support are its first customers, its query others. A user's
content is the mean content of what the user chose, here without the task's own item. Ratings
become choices, each against a random other user's, with cross-entropy; a share of the tasks has
no support, because the network also ranks listings that nobody has chosen yet.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import torch
from optuna.trial import BaseTrial
from scipy import sparse
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from benchmarks.peers.content import item_content, profiles
from benchmarks.peers.item_tasks import ItemTasks, columns, padded
from benchmarks.peers.kept import Kept
from benchmarks.peers.networks import descend, linear
from coldstart_models.data.catalogue import FloatMatrix
from coldstart_models.data.interactions import Histories
from coldstart_models.ranker import RankingTask, Support, TrainingSet

TASKS: Final = 32
SHOTS: Final = 10
EMBEDDED: Final = 32
OTHERS: Final = 10
"""Users whom supporters are contrasted with when a listing is adapted."""
PAIRS_AT_ONCE: Final = 200_000
"""Users × candidates whose hidden layers are held at once."""

Layers = list[Tensor]
"""Weights and biases of the decision layers: (T, in, out) and (T, 1, out) in turn; T may be 1."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What is tuned."""

    local_rate: float = 0.1
    local_steps: int = 1
    hidden: int = 64
    rate: float = 2e-3
    steps: int = 200
    unsupported: float = 0.3
    """Share of the tasks without support."""

    @classmethod
    def suggested(cls, trial: BaseTrial) -> "Settings":
        return cls(
            local_rate=trial.suggest_float("local_rate", 0.01, 1.0, log=True),
            local_steps=trial.suggest_int("local_steps", 1, 3),
            hidden=trial.suggest_categorical("hidden", [32, 64]),
            rate=trial.suggest_float("rate", 5e-4, 1e-2, log=True),
            steps=trial.suggest_int("steps", 100, 300),
            unsupported=trial.suggest_float("unsupported", 0.1, 0.6),
        )


class MeLU:
    """`Ranker`: the decision layers, adapted to each listing that has support."""

    name = "melu"

    def __init__(self, settings: Settings | None = None, *, kept: Kept | None = None) -> None:
        self._settings = settings or Settings()
        self._kept = kept or Kept()

    def fit(self, training: TrainingSet, *, seed: int) -> None:
        chosen, log = self._settings, training.interactions
        self._axes = item_content(training, seed=seed, kept=self._kept).axes
        content, tasks = torch.from_numpy(self._axes), ItemTasks(log, seed=seed)
        everybody = log.histories(np.arange(log.num_users))
        means = torch.from_numpy(profiles(everybody, self._axes))
        sizes = torch.from_numpy(everybody.mask.sum(axis=1).astype(np.float32))
        read = _membership(everybody, len(self._axes))
        draw = torch.Generator().manual_seed(seed)
        self._of_user, self._of_item = (
            linear(self._axes.shape[1], EMBEDDED, generator=draw) for _ in ("users", "items")
        )
        widths = (2 * EMBEDDED, chosen.hidden, chosen.hidden, 1)
        drawn = [linear(a, b, generator=draw) for a, b in pairwise(widths)]
        self._layers = [
            nn.Parameter(tensor[None])
            for layer in drawn
            for tensor in (layer.weight.detach().T.clone(), layer.bias.detach()[None])
        ]

        def losses() -> Iterator[Tensor]:
            for _ in range(chosen.steps):
                items, a, b = tasks.drawn(TASKS, size=SHOTS)
                item = self._of_item(content[items])
                own = content[items][:, None]
                support, query = (
                    (
                        self._of_user(
                            left_out(
                                means[batch.users],
                                sizes[batch.users],
                                own,
                                read[batch.users, items[:, None]],
                            )
                        ),
                        self._of_user(means[batch.others]),
                        torch.from_numpy(batch.weights),
                    )
                    for batch in (a, b)
                )
                shots = tasks.shots(len(items), most=SHOTS, none=chosen.unsupported)
                seen = support[2] * torch.from_numpy(np.arange(SHOTS) < shots[:, None])
                layers = self._adapted(item, support[0], support[1], seen)
                yield self._loss(layers, item, *query).mean()

        parameters = [*self._of_user.parameters(), *self._of_item.parameters(), *self._layers]
        descend(parameters, losses(), rate=chosen.rate)
        people = np.random.default_rng([seed, 19]).permutation(np.unique(log.user_index))
        self._others = means[people[:OTHERS]]

    def score(self, task: RankingTask) -> FloatMatrix:
        means = torch.from_numpy(profiles(task.histories, self._axes))
        with torch.no_grad():
            users = self._of_user(means)
            items = self._of_item(torch.from_numpy(self._axes[task.candidates]))
        layers = [layer.detach() for layer in self._layers]
        if task.support is not None and len(task.support.item_index):
            layers = self._supported(task, task.support, items)
        together = max(1, PAIRS_AT_ONCE // max(1, len(users)))
        scores = np.zeros((len(users), len(items)), np.float32)
        with torch.inference_mode():
            for start in range(0, len(items), together):
                part = slice(start, start + together)
                own = [layer if len(layer) == 1 else layer[part] for layer in layers]
                scores[:, part] = _decided(own, items[part], users[None]).T.numpy()
        return scores

    def _supported(self, task: RankingTask, support: Support, items: Tensor) -> Layers:
        """Decision layers of each candidate after its support."""
        places = np.arange(len(support.item_index))
        rows, weights = padded(columns(task, support), places, len(items))
        means = torch.from_numpy(profiles(support.histories, self._axes))
        with torch.no_grad():
            users, others = self._of_user(means[rows]), self._of_user(self._others)
        adapted = self._adapted(
            items, users, others.expand(len(items), -1, -1), torch.from_numpy(weights)
        )
        return [layer.detach() for layer in adapted]

    def _adapted(self, items: Tensor, users: Tensor, others: Tensor, weights: Tensor) -> Layers:
        """The layers of T tasks after local steps; those without support stay as they are."""
        layers: Layers = [layer.expand(len(items), -1, -1) for layer in self._layers]
        seen = (weights.sum(dim=1) > 0).float()
        for _ in range(self._settings.local_steps):
            loss = (self._loss(layers, items, users, others, weights) * seen).sum()
            gradients = torch.autograd.grad(loss, layers, create_graph=True)
            layers = [
                layer - self._settings.local_rate * gradient
                for layer, gradient in zip(layers, gradients, strict=True)
            ]
        return layers

    def _loss(
        self, layers: Layers, items: Tensor, users: Tensor, others: Tensor, weights: Tensor
    ) -> Tensor:
        """(T,) cross-entropy of customers (T, K, E), weighted, and of others (T, J, E)."""
        share = weights / weights.sum(dim=1, keepdim=True).clamp_min(1.0)
        liked = logsigmoid(_decided(layers, items, users)) * share
        unliked = logsigmoid(-_decided(layers, items, others)).mean(dim=1)
        return -liked.sum(dim=1) - unliked


def _decided(layers: Layers, items: Tensor, users: Tensor) -> Tensor:
    """(T, K) logits of T items (T, E) for users (T or 1, K, E).

    The first layer of the concatenation is the sum of its two halves' products.
    """
    of_users, of_items = layers[0][:, :EMBEDDED], layers[0][:, EMBEDDED:]
    hidden = torch.relu(users @ of_users + items[:, None] @ of_items + layers[1])
    hidden = torch.relu(hidden @ layers[2] + layers[3])
    return (hidden @ layers[4] + layers[5])[..., 0]


def _membership(histories: Histories, items: int) -> Any:
    """(B, items) CSR: which items each history holds."""
    rows, places = np.nonzero(histories.mask)
    columns = histories.item_index[rows, places]
    shape = (len(histories), items)
    return sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape)


def left_out(profile: Tensor, sizes: Tensor, item: Tensor, read: Any) -> Tensor:
    """(T, K, W) mean content of what users read besides the item.

    Args:
        profile: (T, K, W) of all that they read.
        sizes: (T, K) how many items that are.
        item: (T, 1, W)
        read: (T, K) 1 where the item is among them, and not older than what is read.
    """
    held = torch.from_numpy(np.asarray(read.todense()))[..., None]
    count = sizes[..., None]
    return (profile * count - item * held) / (count - held).clamp_min(1.0)
