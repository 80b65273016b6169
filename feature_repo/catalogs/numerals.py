"""Numbers as shops write them: with a decimal comma, and with marks between thousands."""

import re
from typing import Final

import pandas as pd

DECIMAL_MARKS: Final = (",", ".")
SPACES: Final = "'\u2019 \u00a0\u202f"
"""Beside the other decimal mark, what stands between thousands: apostrophes and spaces."""


def with_points(values: pd.Series, *, decimal: str) -> pd.Series:
    """The numbers among texts as Python writes them; whatever else travels as it is.

    Args:
        values: a column as it came.
        decimal: the decimal mark; thousands may be told apart by the other one, an apostrophe or
            a space. Only groups of three are thousands: ``12.50`` stays what it is where the
            mark is a comma, and ``1.250`` is one thousand two hundred and fifty.
    """
    between = re.escape("".join(DECIMAL_MARKS).replace(decimal, "") + SPACES)
    mark = re.escape(decimal)
    grouped = rf"\d{{1,3}}(?:[{between}]\d{{3}})+(?:{mark}\d+)?"
    written = re.compile(rf"\s*([+-]?(?:{grouped}|\d+{mark}\d+))\s*")
    thousands = re.compile(rf"[{between}]")

    def pointed(value: object) -> object:
        if not isinstance(value, str) or (found := written.fullmatch(value)) is None:
            return value
        return thousands.sub("", found[1]).replace(decimal, ".")

    if pd.api.types.is_numeric_dtype(values):
        return values
    return values.astype(object).map(pointed)
