"""DropoutNet: learn to do without the factors that a new item does not have.

Source: Volkovs, Yu and Poutanen, "DropoutNet: Addressing Cold Start in Recommender Systems",
NeurIPS 2017, sections 4.1 and 4.2. Two networks map [factors, content] of users and items to a
common space; they minimise Σ (U_u·V_v − f_U·f_V)², while a share of the items lose their
factors (the input is zero, the target stays). Factors are weighted ALS, as in the paper.

Different: a batch is the block of its users and items, with the choices on its diagonal,
instead of each user's best and random items; a user's content is the mean content of what the
user chose; users do not lose their factors, since all ranked users have a history.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from optuna.trial import BaseTrial
from torch import Tensor

from benchmarks.peers.content import item_content, profiles
from benchmarks.peers.kept import Kept
from benchmarks.peers.latent import Factors, als_factors, root_mean_square
from benchmarks.peers.networks import choice_batches, descend, layers
from coldstart_models.data.catalogue import FloatMatrix
from coldstart_models.ranker import RankingTask, TrainingSet

BLOCK: Final = 256
"""Users and items of one block of targets."""
FACTORS: Final = 64


@dataclass(frozen=True, slots=True)
class Settings:
    """What is tuned."""

    dropout: float = 0.5
    """Share of the items that lose their factors."""
    hidden: int = 128
    rate: float = 1e-3
    epochs: int = 20
    confidence: float = 10.0

    @classmethod
    def suggested(cls, trial: BaseTrial) -> "Settings":
        return cls(
            dropout=trial.suggest_float("dropout", 0.2, 1.0),
            hidden=trial.suggest_categorical("hidden", [64, 128, 256]),
            rate=trial.suggest_float("rate", 3e-4, 1e-2, log=True),
            epochs=trial.suggest_int("epochs", 5, 40),
            confidence=trial.suggest_float("confidence", 1.0, 100.0, log=True),
        )


class DropoutNet:
    """`Ranker`: f_U · f_V, with zero factors for items that have none."""

    name = "dropoutnet"

    def __init__(self, settings: Settings | None = None, *, kept: Kept | None = None) -> None:
        self._settings = settings or Settings()
        self._kept = kept or Kept()

    def fit(self, training: TrainingSet, *, seed: int) -> None:
        chosen, log = self._settings, training.interactions
        factors = als_factors(
            log, width=FACTORS, confidence=chosen.confidence, regularization=1.0, seed=seed
        )
        axes = item_content(training, seed=seed, kept=self._kept).axes
        known = log.item_users() > 0
        # Entries of unit mean square on both sides, as the paper's code standardises its inputs.
        users, items = (
            torch.from_numpy(side / root_mean_square(side[rows]))
            for side, rows in (
                (factors.users, np.unique(log.user_index)),
                (factors.items, np.flatnonzero(known)),
            )
        )
        everybody = np.arange(log.num_users)
        about = torch.from_numpy(profiles(log.histories(everybody), axes))
        content = torch.from_numpy(axes)
        draw = torch.Generator().manual_seed(seed)
        widths = (FACTORS + axes.shape[1], chosen.hidden, FACTORS)
        of_user, of_item = (
            layers(*widths, generator=draw, normalised=True) for _ in ("users", "items")
        )
        generator = np.random.default_rng([seed, 5])

        def losses() -> Iterator[Tensor]:
            batches = choice_batches(log, epochs=chosen.epochs, generator=generator, least=2)
            for user, item in batches:
                user, item = user[:BLOCK], item[:BLOCK]
                held = torch.rand(len(item), 1, generator=draw) >= chosen.dropout
                left = of_user(torch.cat([users[user], about[user]], dim=1))
                right = of_item(torch.cat([items[item] * held, content[item]], dim=1))
                target = users[user] @ items[item].T / FACTORS**0.5
                yield ((left @ right.T / FACTORS**0.5 - target) ** 2).mean()

        parameters = [*of_user.parameters(), *of_item.parameters()]
        descend(parameters, losses(), rate=chosen.rate)
        with torch.inference_mode():
            own = items * torch.from_numpy(known)[:, None]
            self._factors = Factors(
                of_user.eval()(torch.cat([users, about], dim=1)).numpy(),
                of_item.eval()(torch.cat([own, content], dim=1)).numpy(),
            )

    def score(self, task: RankingTask) -> FloatMatrix:
        return self._factors.scores(task)
