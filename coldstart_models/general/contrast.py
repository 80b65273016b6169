"""The contrast that the general tower learns by.

In a problem of a shop a user's history H sees each new content c as the Siamese scorer's nearest
term does, in the tower's space:

    s_c = 1/τ log 1/|H| Σ_h exp(τ <z_h, z_c>)
    L   = − log exp(γ s_c) / Σ_{c'} exp(γ s_c'),      c' the candidates that the user did not choose

with τ and γ learned, a pair a modality. It is InfoNCE (van den Oord et al., 2018) over late
interaction (Khattab & Zaharia, SIGIR 2020). Users are drawn candidate by candidate, so that no
correction for popularity is due (compare the log-q correction of sampled softmax, Bengio &
Senécal, 2008). Shops take turns, so that a large one counts no more than a small one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from coldstart_models.data.catalogue import BoolArray
from coldstart_models.general.corpus import Corpus
from coldstart_models.general.problems import Problem, Problems
from coldstart_models.general.tower import GeneralTower
from coldstart_models.processes import ALONE, Processes
from feature_repo.encoders.running import has_bfloat16

INITIAL_TEMPERATURE: Final = 7.0
INITIAL_SCALE: Final = 10.0
BARRED: Final = -1e9
CHECKED_PROBLEMS: Final = 4
CHECKED_USERS: Final = 200
CHECKED_CANDIDATES: Final = 400


@dataclass(frozen=True, slots=True)
class GeneralSchedule:
    """How long and how fast to learn."""

    steps: int = 300
    """At most, of each run; a shop's turn is one step."""
    check_every: int = 25
    patience: int = 2
    """Checks without a gain before a run stops."""
    users: int = 64
    candidates: int = 256
    rate: float = 5e-4
    decay: float = 1e-2
    """Of the layers' weights: the pull back to content similarity."""


class Contrast(nn.Module):
    """The tower and what only the loss needs, on a device, to which contents are moved once."""

    def __init__(
        self, widths: dict[str, int], *, seed: int, device: torch.device = ALONE.device
    ) -> None:
        super().__init__()
        self.device = device
        self._held: dict[tuple[int, str], tuple[Corpus, Tensor]] = {}
        self.tower = GeneralTower(widths, generator=torch.Generator().manual_seed(seed))
        count = len(widths)
        self.log_temperature = nn.Parameter(torch.full((count,), INITIAL_TEMPERATURE).log())
        self.log_scale = nn.Parameter(torch.full((count,), INITIAL_SCALE).log())
        self.to(device)

    def held(self, corpus: Corpus, name: str) -> Tensor:
        """(N, D_m) contents of a shop on the device."""
        key = id(corpus), name
        if key not in self._held:  # with the corpus, or its id may come again
            with torch.inference_mode(False):  # checks come first, and steps read them too
                values = torch.from_numpy(corpus.values[name]).to(self.device)
            self._held[key] = (corpus, values)
        return self._held[key][1]

    def placed(self, values: npt.NDArray[Any]) -> Tensor:
        """A problem's numbers on the device."""
        return torch.from_numpy(values).to(self.device)

    def scores(
        self, corpus: Corpus, problem: Problem, name: str, processes: Processes = ALONE
    ) -> tuple[Tensor, Tensor]:
        """(B, C) nearest terms of one modality, and which rows and columns have it (B, C).

        Args:
            processes: each computes its part of the rows.
        """
        place = list(self.tower.widths).index(name)
        temperature = self.log_temperature[place].exp().clamp_max(40.0)
        present = corpus.present(name)
        users = len(problem.histories)
        rows = processes.part(np.arange(users))
        histories = problem.histories[rows]
        used = np.unique(histories[histories >= 0])
        held = self.held(corpus, name)
        vectors = self.tower(name, held[self.placed(used)])
        candidates = self.tower(name, held[self.placed(problem.candidates)])
        told = (problem.histories >= 0) & present[problem.histories.clip(0)]
        weights = told / np.maximum(told.sum(axis=1, keepdims=True), 1)
        mixed = nn.functional.embedding_bag(
            self.placed(np.searchsorted(used, histories.clip(int(used.min())))),
            (temperature * (vectors @ candidates.T).float()).exp(),
            per_sample_weights=self.placed(weights[rows].astype(np.float32)),
            mode="sum",
        )
        nearest = processes.gathered(mixed.clamp_min(1e-30).log() / temperature, users)
        exists = told.any(axis=1)[:, None] & present[problem.candidates]
        return nearest, self.placed(exists)

    def loss(self, corpus: Corpus, problem: Problem, processes: Processes = ALONE) -> Tensor:
        """The contrast of the module's docstring, a mean over users and modalities."""
        total, counted = torch.zeros((), device=self.device), 0
        rows = torch.arange(len(problem.target), device=self.device)
        target = self.placed(problem.target)
        for place, name in enumerate(self.tower.widths):
            if name not in corpus.values or not len(problem.target):
                continue
            nearest, exists = self.scores(corpus, problem, name, processes)
            ranked = exists & ~self.placed(problem.barred)
            answered = ranked[rows, target]
            if not bool(answered.any()):
                continue
            logits = (self.log_scale[place].exp() * nearest).masked_fill(~ranked, BARRED)
            total = total + nn.functional.cross_entropy(logits[answered], target[answered])
            counted += 1
        return total / max(counted, 1)


