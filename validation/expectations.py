# ruff: noqa: N805 - Great Expectations hands its metric functions the class, undecorated.
"""Our own Great Expectations expectations, each a yes/no question about every row.

They are vectorised over pandas, look at null themselves where null means something, and
are used from suites built in code: a saved suite that is loaded where this module was not
imported would silently lose them.

The metric of each expectation stands above it. `filter_column_isnull = False` keeps Great
Expectations from copying the frame for every metric.
"""

import re
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import (
    ColumnMapExpectation,
    MulticolumnMapExpectation,
)
from great_expectations.expectations.metrics.map_metric_provider import (
    ColumnMapMetricProvider,
    MulticolumnMapMetricProvider,
    column_condition_partial,
    multicolumn_condition_partial,
)

from validation.checks import HOLD

UNIT_TOLERANCE = 1e-3


class ColumnValuesHold(ColumnMapMetricProvider):
    condition_metric_name = HOLD
    filter_column_isnull = False

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series, **_: Any) -> pd.Series:
        return column.astype(bool)


class ExpectColumnValuesToHold(ColumnMapExpectation):
    """The column says, true or false, whether a fact about the row holds.

    For facts that the row alone does not tell: whether the raw value could be cast,
    whether the item is known, whether another source owns the id.
    """

    map_metric: ClassVar[str] = HOLD


class ColumnMomentsWithin(ColumnMapMetricProvider):
    condition_metric_name = "column_values.moments_within"
    condition_value_keys = ("earliest", "latest")
    filter_column_isnull = False

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(
        cls, column: pd.Series, earliest: str | None, latest: str | None, **_: Any
    ) -> pd.Series:
        outside = pd.Series(False, index=column.index)
        if earliest is not None:
            outside |= column < pd.Timestamp(earliest)
        if latest is not None:
            outside |= column > pd.Timestamp(latest)
        return ~outside


class ExpectMomentsWithin(ColumnMapExpectation):
    """Times lie from `earliest` to `latest` (ISO 8601 with a zone), where given; null passes."""

    earliest: str | None = None
    latest: str | None = None

    map_metric: ClassVar[str] = "column_values.moments_within"
    success_keys: ClassVar[tuple[str, ...]] = ("earliest", "latest", "mostly")


class ColumnTextLacks(ColumnMapMetricProvider):
    condition_metric_name = "column_values.text_lacks"
    condition_value_keys = ("pattern",)
    filter_column_isnull = False

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series, pattern: str, **_: Any) -> pd.Series:
        search = re.compile(pattern).search
        lacks = [not isinstance(text, str) or search(text) is None for text in column]
        return pd.Series(lacks, index=column.index, dtype=bool)


class ExpectTextToLack(ColumnMapExpectation):
    """No text has a place that matches `pattern`; null passes.

    The built-in `ExpectColumnValuesToNotMatchRegex` warns of groups, and copies the frame.
    """

    pattern: str

    map_metric: ClassVar[str] = "column_values.text_lacks"
    success_keys: ClassVar[tuple[str, ...]] = ("pattern", "mostly")


class ColumnValuesWithin(ColumnMapMetricProvider):
    condition_metric_name = "column_values.within"
    condition_value_keys = ("lowest", "highest", "exclusive")
    filter_column_isnull = False

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(
        cls,
        column: pd.Series,
        lowest: float | None,
        highest: float | None,
        exclusive: bool,
        **_: Any,
    ) -> pd.Series:
        outside = pd.Series(False, index=column.index)
        if lowest is not None:
            outside |= (column <= lowest) if exclusive else (column < lowest)
        if highest is not None:
            outside |= column > highest
        return ~outside


class ExpectColumnValuesWithin(ColumnMapExpectation):
    """Numbers lie from `lowest` (itself left out if `exclusive`) to `highest`; null passes.

    The built-in `ExpectColumnValuesToBeBetween` copies the frame four times to drop nulls.
    """

    lowest: float | None = None
    highest: float | None = None
    exclusive: bool = False

    map_metric: ClassVar[str] = "column_values.within"
    success_keys: ClassVar[tuple[str, ...]] = ("lowest", "highest", "exclusive", "mostly")


class ColumnValuesWithoutPhotoProblem(ColumnMapMetricProvider):
    condition_metric_name = "column_values.without_photo_problem"
    condition_value_keys = ("problem",)
    filter_column_isnull = False

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series, problem: int, **_: Any) -> pd.Series:
        return (column & problem) == 0


class ExpectPhotosWithoutProblem(ColumnMapExpectation):
    """No photo has `problem`, a bit of `validation.photos.PhotoProblem`.

    The column holds the bits of the problems found when each photo was decoded once.
    """

    problem: int

    map_metric: ClassVar[str] = "column_values.without_photo_problem"
    success_keys: ClassVar[tuple[str, ...]] = ("problem", "mostly")


class ColumnVectorsSound(ColumnMapMetricProvider):
    condition_metric_name = "column_values.vectors_sound"
    condition_value_keys = ("quality", "width")
    filter_column_isnull = False

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series, quality: str, width: int, **_: Any) -> pd.Series:
        vectors = [value if _is_vector(value) else None for value in column]
        fitting = np.array([v is not None and len(v) == width for v in vectors], dtype=bool)
        if quality == "width":
            return pd.Series(fitting, index=column.index)
        sound = np.ones(len(column), dtype=bool)
        if fitting.any():
            matrix = np.stack([v for v in vectors if v is not None and len(v) == width])
            sound[fitting] = _sound(matrix, quality)
        return pd.Series(sound, index=column.index)


class ExpectVectorsToBe(ColumnMapExpectation):
    """Vectors have one quality: `width` numbers, all finite, not all zero, or unit length.

    A row whose vector has another width fails on `width` alone.
    """

    quality: Literal["width", "finite", "nonzero", "unit"]
    width: int

    map_metric: ClassVar[str] = "column_values.vectors_sound"
    success_keys: ClassVar[tuple[str, ...]] = ("quality", "width", "mostly")


class MulticolumnSomePresent(MulticolumnMapMetricProvider):
    condition_metric_name = "multicolumn_values.some_present"
    condition_domain_keys = ("batch_id", "column_list", "row_condition", "ignore_row_if")

    @multicolumn_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column_list: pd.DataFrame, **_: Any) -> pd.Series:
        return column_list.notna().any(axis=1)


class ExpectSomePresent(MulticolumnMapExpectation):
    """At least one of the columns in `column_list` is not null."""

    map_metric: ClassVar[str] = "multicolumn_values.some_present"
    ignore_row_if: Literal["never"] = "never"


def _is_vector(value: object) -> bool:
    return isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind == "f"


def _sound(matrix: np.ndarray, quality: str) -> np.ndarray:
    """One truth a row; a row that is not finite fails on `finite` alone."""  # (rows, width)
    finite: np.ndarray = np.isfinite(matrix).all(axis=1)
    if quality == "finite":
        return finite
    with np.errstate(invalid="ignore", over="ignore"):
        norms = np.linalg.norm(matrix.astype(np.float64), axis=1)
    sound = norms > 0 if quality == "nonzero" else np.abs(norms - 1) <= UNIT_TOLERANCE
    return np.asarray(sound | ~finite | ((norms == 0) & (quality == "unit")))
