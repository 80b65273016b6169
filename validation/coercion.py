"""Raw values → the canonical types, column by column, without losing what does not cast.

Each cast is one vectorised pass; only values that it could not read are looked at one by
one. A value that cannot be read becomes null in `Coerced.frame` and False in
`Coerced.readable`, so that the gate can say so with the raw value. Null and blank text are
absent, and absence is readable.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from validation import tables
from validation.tables import Table

Cast = tuple[pd.Series, np.ndarray]
"""Canonical values, and for each row whether its raw value could be read."""

MICROSECONDS: Final = "datetime64[us, UTC]"
WORDS_OF_TRUTH: Final = {
    **dict.fromkeys(("true", "t", "yes", "y", "1", "1.0"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0", "0.0"), False),
}


@dataclass(frozen=True, slots=True)
class Coerced:
    """A raw frame in canonical types, rows in the same order, index 0 … n - 1."""

    frame: pd.DataFrame
    """Every column of the table; what the source does not have is null."""
    readable: dict[str, np.ndarray]
    """For each column the source has: whether each row's value could be read."""


def coerce(raw: pd.DataFrame, table: Table) -> Coerced:
    """Cast every column of `table` that `raw` has; other columns are left out."""
    frame = pd.DataFrame(index=pd.RangeIndex(len(raw)))
    readable: dict[str, np.ndarray] = {}
    for column in table.columns:
        cast = _cast_of(column.name, column.dtype)
        if column.name in raw.columns:
            values = raw[column.name].reset_index(drop=True)
            if isinstance(values.dtype, pd.CategoricalDtype):
                values = values.astype(object)
            frame[column.name], readable[column.name] = cast(values)
        else:
            frame[column.name], _ = cast(pd.Series([None] * len(raw), dtype=object))
    return Coerced(frame, readable)


def _cast_of(name: str, dtype: pa.DataType) -> Callable[[pd.Series], Cast]:
    if name == tables.ATTRIBUTES:
        return attributes
    if pa.types.is_timestamp(dtype):
        return moments
    if pa.types.is_floating(dtype):
        return numbers
    return truths if pa.types.is_boolean(dtype) else texts


def texts(values: pd.Series) -> Cast:
    """Text; whole numbers lose their decimals (536365.0 → "536365"), blank is None."""
    if pd.api.types.infer_dtype(values, skipna=True) in ("string", "empty"):
        try:
            arrow = pa.Array.from_pandas(values.astype(object), type=pa.string())
        except UnicodeEncodeError:  # a lone surrogate, which no file can hold
            return _one_by_one(values, _text)
        blank = pc.equal(pc.binary_length(pc.utf8_trim_whitespace(arrow)), 0)
        kept = pc.if_else(pc.fill_null(blank, False), pa.scalar(None, pa.string()), arrow)
        return pd.Series(kept.to_pandas(), dtype=object), np.ones(len(values), dtype=bool)
    return _one_by_one(values, _text)


def numbers(values: pd.Series) -> Cast:
    """Finite float64; the words "nan" and "inf" and an explicit NaN are no numbers.

    A NaN is explicit where the source also says None for absent values (JSON does); in a
    column of floats NaN is the only way to say absent.
    """
    present = values.notna().to_numpy()
    if pd.api.types.is_bool_dtype(values):
        return pd.Series(np.nan, index=values.index), ~present
    if pd.api.types.is_numeric_dtype(values):
        read = values.astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
        readable = ~np.isinf(read)
        return pd.Series(np.where(readable, read, np.nan), index=values.index), readable
    if pd.api.types.infer_dtype(values, skipna=True) not in ("string", "empty"):
        read_values, readable = _one_by_one(values, _number)
        read_values = read_values.astype(np.float64)
    else:
        read_values = pd.to_numeric(values.astype(object), errors="coerce").astype(np.float64)
        read_values = read_values.where(~np.isinf(read_values))
        readable = ~present | read_values.notna().to_numpy()
        readable[~readable] = [is_blank(value) for value in values[~readable]]
    return read_values, readable & ~_explicit_nan(values, present)


