"""A log as it was at a moment: who works at an earlier present reads nothing that came later."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from validation import tables


class Log(Protocol):
    """What is read of a log: some columns, a part at a time."""

    def parts(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """All its rows in their order."""


@dataclass(frozen=True, slots=True)
class KnownLog:
    """The rows of a log that had happened at a moment."""

    log: Log
    until: datetime
    """Time-zone aware, and itself within."""

    def parts(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Like the log's; the columns are to have the events' times."""
        for part in self.log.parts(columns):
            times = part[tables.EVENT_TIMESTAMP]
            yield part.filter(pc.less_equal(times, pa.scalar(self.until, times.type)))
