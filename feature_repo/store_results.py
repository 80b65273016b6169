"""What the store says it did and holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class PushTo(StrEnum):
    """Where pushed rows go."""

    ONLINE = "online"
    OFFLINE = "offline"
    BOTH = "online_and_offline"


@dataclass(frozen=True, slots=True)
class MaterializedView:
    """What went online for one view."""

    name: str
    rows: int
    """Entities whose latest row in the range was written."""
    seconds: float
    start: datetime | None
    end: datetime | None


@dataclass(frozen=True, slots=True)
class MaterializeResult:
    """What went online."""

    views: tuple[MaterializedView, ...]

    @property
    def rows(self) -> int:
        return sum(view.rows for view in self.views)

    @property
    def seconds(self) -> float:
        return sum(view.seconds for view in self.views)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready counts by view."""
        return {
            "rows": self.rows,
            "seconds": round(self.seconds, 3),
            "views": {
                view.name: {
                    "rows": view.rows,
                    "seconds": round(view.seconds, 3),
                    "start": view.start.isoformat() if view.start else None,
                    "end": view.end.isoformat() if view.end else None,
                }
                for view in self.views
            },
        }


@dataclass(frozen=True, slots=True)
class RegisteredView:
    """One registered view beside its offline table."""

    name: str
    features: tuple[str, ...]
    rows: int
    keys: int
    newest: datetime | None
    """Newest `event_timestamp` offline."""
    materialized: tuple[datetime, datetime] | None
    """The last materialized interval."""
    stale: bool
    """The table has rows that no materialization covers, or was rewritten since."""


@dataclass(frozen=True, slots=True)
class Registered:
    """What `apply` registered."""

    project: str
    views: tuple[RegisteredView, ...]
    on_demand: tuple[str, ...]
    services: Mapping[str, tuple[str, ...]]
    """Feature service → its features, as ``view__feature``."""