def moments(values: pd.Series) -> Cast:
    """UTC times at microsecond resolution; without a zone they are UTC. Numbers are no times."""
    if values.dtype.kind == "M" or isinstance(values.dtype, pd.DatetimeTZDtype):
        aware = values.dt.tz_localize("UTC") if values.dt.tz is None else values
        return aware.dt.tz_convert("UTC").astype(MICROSECONDS), np.ones(len(values), dtype=bool)
    present = values.notna().to_numpy()
    if pd.api.types.is_numeric_dtype(values):
        return pd.Series(pd.NaT, index=values.index, dtype=MICROSECONDS), ~present
    values = values.astype(object)
    if pd.api.types.infer_dtype(values, skipna=True) in ("string", "empty"):
        numeric = np.zeros(len(values), dtype=bool)
    else:
        numeric = np.array([isinstance(value, int | float | np.number) for value in values])
    read = pd.to_datetime(
        values.where(~numeric | ~present), format="ISO8601", utc=True, errors="coerce"
    )
    read = read.astype(MICROSECONDS)
    readable = ~present | read.notna().to_numpy()
    readable[~readable] = [is_blank(value) for value in values[~readable]]
    return read, readable


def truths(values: pd.Series) -> Cast:
    """True, False or None, also from yes/no, 1/0 and the like."""
    if values.dtype == np.bool_:
        return values.astype(object), np.ones(len(values), dtype=bool)
    return _one_by_one(values, _truth)


def attributes(values: pd.Series) -> Cast:
    """JSON objects with sorted keys, from objects or their JSON; None where there is none."""
    return _one_by_one(values, _attributes)


def _one_by_one(values: pd.Series, read: Callable[[object], object]) -> Cast:
    """Apply `read`, which raises ValueError for a value that it cannot read."""
    results: list[object] = []
    readable = np.ones(len(values), dtype=bool)
    for row, value in enumerate(values.tolist()):
        try:
            results.append(None if _is_absent(value) else read(value))
        except (ValueError, OverflowError, RecursionError):
            results.append(None)
            readable[row] = False
    return pd.Series(results, index=values.index, dtype=object), readable


def _is_absent(value: object) -> bool:
    if value is None or value is pd.NA or value is pd.NaT:
        return True
    return is_blank(value) or (isinstance(value, float) and math.isnan(value))


def is_blank(value: object) -> bool:
    """Text without a character that is seen."""
    return isinstance(value, str) and not value.strip()


def _explicit_nan(values: pd.Series, present: np.ndarray) -> np.ndarray:
    nan = np.zeros(len(values), dtype=bool)
    absent = values[~present]
    if says_none(absent):
        nan[~present] = [isinstance(value, float) for value in absent]
    return nan


def says_none(absent: pd.Series) -> bool:
    """Whether None is among a column's absent values, so that NaN there says something else."""
    return absent.dtype == object and any(value is None for value in absent)


def _text(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, bool) or not isinstance(
        value, str | int | float | np.number | Decimal | UUID
    ):
        raise ValueError("not text")
    text = str(value)
    text.encode()  # UnicodeEncodeError, a ValueError, where no file could hold it
    return text


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float | np.number | Decimal):
        raise ValueError("not a number")
    number = float(value)
    if not math.isfinite(number) or (isinstance(value, str) and "_" in value):
        raise ValueError("not finite")
    return number


def _truth(value: object) -> bool:
    word = str(value).strip().lower()
    if word not in WORDS_OF_TRUTH:
        raise ValueError("neither true nor false")
    return WORDS_OF_TRUTH[word]


def _attributes(value: object) -> str | None:
    content = json.loads(value) if isinstance(value, str) else value
    if not isinstance(content, dict):
        raise ValueError("not a JSON object")
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, default=str)
    text.encode()
    return text if content else None
