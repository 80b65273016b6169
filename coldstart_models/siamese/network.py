"""The network: terms, what support adds, dates, what sells now; and how it ranks a task."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from coldstart_models.data.catalogue import FloatMatrix
from coldstart_models.data.interactions import Histories
from coldstart_models.metrics import ndcg_of_each
from coldstart_models.siamese.certainty import Certainty
from coldstart_models.siamese.dates import DateTerm
from coldstart_models.siamese.learners.evidence import Evidence
from coldstart_models.siamese.learners.learner import Learner, effect
from coldstart_models.siamese.learners.prototype import Prototype
from coldstart_models.siamese.learners.space import Space
from coldstart_models.siamese.pace import Pace
from coldstart_models.siamese.places import shared_out
from coldstart_models.siamese.population import Population
from coldstart_models.siamese.preparing import PreparedEpisode, history_batch
from coldstart_models.siamese.scorer import Profiles, SiameseScorer, Vectors
from coldstart_models.siamese.season import content_width
from coldstart_models.siamese.strangers import PopularitySpread

BARRED: Final = -1e9
"""Score of a pair that may not be ranked; finite, so that gradients are."""
BATCH_USERS: Final = 64
TERMS_AT_ONCE: Final = 64_000_000
"""Numbers of terms (users × candidates × terms) that are held at once when a task is scored."""


class MetaSiamese(nn.Module):
    """The scorer, its few-shot learner, what selling now counts, how sure it is and, where allowed,
    the date term.
    """

    selling_weight: Tensor
    """w of `selling`."""

    def __init__(self, widths: dict[str, int], *, dates: bool, generator: torch.Generator) -> None:
        super().__init__()
        self.scorer = SiameseScorer(widths, generator=generator)
        self.learner: Learner = Prototype(len(widths))
        self.pace = Pace()
        self.certainty = Certainty(len(self.scorer.terms))
        self.date_term = DateTerm(content_width(widths)) if dates else None
        self.strangers = PopularitySpread()
        self.register_buffer("selling_weight", torch.tensor(0.0))

    def forward(
        self,
        prepared: PreparedEpisode,
        rows: npt.NDArray[np.int64],
        *,
        length: int | None = None,
        view: "TaskView | None" = None,
    ) -> Tensor:
        """(B, C) scores of some of the task's users, with what its support adds and without what
        sells now.

        Args:
            length: only the newest so many items of each history.
            view: of all the task's users, where several batches share one; by default the
                view of these rows is made.
        """
        histories = prepared.histories.take(rows)
        if length is not None:
            histories = histories.newest(length)
        if view is None:
            view = self.view(prepared, histories)
        users = self.users(view, histories)
        scores = self.scorer(view.vectors, users, view.candidates, prepared.prior)
        return self.completed(scores, users, view, prepared, rows)

    def completed(
        self,
        scores: Tensor,
        users: Profiles,
        view: "TaskView",
        prepared: PreparedEpisode,
        rows: npt.NDArray[np.int64],
    ) -> Tensor:
        """(B, C) scores of terms and prior with what dates and support add, barred pairs left out.

        Args:
            rows: of the task, the users'.
        """
        if self.date_term is not None:
            known = None if view.evidence is None else view.evidence.customers
            scores = scores + self.date_term(prepared.dates, known)
        if view.deltas is not None and view.space is not None:
            scores = scores + effect(users, view.deltas, view.space.mean)
        if view.bias is not None:
            scores = scores + view.bias
        return scores.masked_fill(prepared.barred[rows], BARRED)

    def users(self, view: "TaskView", histories: Histories) -> Profiles:
        """The people of some histories, whose items the view holds."""
        batch = history_batch(histories).to(view.used.device).among(view.used)
        return self.scorer.profiles(view.vectors, batch)

    def view(self, prepared: PreparedEpisode, histories: Histories) -> "TaskView":
        """The tower's outputs of the items that a task and some histories need."""
        support = prepared.episode.task.support
        known = [histories]
        if support is not None:
            known += [prepared.population, support.histories]
        read = [history_batch(one).to(prepared.device) for one in known]
        rows = [prepared.candidates, *(batch.rows.flatten().clamp_min(0) for batch in read)]
        used = torch.unique(torch.cat(rows))
        vectors = self.scorer.tower(prepared.inputs.take(used))
        candidates = vectors.take(torch.searchsorted(used, prepared.candidates))
        if support is None:
            return TaskView(used, vectors, candidates)
        with torch.no_grad():
            everybody, supporters = (
                self.scorer.profiles(vectors, batch.among(used)) for batch in read[1:]
            )
            space = Space.of(Population.of(everybody))
            owner = np.searchsorted(prepared.episode.task.candidates, support.item_index)
            evidence = Evidence.of(
                supporters,
                torch.from_numpy(owner).to(prepared.device),
                torch.from_numpy(support.moments).to(prepared.device),
                listings=candidates,
                prior=prepared.prior,
                space=space,
                pace=self.pace,
            )
            weights = self.learner.adapt(evidence)
            deltas = space.deltas(weights.vectors)
        return TaskView(used, vectors, candidates, deltas, weights.bias, space, evidence)


@dataclass(frozen=True, slots=True)
class TaskView:
    """What all users of a task share."""

    used: Tensor
    """(R,) item indexes, ascending."""
    vectors: Vectors
    """Of the R items."""
    candidates: Vectors
    """Of the C candidates."""
    deltas: dict[str, Tensor] | None = None
    """Modality → (C, D_m); None without support."""
    bias: Tensor | None = None
    """(C,)"""
    space: Space | None = None
    """In which supporters are compared with the population."""
    evidence: Evidence | None = None
    """Of the support."""


@torch.inference_mode()
def score_task(model: MetaSiamese, prepared: PreparedEpisode) -> FloatMatrix:
    """(U, C) scores of all of a task's users, known items by what sells now as well."""
    users, terms = len(prepared.histories), len(model.scorer.terms)
    view = model.view(prepared, prepared.histories)
    # Users of one batch share the similarities of the items that their histories share.
    size = max(BATCH_USERS, TERMS_AT_ONCE // (terms * max(1, len(prepared.candidates))))
    batches = [
        _selling(model, prepared, np.arange(start, min(start + size, users)), view).cpu().numpy()
        for start in range(0, users, size)
    ]
    return np.concatenate(batches) if batches else np.zeros((0, len(prepared.candidates)), "f4")


def _selling(
    model: MetaSiamese, prepared: PreparedEpisode, rows: npt.NDArray[np.int64], view: TaskView
) -> Tensor:
    """(B, C)"""
    plain: Tensor = model(prepared, rows, view=view)
    added = model.selling_weight * prepared.selling
    return shared_out(plain, plain + added, ~prepared.known) if added.any() else plain


def ndcg(model: MetaSiamese, prepared: PreparedEpisode) -> float:
    """Mean NDCG@10 over an episode's users."""
    (reached,) = ndcg_by_episode(model, [prepared])
    return float(reached.mean())


def ndcg_by_episode(
    model: MetaSiamese, episodes: Sequence[PreparedEpisode]
) -> list[npt.NDArray[np.float64]]:
    """(U,) NDCG@10 of every episode's users."""
    return [ndcg_of_each(score_task(model, one), one.episode.chosen) for one in episodes]
