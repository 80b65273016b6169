"""Served requests against the features that training would have joined to them.

Each kept request's entity is joined point-in-time at the moment it was served
(`Store.historical`). What differs was served otherwise than a model would learn it: an event that
came late, a push that did not arrive, or features computed by other code.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from feature_repo.errors import JobError
from feature_repo.event_log import event_log
from feature_repo.feature_tables import ITEM_STATS, USER_HISTORY
from feature_repo.home import Home
from feature_repo.lineage import log_position
from feature_repo.offline_tables import feature_table
from feature_repo.read_back import same
from feature_repo.served_log import Served, read_served
from feature_repo.store import Store
from validation import tables

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Difference:
    """One feature of one entity that was served otherwise than it is joined."""

    served_at: datetime
    endpoint: str
    view: str
    key: str
    feature: str
    served: Any
    joined: Any


@dataclass(frozen=True, slots=True)
class SkewReport:
    """What a replay found."""

    requests: int
    values: int
    """Features compared."""
    differences: tuple[Difference, ...]
    first: datetime | None
    last: datetime | None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "requests": self.requests,
            "values": self.values,
            "first": self.first.isoformat() if self.first else None,
            "last": self.last.isoformat() if self.last else None,
            "differences": [
                {**asdict(one), "served_at": one.served_at.isoformat()} for one in self.differences
            ],
        }


def skew(
    *,
    home: Home,
    since: datetime | None = None,
    limit: int | None = None,
    store: Store | None = None,
    progress: Progress | None = None,
) -> SkewReport:
    """Replay the sample of served requests, or the newest `limit` of those since a moment.

    Raises:
        JobError: the offline tables do not hold all of the log, so that every event after them
            would be a difference.
    """
    served = list(read_served(home, since=since))
    served = served[-limit:] if limit is not None else served
    _require_complete(home, {one.view for one in served})
    by_view: dict[str, list[Served]] = defaultdict(list)
    for one in served:
        by_view[one.view].append(one)
    values, found, used = 0, list[Difference](), store or Store(home)
    for view, requests in by_view.items():
        joined = _joined(view, requests, store=used, progress=progress)
        for one, row in zip(requests, joined, strict=True):
            values += len(one.features)
            found += [
                Difference(one.served_at, one.endpoint, view, one.key, name, value, row[name])
                for name, value in one.features.items()
                if not same(value, row[name])
            ]
    moments = [one.served_at for one in served]
    ordered = sorted(found, key=lambda one: (one.served_at, one.key, one.feature))
    return SkewReport(
        len(served), values, tuple(ordered), min(moments, default=None), max(moments, default=None)
    )


def _joined(
    view: str, requests: Sequence[Served], *, store: Store, progress: Progress | None
) -> list[dict[str, Any]]:
    """The features of each request's entity at its moment, in order."""
    table = feature_table(view)
    names = sorted({name for one in requests for name in one.features})
    asked = pd.DataFrame(
        {
            table.key: [one.key for one in requests],
            tables.EVENT_TIMESTAMP: pd.to_datetime([one.served_at for one in requests], utc=True),
        }
    )
    features = [f"{view}:{name}" for name in names]
    frame = store.historical(asked, features, progress=progress)
    return [
        {name: _plain(row[f"{view}__{name}"]) for name in names}
        for row in frame.to_dict(orient="records")
    ]


def _require_complete(home: Home, views: set[str]) -> None:
    end = event_log(home).state().position
    for view in sorted(views & {USER_HISTORY.name, ITEM_STATS.name}):
        if log_position(home, view) != end:
            raise JobError(
                f"the log has events that {view} does not; run `coldstart aggregate`, then again"
            )


def _plain(value: Any) -> Any:
    """A joined value as JSON would hold it: arrays are lists, NaN and NaT are None."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if value is None or (isinstance(value, float) and value != value) else value
