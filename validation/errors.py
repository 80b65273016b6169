"""What can go wrong at the gate.

    ValidationError          what was handed to the gate cannot be judged at all
    ├── TableError           a frame does not have the shape of its table
    │   └── MissingColumnError   a column that no row can do without
    ├── QuarantineError      a quarantine file cannot be read
    └── SuiteError           a suite of the shop's own cannot be used

    GateError                a bug: the gate's own bookkeeping does not add up

A bad *row* is never an error: it goes to quarantine with its reasons. A caller writes::

    try:
        result = gate.check_items(frame, known_items=None, now=now)
    except ValidationError as error:
        sys.exit(str(error))
"""

from collections.abc import Iterable


class ValidationError(ValueError):
    """Root of every error this package raises on purpose."""


class TableError(ValidationError):
    """A frame does not have the shape of a canonical table."""


class MissingColumnError(TableError):
    """A table lacks a column that no row can do without."""

    def __init__(self, table: str, *, missing: Iterable[str], present: Iterable[object]) -> None:
        self.table = table
        self.missing = tuple(missing)
        found = ", ".join(str(name) for name in present) or "no columns at all"
        super().__init__(
            f"the {table} table lacks the column(s) {', '.join(self.missing)}; it has {found}. "
            "Rename the column that holds it, or name it in mapping.toml"
        )


class QuarantineError(ValidationError):
    """A quarantine file exists but cannot be read."""


class SuiteError(ValidationError):
    """A suite of the shop's own is not there, is none, or lost an expectation."""


class GateError(RuntimeError):
    """The gate lost or invented a row, or a check did not run: a bug, not bad data."""
