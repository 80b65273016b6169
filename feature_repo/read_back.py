"""Proof that what stands online is what stands offline: values compared exactly."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from feature_repo.feature_tables import FeatureTable


@dataclass(frozen=True, slots=True)
class Count:
    """Entities of one view."""

    expected: int
    """With a row offline."""
    found: int | None
    """Of these, with values online; None where the online store cannot tell."""


@dataclass(frozen=True, slots=True)
class ReadBack:
    """What reading back showed: every entity counted, a sample compared."""

    checked: int
    """Entities compared."""
    differences: tuple[str, ...]
    """One line for each count or value that differs; empty if all agree."""
    counts: Mapping[str, Count] = field(default_factory=dict)
    """By view."""

    @property
    def counted(self) -> int:
        """Entities found online, of the views whose online store can tell."""
        return sum(count.found or 0 for count in self.counts.values())

    @property
    def agrees(self) -> bool:
        return not self.differences


def shortfall(view: str, count: Count) -> list[str]:
    """A line where entities are missing online."""
    if count.found is None or count.found == count.expected:
        return []
    return [f"{view}: {count.expected} entities offline, {count.found} of them online"]


def differences(
    offline: Sequence[Mapping[str, Any]],
    online: Sequence[Mapping[str, Any]],
    *,
    table: FeatureTable,
) -> list[str]:
    """One line for each feature whose online value is not the offline one."""
    return [
        f"{table.name}.{column.name} of {row[table.key]}: "
        f"offline {row[column.name]!r}, online {values[f'{table.name}__{column.name}']!r}"
        for row, values in zip(offline, online, strict=True)
        for column in table.features
        if not same(row[column.name], values[f"{table.name}__{column.name}"])
    ]


def same(left: Any, right: Any) -> bool:
    """Equal, where NaN equals NaN, and null equals NaN or an empty list (Feast keeps neither)."""
    if isinstance(left, list) or isinstance(right, list):
        left, right = left or [], right or []
        return len(left) == len(right) and all(map(same, left, right))
    if _absent(left) or _absent(right):
        return _absent(left) and _absent(right)
    return bool(left == right)


def _absent(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
