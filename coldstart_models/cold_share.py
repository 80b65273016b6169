"""What is cold of the catalogue: how many listings how few people have chosen or seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from coldstart_models.data.catalogue import BoolArray, IntArray
from feature_repo.exposure import Exposure

BOUNDS: Final = (0, 1, 5, 20)
"""People from which each group begins: nobody, the first ones, a few, many."""


class ServedListings(NamedTuple):
    """The N listings that are ranked now."""

    item_ids: npt.NDArray[np.object_]
    new: BoolArray
    """(N,): hardly anybody has chosen it yet; such are recommended as new."""
    support: IntArray
    """(N,): first customers it has learned from."""


@dataclass(frozen=True, slots=True)
class ColdGroup:
    """Listings that so many people have chosen."""

    least: int
    most: int | None
    listings: int
    impressions: int


@dataclass(frozen=True, slots=True)
class ColdShare:
    """Of the listings that are ranked now."""

    listings: int
    new: int
    unseen: int
    """Without any impression and anybody who chose it."""
    learned: int
    """New ones that have learned from first customers."""
    groups: tuple[ColdGroup, ...]
    """By people, fewest first; every listing is in one."""


def cold_share(served: ServedListings, exposure: Exposure) -> ColdShare:
    """Count the served listings by what `aggregate` knows of them."""
    people, impressions = exposure.of(served.item_ids)
    return ColdShare(
        listings=len(people),
        new=int(served.new.sum()),
        unseen=int(((people == 0) & (impressions == 0)).sum()),
        learned=int((served.new & (served.support > 0)).sum()),
        groups=tuple(_group(people, impressions, least, most) for least, most in _ranges(BOUNDS)),
    )


def _ranges(bounds: Sequence[int]) -> list[tuple[int, int | None]]:
    last = [bound - 1 for bound in bounds[1:]]
    return list(zip(bounds, [*last, None], strict=True))


def _group(people: IntArray, impressions: IntArray, least: int, most: int | None) -> ColdGroup:
    inside = people >= least
    if most is not None:
        inside &= people <= most
    return ColdGroup(least, most, int(inside.sum()), int(impressions[inside].sum()))
