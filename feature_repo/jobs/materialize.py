"""Bring the newest sound offline rows online, over the data's own time range, and prove it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from feature_repo.errors import StoreError
from feature_repo.home import Home
from feature_repo.jobs.feature_gate import hold_back_unsound
from feature_repo.jobs.feature_quality import ViewQuality, as_dicts, feature_quality
from feature_repo.lineage import log_reached
from feature_repo.read_back import ReadBack
from feature_repo.store import MaterializeResult, Store

Progress = Callable[[int, int], None]

SAMPLE = 20
"""Entities of each view that are read back."""


@dataclass(frozen=True, slots=True)
class Materialized:
    """What went online, how much of it was found there, and what a sample read back as."""

    result: MaterializeResult
    read_back: ReadBack
    quality: tuple[ViewQuality, ...]
    """The offline tables against what was accepted."""
    held_back: dict[str, int]
    """View → entities whose vector the gate sent to quarantine instead."""

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            **self.result.as_dict(),
            "read_back": self.read_back.checked,
            "counted": {
                view: count.found
                for view, count in self.read_back.counts.items()
                if count.found is not None
            },
            "quality": as_dicts(self.quality),
            "held_back": self.held_back,
        }


def materialize(
    *,
    home: Home,
    now: datetime | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    views: Sequence[str] | None = None,
    progress: Progress | None = None,
    store: Store | None = None,
) -> Materialized:
    """Materialize each view over its table's time range, or the part of it in [start, end].

    With an `end` before the data's own, online is what was known then. What came after the tables
    were computed is to be pushed again afterwards.

    Args:
        now: when the gate holds back what is unsound; the clock's time unless given.
        store: the store to use, if one is open already.

    Raises:
        StoreError: nothing is registered, an entity is missing online, or a value read online is
            not the offline one.
    """
    since = log_reached(home)
    held_back = hold_back_unsound(home, now=now or datetime.now(UTC), views=views)
    used = store or Store(home)
    result = used.materialize(start, end, views=views, progress=progress)
    proof = used.read_back(views=views, sample=SAMPLE, start=start, end=end, since=since)
    if not proof.agrees:
        raise StoreError(
            f"online is not offline in {len(proof.differences)} count(s) or value(s), of "
            f"{proof.checked} entities compared, first {proof.differences[0]}; "
            "run `coldstart materialize` again"
        )
    return Materialized(result, proof, tuple(feature_quality(home, views)), held_back)
