"""What every model that ranks can do: fit on a training set, score a task.

Peers, the Siamese scorer and the oracle all keep this contract, so one protocol
evaluates them and one contract suite tests them.
"""

from dataclasses import dataclass, replace
from typing import Final, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from coldstart_models.data.catalogue import BoolArray, Catalogue, FloatMatrix, IntArray
from coldstart_models.data.interactions import Histories, Interactions

FEWEST_TARGETS: Final = 100
"""Items of the target that somebody chose: so many are enough to rehearse cold starts on."""


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """All that a model may learn from: nothing in it happened at or after the cutoff.

    The catalogue also holds the cold items' content (title, photo, price), which is known
    when they are listed; the interactions hold events on warm items only.
    """

    catalogue: Catalogue
    interactions: Interactions
    warm: BoolArray
    """(num_items,): items that people could already choose."""
    target: BoolArray
    """(num_items,): items of the domain that is ranked, warm or not; all where there is one."""
    timed: bool
    """Whether `time_us` orders events (real times, or a sequence)."""
    dated: bool
    """Whether `time_us` are real dates; sequences order but have no dates."""

    @property
    def rehearsable(self) -> BoolArray:
        """(num_items,): warm items whose cold starts are like those to come: the target's, or every
        domain's where fewer than FEWEST_TARGETS of the target's were chosen."""
        own = self.warm & self.target
        chosen = self.interactions.item_users() > 0
        return own if (own & chosen).sum() >= FEWEST_TARGETS else self.warm

    def of_all_domains(self) -> "TrainingSet":
        """The same, as if every domain were ranked."""
        return replace(self, target=np.ones(len(self.target), bool))


@dataclass(frozen=True, slots=True)
class Support:
    """The first interactions of cold items: P pairs of an item and a user."""

    item_index: IntArray
    """(P,)"""
    user_index: IntArray
    """(P,); numbers of the training set's users."""
    time_us: IntArray
    """(P,)"""
    moments: npt.NDArray[np.float64]
    """(P,): the same by the shop's own clock (`data.shop_clock`)."""
    histories: Histories
    """(P, H): what each supporter had chosen before."""

    def of(self, rows: IntArray) -> "Support":
        """Some of the pairs, by row number."""
        return Support(
            self.item_index[rows],
            self.user_index[rows],
            self.time_us[rows],
            self.moments[rows],
            self.histories.take(rows),
        )


@dataclass(frozen=True, slots=True)
class RankingTask:
    """Score every candidate for every user."""

    user_index: IntArray
    """(U,)"""
    histories: Histories
    """(U, H), before the cutoff."""
    candidates: IntArray
    """(C,) item indexes."""
    support: Support | None = None
    """What few-shot models may adapt on; None at zero shots."""

    def of_users(self, rows: IntArray) -> "RankingTask":
        """The same task for some of its users, by row number."""
        return replace(self, user_index=self.user_index[rows], histories=self.histories.take(rows))


class Ranker(Protocol):
    """A model that ranks cold items."""

    name: str

    def fit(self, training: TrainingSet, *, seed: int) -> None:
        """Learn from the training set. Raises NotEnoughData where it cannot."""

    def score(self, task: RankingTask) -> FloatMatrix:
        """(U, C) finite scores, higher is better."""


@runtime_checkable
class Steerable(Ranker, Protocol):
    """A ranker with a control from what sells in general (0) to the person alone (1)."""

    @property
    def own_place(self) -> float | None:
        """Where the order is that of `score`; None where it is that nowhere."""

    def score_at(self, task: RankingTask, personal: float) -> FloatMatrix:
        """(U, C) scores at a place of the control."""


@runtime_checkable
class Sure(Ranker, Protocol):
    """A ranker that tells the chance of a choice, and how many will choose."""

    def log_chances(self, task: RankingTask) -> FloatMatrix:
        """(U, C) log chance that each candidate is the user's next choice among them."""

    def own_variance(self, customers: int) -> float:
        """Of a listing's own log rate, what content and so many first customers leave open."""

    def expected_demand(
        self, task: RankingTask
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """(C,) log(1 + customers) of each candidate without any so far, and its deviation."""


def top_k(scores: FloatMatrix, item_ids: npt.NDArray[np.object_], k: int) -> IntArray:
    """Columns of the k best candidates of each row, best first; ties break by item id.

    Args:
        scores: (U, C); -inf excludes a candidate (it is still returned last).
        item_ids: (C,) ids of the candidates.

    Returns:
        (U, min(k, C)) column numbers.
    """
    by_id = np.argsort(item_ids.astype(str), kind="stable")
    ordered = np.argsort(-scores[:, by_id], axis=1, kind="stable")[:, :k]
    return np.asarray(by_id[ordered], dtype=np.int64)
