"""CLCRec: contrast users with items, and items' embeddings with their content.

Source: Wei et al., "Contrastive Learning for Cold-Start Recommendation", ACM MM 2021, sections
3.2 and 3.3. With item embeddings z, content encodings f(c), user embeddings u and temperature τ,

    L = λ · InfoNCE(z̃_i, f̃(c_i)) + (1 − λ) · InfoNCE(u, z_i or f(c_i)) + η (|u| + |z|)

over one choice and sampled other items; ~ is the unit vector, and in the second term a share ρ
of the item embeddings is replaced by their content encodings. A new item's score is u · f(c).

Different: the other items are drawn once a batch for all of its users.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from optuna.trial import BaseTrial
from torch import Tensor, nn
from torch.nn.functional import normalize

from benchmarks.peers.content import item_content
from benchmarks.peers.kept import Kept
from benchmarks.peers.latent import Factors, require_events
from benchmarks.peers.networks import choice_batches, descend, known_items, layers
from coldstart_models.data.catalogue import FloatMatrix
from coldstart_models.ranker import RankingTask, TrainingSet

WIDTH: Final = 64
OTHERS: Final = 128
SPREAD: Final = 0.1
"""Standard deviation of the embeddings at the start."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What is tuned."""

    balance: float = 0.5
    """λ"""
    replaced: float = 0.5
    """ρ"""
    temperature: float = 0.5
    """τ of users with items; that of unit vectors is a fifth of it."""
    penalty: float = 1e-3
    """η"""
    rate: float = 5e-3
    epochs: int = 20

    @classmethod
    def suggested(cls, trial: BaseTrial) -> "Settings":
        return cls(
            balance=trial.suggest_float("balance", 0.1, 0.9),
            replaced=trial.suggest_float("replaced", 0.1, 1.0),
            temperature=trial.suggest_float("temperature", 0.1, 2.0, log=True),
            penalty=trial.suggest_float("penalty", 1e-4, 1e-1, log=True),
            rate=trial.suggest_float("rate", 1e-3, 2e-2, log=True),
            epochs=trial.suggest_int("epochs", 5, 40),
        )


class CLCRec:
    """`Ranker`: u · f(c) for new items, u · z for warm ones."""

    name = "clcrec"

    def __init__(self, settings: Settings | None = None, *, kept: Kept | None = None) -> None:
        self._settings = settings or Settings()
        self._kept = kept or Kept()

    def fit(self, training: TrainingSet, *, seed: int) -> None:
        chosen, log = self._settings, training.interactions
        require_events(log)
        axes = item_content(training, seed=seed, kept=self._kept).axes
        content = torch.from_numpy(axes)
        draw = torch.Generator().manual_seed(seed)
        users = nn.Parameter(SPREAD * torch.randn(log.num_users, WIDTH, generator=draw))
        items = nn.Parameter(SPREAD * torch.randn(log.num_items, WIDTH, generator=draw))
        encoder = layers(
            axes.shape[1], 256, WIDTH, generator=draw, activation=lambda: nn.LeakyReLU()
        )
        generator, known = np.random.default_rng([seed, 7]), known_items(log)

        def losses() -> Iterator[Tensor]:
            for user, item in choice_batches(log, epochs=chosen.epochs, generator=generator):
                rows = np.concatenate([item, generator.choice(known, size=OTHERS)])
                encoded, own = encoder(content[rows]), items[rows]
                swap = torch.rand(len(rows), 1, generator=draw) < chosen.replaced
                hybrid, size = torch.where(swap, encoded, own), len(item)
                alike = contrast(
                    normalize(own[:size], dim=1),
                    normalize(encoded, dim=1),
                    temperature=chosen.temperature / 5,
                )
                liked = contrast(users[user], hybrid, temperature=chosen.temperature)
                norms = users[user].norm(dim=1).mean() + own.norm(dim=1).mean()
                yield (
                    chosen.balance * alike
                    + (1 - chosen.balance) * liked
                    + chosen.penalty * norms / 2
                )

        descend([users, items, *encoder.parameters()], losses(), rate=chosen.rate)
        with torch.inference_mode():
            warm = torch.from_numpy(log.item_users() > 0)[:, None]
            both = torch.where(warm, items, encoder(content))
        self._factors = Factors(users.detach().numpy(), both.numpy())

    def score(self, task: RankingTask) -> FloatMatrix:
        return self._factors.scores(task)


def contrast(anchors: Tensor, items: Tensor, *, temperature: float) -> Tensor:
    """Mean − log share of each anchor's own item among it and the others.

    Args:
        anchors: (B, R)
        items: (B + K, R), row b being anchor b's own, the last K the others.
    """
    own = (anchors * items[: len(anchors)]).sum(dim=1, keepdim=True)
    scores = torch.cat([own, anchors @ items[len(anchors) :].T], dim=1) / temperature
    return -torch.log_softmax(scores, dim=1)[:, 0].mean()
