"""What a suite finds in a few rows, by the metrics that its checks judge by and nothing else.

A validation of one event takes Great Expectations as long as one of a thousand, some 160 ms: it
counts, lists and renders for the report of every check what nobody reads of a message. Here it
computes one metric a check, its condition, all in one graph over the same frame, and none of a fact
that was looked up before and holds of every row. What is found is what `engine.run` finds; there is
no result to report. Suites with an expectation that does not judge row by row alone are run in
full.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from validation.checks import HOLD, check_of
from validation.engine import Finding, Run, context, run
from validation.errors import GateError

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

BATCH: Final = "rows"
"""Name of the frame in Great Expectations' engine."""
UNCAUGHT: Final = {"catch_exceptions": False}


def found(suite: "ExpectationSuite", frame: pd.DataFrame) -> Run:
    """As `engine.run`, without its result where that is not needed to judge.

    Raises:
        GateError: a check could not be evaluated.
    """
    if not all(map(by_condition, suite.expectations)):
        return run(suite, frame)
    asked = [one for one in suite.expectations if not _holds(one, frame)]
    if frame.empty or not asked:
        return Run((), {})
    expectations = _by_column(asked)
    findings = []
    for one, failing in zip(expectations, _conditions(expectations, frame), strict=True):
        rows = np.sort(failing.index[failing.to_numpy(dtype=bool)].to_numpy(dtype=np.int64))
        if len(rows):
            findings.append(Finding(check_of(one.meta), rows))
    return Run(tuple(findings), {})


def _holds(expectation: Any, frame: pd.DataFrame) -> bool:
    """Whether a check asks of a fact that holds of every row: nobody fails it."""
    column = getattr(expectation, "column", None)
    return (
        getattr(expectation, "map_metric", None) == HOLD
        and column in frame
        and frame[column].dtype == bool
        and bool(frame[column].all())
    )


def _by_column(expectations: Iterable[Any]) -> list[Any]:
    """In the order in which Great Expectations validates: those of one column together."""
    columns: dict[str | None, list[Any]] = {}
    for one in expectations:
        columns.setdefault(getattr(one, "column", None), []).append(one)
    return [one for group in columns.values() for one in group]


def _conditions(expectations: Sequence[Any], frame: pd.DataFrame) -> list[pd.Series]:
    """For each expectation, which of the rows that it looks at fail it."""
    from great_expectations.exceptions import MetricResolutionError
    from great_expectations.execution_engine import PandasExecutionEngine
    from great_expectations.validator.metrics_calculator import MetricsCalculator

    context()  # says that nothing is to be sent and no progress to be shown
    engine = PandasExecutionEngine(batch_data_dict={BATCH: frame})
    metrics = [_condition(one, engine) for one in expectations]
    try:
        values, aborted = MetricsCalculator(engine, show_progress_bars=False).compute_metrics(
            metrics, runtime_configuration=UNCAUGHT
        )
    except MetricResolutionError as error:
        raise GateError(f"a check could not run: {error}") from error
    if aborted:
        raise GateError(f"{len(aborted)} checks could not run")
    return [values[metric.id][0] for metric in metrics]


def _condition(expectation: Any, engine: Any) -> Any:
    """The metric by which Great Expectations judges: which rows fail."""
    from great_expectations.expectations.registry import get_metric_provider
    from great_expectations.validator.metric_configuration import MetricConfiguration

    name = f"{expectation.map_metric}.condition"
    provider, _ = get_metric_provider(name, engine)
    asked = {
        key: getattr(expectation, key, None)
        for key in (*provider.condition_domain_keys, *provider.condition_value_keys)
    }
    return MetricConfiguration(
        name,
        {key: asked[key] for key in provider.condition_domain_keys} | {"batch_id": BATCH},
        {key: asked[key] for key in provider.condition_value_keys},
    )


def by_condition(expectation: Any) -> bool:
    """Whether an expectation fails the rows of its condition, all of them, and no others."""
    kind: Any = type(expectation)
    return (
        _of_rows(kind)
        and (getattr(expectation, "mostly", None) or 1) == 1
        and not getattr(expectation, "row_condition", None)
        and not _has_parameter(expectation)
    )


def _has_parameter(expectation: Any) -> bool:
    """Whether a value is one that Great Expectations is still to put in."""
    values = (value for name, value in vars(expectation).items() if name != "meta")
    return any(isinstance(value, dict) for value in values)


@cache
def _of_rows(kind: Any) -> bool:
    from great_expectations.expectations import ExpectColumnValuesToNotBeNull
    from great_expectations.expectations.expectation import (
        ColumnMapExpectation,
        MulticolumnMapExpectation,
    )

    return kind is ExpectColumnValuesToNotBeNull or any(
        issubclass(kind, of_rows)
        and kind._validate is of_rows._validate
        and kind.get_validation_dependencies is of_rows.get_validation_dependencies
        for of_rows in (ColumnMapExpectation, MulticolumnMapExpectation)
    )
