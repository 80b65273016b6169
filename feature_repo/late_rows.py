"""Rows that came or went while a feature table was brought online.

A materialization reads a table and writes for a while. What is pushed or deleted meanwhile is so
online before it is done: an older row may take the place of a newer one, a deleted one come back.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.feature_tables import CREATED_TIMESTAMP, FeatureTable
from feature_repo.snapshot_state import table_state
from validation import tables


@dataclass(frozen=True, slots=True)
class TableBefore:
    """A table as it was; the open file stays readable whatever takes its place."""

    path: Path
    table: FeatureTable
    state: str
    source: Any

    def changes(self) -> tuple[list[str], list[str]]:
        """Keys with rows that have come since, and keys that have none any more, each ascending.

        Hold the table's lock: what is pushed online is in the table before.
        """
        if table_state(self.path) == self.state:
            return [], []
        key = self.table.key
        identity = [key, tables.EVENT_TIMESTAMP, CREATED_TIMESTAMP]
        old, new = (pq.read_table(one, columns=identity) for one in (self.source, self.path))
        came = new.join(old, identity, join_type="left anti")[key].unique()
        went = old.join(new, key, join_type="left anti")[key].unique()
        return sorted(came.to_pylist()), sorted(went.to_pylist())


@contextmanager
def table_before(path: Path, table: FeatureTable) -> Iterator[TableBefore]:
    """The table as it is now, for the length of a block."""
    state = table_state(path)
    with pa.OSFile(str(path), "rb") as source:
        yield TableBefore(path, table, state, source)