def learning(
    learner: Contrast,
    corpora: Sequence[Corpus],
    schedule: GeneralSchedule,
    seed: int,
    *,
    steps: int | None = None,
    new: BoolArray | None = None,
    known: BoolArray | None = None,
    processes: Processes = ALONE,
) -> Iterator[tuple[int, float]]:
    """Learn step by step, shops in turn; yields the number and loss of each step.

    Args:
        processes: that share a step's users; the learner is on this one's device.
    """
    generator = np.random.default_rng([seed, 5])
    problems = []
    for corpus in corpora:
        every = np.ones(corpus.num_contents, bool)
        problems.append(
            Problems(corpus, every if new is None else new, every if known is None else known)
        )
    layers = [*learner.tower.inner.values(), *learner.tower.outer.values()]
    optimizer = torch.optim.AdamW(
        [
            {"params": layers, "lr": schedule.rate, "weight_decay": schedule.decay},
            {
                "params": [learner.log_temperature, learner.log_scale],
                "lr": 10 * schedule.rate,
                "weight_decay": 0.0,
            },
        ]
    )
    for step in range(1, (schedule.steps if steps is None else steps) + 1):
        shop = problems[step % len(problems)]
        problem = shop.draw(generator, users=schedule.users, candidates=schedule.candidates)
        with torch.autocast(
            learner.device.type, torch.bfloat16, enabled=has_bfloat16(learner.device)
        ):
            loss = learner.loss(shop.corpus, problem, processes)
        if loss.requires_grad:
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            processes.average(learner.parameters())
            optimizer.step()
        yield step, float(loss.detach())


def problems_to_check(corpus: Corpus, new: BoolArray, known: BoolArray, seed: int) -> list[Problem]:
    problems, generator = Problems(corpus, new, known), np.random.default_rng([seed, 7])
    return [
        problems.draw(generator, users=CHECKED_USERS, candidates=CHECKED_CANDIDATES)
        for _ in range(CHECKED_PROBLEMS)
    ]


@torch.inference_mode()
def quality(learner: Contrast, corpus: Corpus, checks: Sequence[Problem]) -> float:
    """Mean NDCG@10 of one right answer each, over modalities, problems and users."""
    found = []
    for problem in (one for one in checks if len(one.target)):
        rows = torch.arange(len(problem.target), device=learner.device)
        target = learner.placed(problem.target)
        for name in corpus.values:
            nearest, exists = learner.scores(corpus, problem, name)
            ranked = exists & ~learner.placed(problem.barred)
            nearest = nearest.masked_fill(~ranked, BARRED)
            answered = ranked[rows, target]
            own = nearest[rows, target][:, None]
            ahead = ~(nearest < own)  # itself, what ties with it, and all where it is no number
            rank = ahead.sum(dim=1)[answered] - 1
            gain = torch.where(rank < 10, 1.0 / torch.log2(rank + 2.0), torch.zeros_like(own[0]))
            found.append(gain.cpu())
    values = torch.cat(found) if found else torch.zeros(0)
    return float(values.mean()) if len(values) else 0.0
