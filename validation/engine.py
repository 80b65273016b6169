"""Runs a suite over a frame with Great Expectations and says which rows failed which check.

The context is ephemeral: nothing is read from or written to disk, nothing is sent. Values
in Great Expectations' results stop at 200, so decisions use the list of failing rows, which
is complete.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from validation.checks import Check, Severity, check_of
from validation.errors import GateError

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite
    from great_expectations.data_context import AbstractDataContext

FRAME: Final = "frame"
LISTED_ROWS: Final = 20
"""Failing rows that a stored result still names; the decisions use all of them."""
RESULT_FORMAT: Final = {"result_format": "COMPLETE", "return_unexpected_index_query": False}


@dataclass(frozen=True, slots=True)
class Finding:
    """One check and the rows that failed it."""

    check: Check
    rows: np.ndarray
    """Labels of the frame's index, ascending."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a suite found in a frame."""

    findings: tuple[Finding, ...]
    """Checks that some row failed, in the suite's order."""
    result: dict[str, Any]
    """Great Expectations' result as JSON, its row lists cut to the first few."""

    def rows(self, severity: Severity) -> np.ndarray:
        """Rows that failed a check of this severity, ascending."""
        return union(found.rows for found in self.findings if found.check.severity is severity)


def union(parts: Iterable[np.ndarray]) -> np.ndarray:
    """The rows that are in any of the parts, ascending."""
    chosen = list(parts)
    return np.unique(np.concatenate(chosen)) if chosen else np.array([], dtype=np.int64)


@cache
def context() -> "AbstractDataContext":
    """This process's context."""
    return new_context()


def new_context() -> "AbstractDataContext":
    """An ephemeral context: silent, offline, without progress bars."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    made = gx.get_context(mode="ephemeral")
    made.enable_analytics(False)
    made.variables.progress_bars = ProgressBarsConfig(globally=False)
    return made


def run(suite: "ExpectationSuite", frame: pd.DataFrame) -> Run:
    """Validate `frame`, whose index holds unique row numbers.

    Raises:
        GateError: a check could not be evaluated.
    """
    asset = _asset(str(suite.name))
    batch = asset.get_batch(asset.build_batch_request(options={"dataframe": frame}))
    validated = batch.validate(suite, result_format=RESULT_FORMAT)
    if len(validated.results) != len(suite.expectations):
        raise GateError(
            f"suite {suite.name!r} has {len(suite.expectations)} checks, of which "
            f"{len(validated.results)} ran"
        )
    findings = []
    for result in validated.results:
        _assert_evaluated(result)
        check = check_of(result.expectation_config.meta)
        rows = result.result.get("unexpected_index_list") or []
        if len(rows) != result.result.get("unexpected_count", 0):
            raise GateError(f"check {check.name!r} counts more rows than it names")
        if rows:
            findings.append(Finding(check, np.array(sorted(rows), dtype=np.int64)))
    return Run(tuple(findings), _shortened(validated.to_json_dict()))


def _asset(name: str) -> Any:
    sources = context().data_sources
    if name not in sources.all():
        return sources.add_pandas(name).add_dataframe_asset(FRAME)
    return sources.get(name).get_asset(FRAME)


def _assert_evaluated(result: Any) -> None:
    raised = result.exception_info or {}
    nested = [info for info in raised.values() if isinstance(info, dict)]
    failures = [info for info in [raised, *nested] if info.get("raised_exception")]
    if failures:
        raise GateError(
            f"check {result.expectation_config.type} could not run: "
            f"{failures[0].get('exception_message')}"
        )


def _shortened(result: dict[str, Any]) -> dict[str, Any]:
    for entry in result["results"]:
        details = entry["result"]
        for name in ("unexpected_index_list", "unexpected_list"):
            if name in details:
                details[name] = details[name][:LISTED_ROWS]
    return result
