"""The parts of the serving benchmark, measured one by one and published together."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks import results

NAME: Final = "serving"
BESIDES: Final = ("benchmark", "machine", "rows", "errors_5xx")
"""What the published JSON holds that is no part's fact."""


RETRIEVAL: Final = "retrieval"
"""The fact that is of several sizes, each measured by itself."""


class OtherMachine(ValueError):  # noqa: N818 - reads as the fact it states
    """Parts that were measured on different machines do not stand in one table."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one part found, or several."""

    rows: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """What was timed → its quantiles; none of a part that times nothing one by one."""
    facts: Mapping[str, Any] = field(default_factory=dict)

    def beside(self, others: "Measured") -> "Measured":
        """With the others' rows and facts where this has none of that name, or size."""
        facts = {**others.facts, **self.facts}
        if RETRIEVAL in facts:
            sizes = {**others.facts.get(RETRIEVAL, {}), **facts[RETRIEVAL]}
            facts[RETRIEVAL] = {size: sizes[size] for size in sorted(sizes, key=int)}
        return Measured({**others.rows, **self.rows}, facts)

    def in_order(self, rows: Sequence[str], facts: Sequence[str]) -> "Measured":
        """By these names first; what they do not name comes after."""
        return Measured(
            {name: self.rows[name] for name in _first(rows, self.rows)},
            {name: self.facts[name] for name in _first(facts, self.facts)},
        )

    @property
    def errors_5xx(self) -> int:
        """Of all parts that counted any."""
        return _errors(self.facts)


def published(folder: Path = results.FOLDER) -> Measured:
    """What is published of all parts.

    Raises OtherMachine where that was not measured on this one.
    """
    path = folder / f"{NAME}.json"
    if not path.exists():
        return Measured()
    stored = json.loads(path.read_text(encoding="utf-8"))
    if stored["machine"] != (here := results.machine()):
        raise OtherMachine(
            f"{path} was measured on {stored['machine']}, this machine is {here}; leave --parts "
            "out, so that all are measured here"
        )
    return Measured(
        {row.pop("what"): row for row in stored["rows"]},
        {name: value for name, value in stored.items() if name not in BESIDES},
    )


def publish(found: Measured, *, title: str, folder: Path = results.FOLDER) -> None:
    """Write all parts' results, and how many errors they met together."""
    results.publish(
        NAME,
        title=title,
        rows=[{"what": what, **taken} for what, taken in found.rows.items()],
        folder=folder,
        **found.facts,
        errors_5xx=found.errors_5xx,
    )


def _errors(facts: Mapping[str, Any]) -> int:
    """Those of facts within facts too."""
    within = (_errors(one) for one in facts.values() if isinstance(one, Mapping))
    return int(facts.get("errors_5xx", 0)) + sum(within)


def _first(names: Sequence[str], among: Mapping[str, Any]) -> list[str]:
    return [*(name for name in names if name in among), *(n for n in among if n not in names)]
