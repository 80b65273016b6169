"""Facts about rows and their table that come before every check."""

from collections.abc import Collection
from typing import Final

import numpy as np
import pandas as pd

from validation import tables

LONGEST_LINE: Final = 200
WISHED: Final = (tables.TITLE, tables.CATEGORY, tables.PRICE, tables.IMAGE_PATH, tables.LISTED_AT)
"""Optional columns of listings whose absence from the whole table is worth a note."""


def present_columns(raw: pd.DataFrame) -> set[str]:
    """Columns in which at least one row has a value."""
    return {str(name) for name in raw.columns if raw[name].notna().any()}


def absences(present: Collection[str]) -> tuple[str, ...]:
    """A note where no listing has a value in an optional column that helps the models.

    Args:
        present: the columns in which some listing has one.
    """
    absent = [name for name in WISHED if name not in present]
    return (f"no row of items has {', '.join(absent)}; the models do without",) if absent else ()


def lines_read(raw: pd.DataFrame) -> pd.Series:
    """Whether each row's line could be read from its file."""
    if tables.UNREADABLE not in raw:
        return pd.Series(True, index=raw.index)
    return raw[tables.UNREADABLE].isna()


def unread_lines(raw: pd.DataFrame) -> dict[int, str]:
    """Row → the text of the line that could not be read."""
    if tables.UNREADABLE not in raw:
        return {}
    lines = raw[tables.UNREADABLE].dropna()
    return {row: str(text)[:LONGEST_LINE] for row, text in labelled(lines)}


def labelled(values: pd.Series) -> list[tuple[int, object]]:
    """Row number and value of each."""
    return list(zip(values.index.to_numpy(dtype=np.int64).tolist(), values.tolist(), strict=True))


def holds(index: pd.Index, failing: Collection[int]) -> pd.Series:
    """Whether a fact holds of each row: of all but the failing ones."""
    return pd.Series(~index.isin(list(failing)), index=index)
