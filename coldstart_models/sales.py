"""How often each served item was chosen of late, and how far of the log that was counted."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from coldstart_models.data.catalogue import BoolArray, IntArray
from coldstart_models.siamese.selling import RecentChoices
from feature_repo.log_state import LogState, Position
from validation import tables

READ: Final = (tables.ITEM_ID, tables.EVENT_TYPE, tables.EVENT_TIMESTAMP)


@dataclass(frozen=True, slots=True)
class Sales:
    """The positive events of N items, by whose sums known items are ranked (`siamese.selling`)."""

    recent: RecentChoices
    position: Position
    """In the log: what came before is counted."""

    @classmethod
    def of(
        cls, events: pd.DataFrame, item_ids: npt.NDArray[np.object_], *, position: Position
    ) -> "Sales":
        """Of a whole log.

        Args:
            events: READ of it.
            item_ids: (N,)
            position: its end.
        """
        nothing = cls(RecentChoices.none(len(item_ids)), position)
        return nothing._counting(events, item_ids, position)

    def caught_up(self, state: LogState, item_ids: npt.NDArray[np.object_]) -> "Sales":
        """With what came since; counted anew of a log that was written anew, as by an erasure."""
        if self.position.generation != state.generation:
            return Sales.of(_read(state, 0), item_ids, position=state.position)
        if state.position == self.position:
            return self
        return self._counting(_read(state, self.position.rows), item_ids, state.position)

    def where(self, stay: BoolArray) -> "Sales":
        """Of some of the items."""
        return replace(self, recent=replace(self.recent, sums=self.recent.sums[stay]))

    def moved(self, came_from: IntArray) -> "Sales":
        """Of N' items: which row (N',) each had before, -1 of those who were not there."""
        sums, there = np.zeros(len(came_from)), came_from >= 0
        sums[there] = self.recent.sums[came_from[there]]
        return replace(self, recent=replace(self.recent, sums=sums))

    def _counting(
        self, events: pd.DataFrame, item_ids: npt.NDArray[np.object_], position: Position
    ) -> "Sales":
        positive = events[events[tables.EVENT_TYPE].isin(tables.POSITIVE_EVENT_TYPES)]
        rows = pd.Index(item_ids).get_indexer(pd.Index(positive[tables.ITEM_ID]))
        moments = pd.DatetimeIndex(positive[tables.EVENT_TIMESTAMP]).as_unit("us").asi8
        served = rows >= 0
        return Sales(self.recent.later(rows[served], moments[served]), position)


def _read(state: LogState, rows: int) -> pd.DataFrame:
    frame: pd.DataFrame = state.after(rows, READ).to_pandas()
    return frame
