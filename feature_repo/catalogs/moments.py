"""Times as sources write them, read as UTC where they can be read."""

from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd

from feature_repo.catalogs import raw
from feature_repo.catalogs.source import SourceError

START: Final = pd.Timestamp("2000-01-01", tz="UTC")
"""Time of every event where a source knows no time; its order counts microseconds from here."""

MICROSECONDS: Final = "datetime64[us, UTC]"
EPOCH_DIGITS: Final = r"-?(?:\d{9,18}|[1-8]\d{18})(?:\.\d+)?"
"""Numbers as text that are times; a larger one has no room in 64 bits."""
FREE_FORMATS: Final = ("ISO8601", "mixed")
"""What pandas takes for a format that does not say where an offset stands."""
OFFSET: Final = r"[Tt ]\d\d[\d:.,]* ?(?:[Zz]|[+-]\d\d(?::?\d\d)?)$"
"""Behind a time of day alone: the year of 01-05-2024 is none."""
SMALLEST_EPOCH: Final = 1e8
"""Integers below this (March 1973 in seconds) are an order, not times."""


def moments(
    values: pd.Series,
    *,
    where: str,
    timestamp_format: str | None = None,
    zone: str | None = None,
    more: bool = False,
) -> pd.Series:
    """UTC times at microsecond resolution; a value that cannot be read travels as it is.

    Read are dates and times, ISO 8601 text, `timestamp_format`, and seconds, milli-, micro-
    or nanoseconds since 1970 (told apart by their size). With `timestamp_format` nothing but it
    is read: 20240501 is a day by ``%Y%m%d``. Times without a zone are in `zone`, UTC unless given.

    Args:
        values: the column as it came.
        where: how to name the column in an error, e.g. ``"'date' of log.csv"``.
        more: whether earlier values of the column could be read, so that it holds times.

    Raises:
        SourceError: not one value can be read.
    """
    if isinstance(values.dtype, pd.DatetimeTZDtype) or values.dtype.kind == "M":
        return _in_utc(values, zone, where)
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if numeric and timestamp_format is None:
        read = _since_1970(values, where)
    else:
        read = _read_text(values, timestamp_format, zone, where)
    unread = read.isna() & values.notna()
    if not unread.any():
        return read
    if unread.sum() == values.notna().sum() and not more:
        raise SourceError(
            f"no time in column {where} can be read, e.g. {values[unread].iloc[0]!r}; write "
            'its format into mapping.toml, e.g. timestamp_format = "%d/%m/%Y %H:%M"'
        )
    mixed = read.astype(object)
    mixed[unread] = values.astype(object)[unread]
    return mixed


def in_sequence(values: pd.Series) -> pd.Series:
    """2000-01-01 UTC plus that many microseconds; what is no integer travels as it is."""
    numbers = pd.to_numeric(values, errors="coerce").astype("float64")
    whole = numbers.notna() & (numbers == np.floor(numbers)) & (numbers.abs() < 1e15)
    placed = START.as_unit("us") + pd.to_timedelta(
        numbers.where(whole, 0).astype("int64").astype("timedelta64[us]")
    )
    if whole.all():
        return pd.Series(placed, index=values.index).astype(MICROSECONDS)
    mixed = pd.Series(placed, index=values.index).astype(object)
    mixed[~whole] = values[~whole]
    return mixed


def _in_utc(values: pd.Series, zone: str | None, where: str) -> pd.Series:
    if not isinstance(values.dtype, pd.DatetimeTZDtype):
        # The hour that repeats in autumn counts as winter time; the one spring skips moves on.
        values = values.dt.tz_localize(
            _zone(zone, where),
            ambiguous=np.zeros(len(values), dtype=bool),
            nonexistent="shift_forward",
        )
    in_utc: pd.Series = values.dt.tz_convert("UTC").astype(MICROSECONDS)
    return in_utc


def _zone(name: str | None, where: str) -> ZoneInfo:
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise SourceError(
            f"timezone {name!r} of column {where} is unknown; expected a name such as "
            "'Europe/Amsterdam'"
        ) from error


def _since_1970(values: pd.Series, where: str) -> pd.Series:
    if values.notna().any() and values.abs().max() < SMALLEST_EPOCH:
        raise SourceError(
            f"column {where} holds numbers from {values.min()} to {values.max()}, too small for "
            'times since 1970; if they are an order, write seq = "…" under [events] of '
            "mapping.toml"
        )
    return _from_numbers(values)


def _from_numbers(values: pd.Series) -> pd.Series:
    """Seconds, milli-, micro- or nanoseconds since 1970, by their size.

    Null where there is none, or one that is infinite or has no room in 64 bits.
    """
    sizes = values.astype("Float64").abs().to_numpy(dtype=np.float64, na_value=np.nan)
    known = sizes < 2.0**63
    numbers = values[known].to_numpy(
        dtype="int64" if pd.api.types.is_integer_dtype(values) else "float64"
    )
    size = sizes[known]
    micros = np.select(
        [size < 1e11, size < 1e14, size < 1e17],
        [numbers * 1_000_000, numbers * 1_000, numbers],
        numbers // 1_000,
    )
    result = pd.Series(pd.NaT, index=values.index, dtype=MICROSECONDS)
    result[known] = pd.DatetimeIndex(
        np.rint(micros).astype("int64").astype("datetime64[us]"), tz="UTC"
    )
    return result


def _read_text(
    values: pd.Series, timestamp_format: str | None, zone: str | None, where: str
) -> pd.Series:
    if timestamp_format is not None:
        return _parsed(_numbers_spelled(values), timestamp_format, zone, where)
    text = values.astype("string")
    numbers = text.str.fullmatch(EPOCH_DIGITS).fillna(False).to_numpy(dtype=bool)
    if numbers.all() and len(values):
        return _from_numbers(pd.to_numeric(text))
    result = _parsed(values.where(~numbers), "ISO8601", zone, where)
    if numbers.any():
        result[numbers] = _from_numbers(pd.to_numeric(text[numbers]))
    return result


def _numbers_spelled(values: pd.Series) -> pd.Series:
    """Numbers as the text that a format is of: 20240501 and 20240501.0 → ``"20240501"``."""
    if pd.api.types.infer_dtype(values, skipna=True) in ("string", "empty"):
        return values
    numbers = [isinstance(value, int | float | np.number) for value in values.tolist()]
    return values.astype(object).where(~np.array(numbers, dtype=bool), raw.text(values))


def _parsed(values: pd.Series, written: str, zone: str | None, where: str) -> pd.Series:
    """Times in one format, null where a value has another."""
    parsed = pd.Series(
        pd.to_datetime(values.tolist(), format=written, utc=True, errors="coerce"),
        index=values.index,
    ).astype(MICROSECONDS)
    if zone is None:
        return parsed
    local = _in_utc(parsed.dt.tz_localize(None), zone, where)
    return parsed.where(_with_offset(values, written), local)


def _with_offset(values: pd.Series, written: str) -> np.ndarray:
    """Which times say their zone: a format says it of all, in ISO 8601 each says it by itself."""
    if written not in FREE_FORMATS:
        stated = written.replace("%%", "")
        return np.full(len(values), "%z" in stated or "%Z" in stated)
    offset = values.astype("string").str.contains(OFFSET, regex=True)
    return offset.fillna(False).to_numpy(dtype=bool)
