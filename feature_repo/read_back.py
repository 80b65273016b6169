"""Proof that what stands online is what stands offline: values compared exactly."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from feature_repo.feature_tables import FeatureTable


@dataclass(frozen=True, slots=True)
class ReadBack:
    """What a sample read online showed."""

    checked: int
    """Entities compared."""
    differences: tuple[str, ...]
    """One line for each value that differs; empty if all agree."""

    @property
    def agrees(self) -> bool:
        return not self.differences


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
