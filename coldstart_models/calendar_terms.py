"""What dates add to the scores of a snapshot's listings: the served side of `siamese.dates`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from coldstart_models.data.catalogue import IntArray
from coldstart_models.data.interactions import END_OF_TIME
from coldstart_models.siamese.dates import DateTerm, early_ranks, season_ahead, standardised
from coldstart_models.siamese.scorer import DAY_US
from coldstart_models.snapshot import microseconds

if TYPE_CHECKING:
    import pandas as pd

    from coldstart_models.snapshot import Snapshot


def machine_time() -> datetime:
    """The machine's clock, UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class CalendarTerms:
    """What is added to N listings' scores, for everybody alike."""

    age: Tensor
    """(N,) for how early a listing came among the new ones; 0 where nobody knows,"""
    season: Tensor
    """(N,) and for how well its content suits the season."""
    total: Tensor
    """(N,) their sum."""

    @classmethod
    @torch.inference_mode()
    def of(cls, term: DateTerm, snapshot: "Snapshot", *, now: datetime) -> "CalendarTerms":
        """As the term was learned, with the pool that terms are standardised over as its pool.

        A listing that is older than all of the pool counts as its oldest.
        """
        listed, pool = listed_us(snapshot), snapshot.reference
        values = {name: found.numpy() for name, found in snapshot.vectors.values.items()}
        profiles = term.season.profiles(values)
        moment = microseconds(now)
        known = np.where(listed == END_OF_TIME, moment, listed)
        suits = season_ahead(profiles, known, moment)
        age = early_ranks(listed, listed[pool])
        season = standardised(suits, suits[pool])
        of_age = torch.from_numpy(age).float() * term.age_weight[0]
        of_season = torch.from_numpy(season).float() * term.season_weight
        return cls(of_age, of_season, of_age + of_season)


class Calendar:
    """A model's date term from request to request. Safe to share between threads.

    Its sums are made anew on another day, or where other listings are served.
    """

    def __init__(self, term: DateTerm | None, *, now: Callable[[], datetime]) -> None:
        self._term, self._now = term, now
        self._made: tuple[pd.DataFrame, int, CalendarTerms] | None = None

    def terms(self, snapshot: "Snapshot") -> CalendarTerms | None:
        """None where the model was trained without dates."""
        if self._term is None:
            return None
        now, made = self._now(), self._made
        day = now.toordinal()
        if made is not None and made[0] is snapshot.items and made[1] == day:
            return made[2]
        found = CalendarTerms.of(self._term, snapshot, now=now)
        self._made = snapshot.items, day, found
        return found


def listed_us(snapshot: "Snapshot") -> IntArray:
    """(N,) when each listing was listed; END_OF_TIME where unknown."""
    days = snapshot.listed_days
    known = np.nan_to_num(days) * DAY_US
    return np.where(np.isnan(days), END_OF_TIME, known.astype(np.int64))
