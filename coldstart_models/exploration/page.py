"""A page of which a few slots are explored.

The best listings keep the page but for m slots, whatever is drawn for those: so what is kept does
not depend on the draws, and a slot's propensity is that of its draw. The m slots stand evenly
spread, the last at the page's end. Arms are the new listings with budget left that the page does
not hold already, and of them the `shortlist` with the highest scores two deviations up.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from coldstart_models.exploration.budget import slots_of
from coldstart_models.exploration.policy import Arms, Bools, Floats, Policy
from coldstart_models.exploration.propensity import draw_slots

Columns = npt.NDArray[np.int64]
OPTIMISM: Final = 2.0
"""Deviations above its score by which an arm gets onto the shortlist."""


@dataclass(frozen=True, slots=True)
class Field:
    """The C listings that a page is made of, for one person."""

    item_ids: npt.NDArray[np.object_]
    """(C,)"""
    scores: Floats
    """(C,)"""
    directions: Floats
    """(C, D); see `policy.Arms`."""
    new: Bools
    """(C,)"""
    own: Floats | None = None
    """(C,) deviations of errors that are each listing's own, beside the directions; None: 0."""


@dataclass(frozen=True, slots=True)
class ExploredPage:
    """Which listings stand where, with what probability."""

    columns: Columns
    """(k,) of the field, from the top of the page."""
    propensities: Floats
    """(k,): 1 where nothing was drawn, else of the draw given those above it."""
    places: tuple[int, ...]
    """Explored places from 0, in the order drawn."""
    arms: Arms
    """What could be drawn."""
    arm_columns: Columns
    """(A,) the arms' columns of the field."""
    drawn: tuple[int, ...]
    """The arm of each explored place, by its number among the arms."""


def arrange(
    field: Field,
    order: Columns,
    eligible: Bools,
    *,
    policy: Policy,
    per_page: int,
    shortlist: int,
    rng: np.random.Generator,
) -> ExploredPage:
    """Explore up to `per_page` slots of the page that `order` would be.

    Args:
        order: (k,) columns, best first.
        eligible: (C,) which may be explored.
    """
    slots = slots_of(len(order), per_page=per_page)
    kept, arm_columns = order, np.empty(0, np.int64)
    for count in range(slots, 0, -1):
        kept = order[: len(order) - count]
        open_columns = eligible.copy()
        open_columns[kept] = False
        arm_columns = np.flatnonzero(open_columns)
        if len(arm_columns) >= count:
            slots = count
            break
    else:
        return _plain(field, order)
    arms = Arms(field.scores[arm_columns], field.directions[arm_columns])
    if len(arms) > shortlist:
        least = max(shortlist, slots)
        deviations = arms.deviations
        if field.own is not None:
            deviations = np.hypot(deviations, field.own[arm_columns])
        hopeful = -(arms.scores + OPTIMISM * deviations)
        chosen = np.sort(np.argpartition(hopeful, least - 1)[:least])
        arms, arm_columns = arms.take(chosen), arm_columns[chosen]
    if field.own is not None:
        arms = arms.spread(field.own[arm_columns])
    drawn = draw_slots(policy, arms, slots=slots, rng=rng)
    places = tuple(((slot + 1) * len(order)) // slots - 1 for slot in range(slots))
    columns, propensities = np.empty(len(order), np.int64), np.ones(len(order))
    rest = np.setdiff1d(np.arange(len(order)), places)
    columns[rest] = kept
    columns[list(places)] = arm_columns[[one.arm for one in drawn]]
    propensities[list(places)] = [one.propensity for one in drawn]
    return ExploredPage(
        columns, propensities, places, arms, arm_columns, tuple(one.arm for one in drawn)
    )


def _plain(field: Field, order: Columns) -> ExploredPage:
    none = np.empty(0, np.int64)
    arms = Arms(np.empty(0), np.empty((0, field.directions.shape[1])))
    return ExploredPage(order, np.ones(len(order)), (), arms, none, ())
