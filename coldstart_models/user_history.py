"""What a person has chosen."""

import math
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime

import numpy as np


@dataclass(frozen=True, slots=True)
class UserHistory:
    """What a person has chosen, newest last."""

    item_ids: tuple[str, ...]
    event_types: tuple[str, ...]
    timestamps: tuple[datetime, ...]
    quantities: tuple[float, ...] = ()
    """Pieces, NaN where unknown; empty where none is known."""
    prices: tuple[float, ...] = ()
    """Price of one piece, NaN where unknown; empty where none is known."""

    def __post_init__(self) -> None:
        if not len(self.item_ids) == len(self.event_types) == len(self.timestamps):
            raise ValueError(
                f"a history has as many ids ({len(self.item_ids)}) as event types "
                f"({len(self.event_types)}) and times ({len(self.timestamps)})"
            )
        for name in ("quantities", "prices"):
            given = len(getattr(self, name))
            if given not in (0, len(self.item_ids)):
                raise ValueError(
                    f"a history has as many ids ({len(self.item_ids)}) as {name} ({given}), or none"
                )

    @property
    def key(self) -> Hashable:
        """Equal for histories that are ranked alike: times count before the newest of them.

        Unknown numbers are equal too, though a NaN is not itself.
        """
        newest = max(self.timestamps, default=None)
        ages = tuple(newest - one for one in self.timestamps) if newest is not None else ()
        numbers = (np.array(one, np.float64).tobytes() for one in (self.quantities, self.prices))
        return self.item_ids, self.event_types, ages, *numbers

    def quantity(self, place: int) -> float:
        """Of one event; NaN where unknown."""
        return self.quantities[place] if self.quantities else math.nan

    def price(self, place: int) -> float:
        """Of one event's piece; NaN where unknown."""
        return self.prices[place] if self.prices else math.nan
