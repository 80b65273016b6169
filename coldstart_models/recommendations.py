"""Recommendations: what is told of the listings of a page, and the page of somebody unknown."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from coldstart_models.arranging import BEST_FIRST, Arrangement
from coldstart_models.data.catalogue import IntArray
from coldstart_models.explaining import sentence, title
from coldstart_models.exploration.exploring import Turn
from coldstart_models.exploration.page import Field
from coldstart_models.siamese.strangers import PopularitySpread
from coldstart_models.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Scored:
    """A person's score of a listing."""

    score: float
    deviation: float
    """How unsure it is: σ of `siamese.certainty`, a stranger's of `siamese.strangers`."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One recommended listing."""

    item_id: str
    score: float
    is_new: bool
    support: int
    """First customers its adaptation was learned from."""
    reason: str
    deviation: float | None = None
    """As that of `Scored`."""
    propensity: float = 1.0
    """With which the slot went to this listing, given those above it; 1 where nothing was drawn."""
    explored: bool = False
    """Whether the slot was given by the policy of exploration."""

    @classmethod
    def of(
        cls,
        snapshot: Snapshot,
        row: int,
        score: float,
        reason: str,
        *,
        deviation: float,
        propensity: float,
        explored: bool,
    ) -> "Recommendation":
        """Of the listing of a row."""
        return cls(
            item_id=str(snapshot.item_ids[row]),
            score=score,
            is_new=bool(snapshot.new[row]),
            support=int(snapshot.support[row]),
            reason=reason,
            deviation=deviation,
            propensity=propensity,
            explored=explored,
        )


def page(
    turn: Turn | None, field: Callable[[], Field], order: IntArray
) -> tuple[IntArray, npt.NDArray[np.float64], frozenset[int]]:
    """(k,) columns from the top of the page, their propensities, and which places are explored.

    Args:
        field: makes what a turn explores; asked for only where there is a turn.
        order: (k,) columns, best first.
    """
    if turn is None:
        return order, np.ones(len(order)), frozenset()
    explored = turn.arrange(field(), order)
    return explored.columns, explored.propensities, frozenset(explored.places)


def most_popular(
    snapshot: Snapshot,
    rows: IntArray,
    scores: npt.NDArray[np.float32],
    *,
    spread: PopularitySpread,
    k: int,
    arrangement: Arrangement = BEST_FIRST,
    turn: Turn | None = None,
) -> list[Recommendation]:
    """What content sells, for somebody of whom nothing is known.

    Args:
        rows: (C,) of the candidates, ascending.
        scores: (C,) of theirs.
        spread: how sure that is.
        k: so many at most.
        arrangement: of the page.
        turn: gives some slots to new listings by a policy of exploration.
    """
    away = snapshot.popularity_away(rows)
    deviations = spread.deviations(away, snapshot.support[rows])
    order, propensities, explored = page(
        turn,
        lambda: Field(
            snapshot.item_ids[rows],
            scores.astype(np.float64),
            spread.slope * away[:, None],
            snapshot.new[rows],
            spread.own_deviations(snapshot.support[rows]),
        ),
        arrangement.order(snapshot, rows, scores, k=k),
    )
    return [
        Recommendation.of(
            snapshot,
            int(rows[column]),
            float(scores[column]),
            sentence(title(snapshot, int(rows[column])), []),
            deviation=float(deviations[column]),
            propensity=float(propensities[place]),
            explored=place in explored,
        )
        for place, column in enumerate(order)
    ]
