"""What a suite says about one expectation, and the list that a suite is built from."""

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from validation import tables
from validation.errors import GateError, SuiteError
from validation.tables import Table

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far ahead of `now` a time may lie: clocks differ."""

HOLD: Final = "column_values.hold"
"""The metric of a check whose column says by itself which rows pass."""
READ: Final = "line_read"
"""Column that says whether the row's line could be read from its file."""
DUPLICATE_ID: Final = "duplicate_id"
"""The check that fails rows which pass every other one but come after such a row of their id."""


class Severity(StrEnum):
    """What a failed check does to the row."""

    BLOCK = "block"
    """The row goes to quarantine."""
    WARN = "warn"
    """The row is accepted and reported."""


@dataclass(frozen=True, slots=True)
class Check:
    """What a suite says about one of its expectations."""

    name: str
    column: str
    """The raw column whose value the sentence shows."""
    severity: Severity
    sentence: str


def as_meta(check: Check) -> dict[str, Any]:
    """What an expectation carries in its `meta` of a check."""
    return {**asdict(check), "severity": str(check.severity)}


def check_of(meta: dict[str, Any]) -> Check:
    """The check that an expectation carries in its `meta`."""
    return Check(meta["name"], meta["column"], Severity(meta["severity"]), meta["sentence"])


def readable(column: str) -> str:
    """Name of the column that says whether the raw value of `column` could be read."""
    return f"{column}_readable"


class Checklist:
    """Collects a suite's expectations, each with its check in `meta`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._expectations: list[Any] = []

    def block(self, name: str, about: str, sentence: str, *, kind: str, **kwargs: Any) -> None:
        self._add(Check(name, about, Severity.BLOCK, sentence), kind, kwargs)

    def warn(self, name: str, about: str, sentence: str, *, kind: str, **kwargs: Any) -> None:
        self._add(Check(name, about, Severity.WARN, sentence), kind, kwargs)

    def line_is_read(self, key: str) -> None:
        sentence = "the file's {detail} could not be read; mend its quotes, braces or separators"
        self.block("line_readable", key, sentence, kind="ExpectColumnValuesToHold", column=READ)

    def not_null(self, column: str, sentence: str) -> None:
        kind = "ExpectColumnValuesToNotBeNull"
        self.block(f"{column}_present", column, sentence, kind=kind, column=column)

    def not_after(self, column: str, now: datetime, present: Collection[str]) -> None:
        if column in present:
            latest = (now + CLOCK_SKEW).isoformat(timespec="seconds")
            self.block(
                f"{column}_not_in_future",
                column,
                f"{column} is {{value}}, later than now ({now.isoformat(timespec='seconds')}); "
                "correct the date, or check the clock and the time zone",
                kind="ExpectMomentsWithin",
                column=column,
                latest=latest,
            )

    def casts(self, table: Table, present: Collection[str]) -> None:
        for column in table.columns:
            if column.name in present:
                self.block(
                    f"{column.name}_readable",
                    column.name,
                    f"{column.name} is {{value}}; expected {_wanted(column.name, column.dtype)}",
                    kind="ExpectColumnValuesToHold",
                    column=readable(column.name),
                )

    def extend(self, expectations: Iterable[Any]) -> None:
        """Add expectations that carry their check already. Raises SuiteError for a name twice."""
        names = {one.meta["name"] for one in self._expectations}
        for one in expectations:
            if one.meta["name"] in names:
                raise SuiteError(
                    f"{one.meta['name']!r} is the name of two checks of {self._name}; give yours "
                    "another in its meta"
                )
            names.add(one.meta["name"])
            self._expectations.append(one)

    def built(self) -> "ExpectationSuite":
        from great_expectations import ExpectationSuite

        suite = ExpectationSuite(name=self._name, expectations=self._expectations)
        if len(suite.expectations) != len(self._expectations):  # it logs and drops invalid ones
            raise GateError(f"suite {self._name!r} lost a check while it was built")
        return suite

    def _add(self, check: Check, kind: str, kwargs: dict[str, Any]) -> None:
        from great_expectations import expectations as built_in

        from validation import expectations as own

        make = getattr(own, kind) if hasattr(own, kind) else getattr(built_in, kind)
        self._expectations.append(
            make(
                **kwargs,
                description=f"{check.name} ({check.severity}): {check.sentence}",
                meta=as_meta(check),
                severity="critical" if check.severity is Severity.BLOCK else "warning",
            )
        )


def _wanted(column: str, dtype: pa.DataType) -> str:
    if column == tables.ATTRIBUTES:
        return 'a JSON object such as {{"colour": "oak"}}; write one, or leave it empty'
    if column == tables.EVENT_TIMESTAMP:
        return (
            "a date and time such as 2024-05-01T12:00:00Z, or of `seq` a whole number; write it so"
        )
    if pa.types.is_timestamp(dtype):
        return "a date and time such as 2024-05-01T12:00:00Z; write it so"
    if column in (tables.PRICE, tables.UNIT_PRICE):
        return (
            "a number; give a price such as 12.50, or leave it empty; decimal commas are read by "
            'decimal = "," in mapping.toml'
        )
    if pa.types.is_floating(dtype):
        return "a finite number; give one, or leave it empty"
    if pa.types.is_boolean(dtype):
        return "true or false; write one of them, or leave it empty"
    if column == tables.IMAGE_PATH:
        return "the path of one photo; write it as text"
    return "text; write it as text"
