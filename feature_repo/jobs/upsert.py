"""New rows of one source into a table that holds several sources."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from validation import tables
from validation.tables import Table


@dataclass(frozen=True, slots=True)
class Upsert:
    """A table after one source's rows went in, and what happened to them."""

    rows: pd.DataFrame
    inserted: int
    updated: int
    unchanged: int
    removed: int


def upsert(
    table: Table, before: pd.DataFrame, rows: pd.DataFrame, *, source: str, whole: bool
) -> Upsert:
    """Insert new keys, update known ones; other sources' rows are not touched.

    Sources keep the order they first came in; within the source, rows that are not in
    `rows` come first, then `rows` in their order. So the same rows again change nothing.

    Args:
        table: whose columns and key both frames have; keys are unique in each.
        before: the table as it was.
        rows: all of one source.
        whole: whether `rows` is everything the source has, so that its other rows go.
    """
    key = table.key
    own = before[before[tables.SOURCE] == source]
    known = own[key].isin(rows[key])
    kept = own[~known] if not whole else own.iloc[:0]
    same = _unchanged(own[known], rows, key)
    blocks = {
        name: before[before[tables.SOURCE] == name] for name in before[tables.SOURCE].unique()
    }
    blocks[source] = pd.concat([kept, rows]) if len(kept) else rows
    filled = [block for block in blocks.values() if len(block)]
    return Upsert(
        rows=pd.concat(filled, ignore_index=True) if filled else table.empty(),
        inserted=len(rows) - int(known.sum()),
        updated=int(known.sum()) - same,
        unchanged=same,
        removed=len(own) - int(known.sum()) - len(kept),
    )


def _unchanged(old: pd.DataFrame, new: pd.DataFrame, key: str) -> int:
    """How many rows of `new` are in `old` with the same values."""
    if old.empty:
        return 0
    matching = new[new[key].isin(old[key])].set_index(key)
    before = old.set_index(key).reindex(matching.index)
    same = np.ones(len(matching), dtype=bool)
    for name in matching.columns:
        left, right = before[name], matching[name]
        equal = (left == right).fillna(False).to_numpy(dtype=bool)
        same &= equal | (left.isna() & right.isna()).to_numpy(dtype=bool)
    return int(same.sum())
