"""What a shop adds to the gate's own checks: banned words, and suites of its own.

A suite of one's own is Great Expectations' JSON (as a GX project keeps it) or a Python function,
``module:function``, that returns an `ExpectationSuite`. Each of its expectations is a check like
ours: its `meta` may say `name`, `severity` (``block`` or ``warn``) and `sentence`; by default it is
named after itself and its column, and warns.
"""

import importlib
import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from validation import tables
from validation.checks import Check, Severity, as_meta
from validation.errors import SuiteError

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

COLUMN_KEYS: Final = ("column", "column_A", "column_B")


@dataclass(frozen=True, slots=True)
class Rules:
    """A shop's additions."""

    banned: tuple[str, ...] = ()
    """Words that no title or description may hold."""
    items: tuple[Any, ...] = ()
    """Expectations on listings, each with its check in `meta`."""
    events: tuple[Any, ...] = ()
    """Expectations on events."""

    @property
    def row_by_row(self) -> bool:
        """Whether each row can be judged without the others."""
        return all(map(_judges_rows, (*self.items, *self.events)))

    @classmethod
    def read(
        cls,
        *,
        banned: Sequence[str] = (),
        items_suite: str | None = None,
        events_suite: str | None = None,
    ) -> "Rules":
        """Read the suites that are named, a JSON file or ``module:function`` each.

        Raises:
            SuiteError: one is not there, is no suite, or lost an expectation on the way.
        """
        return cls(
            tuple(banned),
            own_expectations(items_suite, table=tables.ITEMS.name) if items_suite else (),
            own_expectations(events_suite, table=tables.EVENTS.name) if events_suite else (),
        )


NO_RULES: Final = Rules()


def own_expectations(named: str, *, table: str) -> tuple[Any, ...]:
    """The expectations of a suite, each with its check in `meta`. Raises SuiteError."""
    path = Path(named)
    suite = _from_json(path) if path.suffix == ".json" else _from_python(named)
    known, names = set(tables.TABLES[table].names), Counter[str]()
    return tuple(_with_check(one, named, table, known, names) for one in suite.expectations)


def save_suite(suite: "ExpectationSuite", path: Path) -> Path:
    """Write a suite as JSON that a GX project (and `own_expectations`) reads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps(suite.to_json_dict(), indent=2, ensure_ascii=False)
    path.write_text(f"{content}\n", encoding="utf-8")
    return path


def _from_json(path: Path) -> "ExpectationSuite":
    from great_expectations import ExpectationSuite

    from validation import expectations  # noqa: F401 - makes our expectations known by name

    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        wanted = saved["expectations"]
        with _unlogged(ExpectationSuite.__module__):  # what it drops is told below
            suite = ExpectationSuite(
                name=saved["name"], expectations=wanted, meta=saved.get("meta")
            )
    except FileNotFoundError:
        raise SuiteError(f"there is no suite {path}") from None
    except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise SuiteError(f"{path} is no Great Expectations suite: {error}") from error
    if len(suite.expectations) != len(wanted):
        raise SuiteError(
            f"{path} was saved with {len(wanted)} expectations and loads with "
            f"{len(suite.expectations)}: the others are unknown or malformed; import the module "
            "that defines them, by a `module:function` that returns the suite"
        )
    return suite


@contextmanager
def _unlogged(name: str) -> Iterator[None]:
    """Without what the logger of that name says."""
    logger = logging.getLogger(name)
    disabled, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = disabled


def _from_python(named: str) -> "ExpectationSuite":
    from great_expectations import ExpectationSuite

    module_name, _, function = named.partition(":")
    try:
        made = getattr(importlib.import_module(module_name), function or "suite")()
    except (ImportError, AttributeError) as error:
        raise SuiteError(
            f"no suite {named!r}: {error}; name a .json file or module:function"
        ) from error
    if not isinstance(made, ExpectationSuite):
        raise SuiteError(f"{named} returned {type(made).__name__}, expected an ExpectationSuite")
    return made


def _with_check(
    expectation: Any, named: str, table: str, known: set[str], names: Counter[str]
) -> Any:
    """The expectation with its check in `meta`, made from what it says of itself.

    Args:
        names: how often each default name was given; the second of a kind on a column is ``:2``.
    """
    read = _columns(expectation)
    unknown = sorted(set(read) - known)
    if unknown or not read:
        raise SuiteError(
            f"{named}: {type(expectation).__name__} reads {', '.join(unknown) or 'no column'}; an "
            f"expectation on rows of {table} reads one of {', '.join(sorted(known))}"
        )
    meta = expectation.meta or {}
    kind = type(expectation).__name__
    name = f"{kind}:{read[0]}"
    names[name] += 1
    severity = meta.get("severity", Severity.WARN)
    if severity not in tuple(Severity):
        raise SuiteError(
            f"{named}: the severity of {name} is {severity!r}; write {' or '.join(Severity)} "
            "into its meta"
        )
    check = Check(
        name=str(meta.get("name") or (name if names[name] == 1 else f"{name}:{names[name]}")),
        column=str(meta.get("column") or read[0]),
        severity=Severity(severity),
        sentence=str(
            meta.get("sentence")
            or f"{read[0]} is {{value}}, which {kind} of your own suite does not allow"
        ),
    )
    made = expectation.copy(deep=True)
    made.meta = as_meta(check)
    return made


def _judges_rows(expectation: Any) -> bool:
    """Whether an expectation is a question about a row alone, not about the column or table."""
    from great_expectations import expectations as gxe
    from great_expectations.expectations.expectation import (
        ColumnMapExpectation,
        ColumnPairMapExpectation,
        MulticolumnMapExpectation,
    )

    about_rows = ColumnMapExpectation | ColumnPairMapExpectation | MulticolumnMapExpectation
    comparing = gxe.ExpectColumnValuesToBeUnique | gxe.ExpectCompoundColumnsToBeUnique
    part = (getattr(expectation, "mostly", None) or 1) != 1
    return (
        isinstance(expectation, about_rows) and not isinstance(expectation, comparing) and not part
    )


def _columns(expectation: Any) -> list[str]:
    named = [getattr(expectation, key, None) for key in COLUMN_KEYS]
    listed = getattr(expectation, "column_list", None) or ()
    return [str(name) for name in (*named, *listed) if name]
