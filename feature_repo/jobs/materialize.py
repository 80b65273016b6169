"""Bring the newest offline rows online, over the data's own time range, and prove it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from feature_repo.errors import StoreError
from feature_repo.home import Home
from feature_repo.jobs.feature_quality import ViewQuality, as_dicts, feature_quality
from feature_repo.read_back import ReadBack
from feature_repo.store import MaterializeResult, Store

Progress = Callable[[int, int], None]

SAMPLE = 20
"""Entities of each view that are read back."""


@dataclass(frozen=True, slots=True)
class Materialized:
    """What went online, and what a sample of it read back as."""

    result: MaterializeResult
    read_back: ReadBack
    quality: tuple[ViewQuality, ...]
    """The offline tables against what was accepted."""

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            **self.result.as_dict(),
            "read_back": self.read_back.checked,
            "quality": as_dicts(self.quality),
        }


def materialize(
    *,
    home: Home,
    start: datetime | None = None,
    end: datetime | None = None,
    views: Sequence[str] | None = None,
    progress: Progress | None = None,
    store: Store | None = None,
) -> Materialized:
    """Materialize each view over its table's time range, or the part of it in [start, end].

    With an `end` before the data's own, online is what was known then.

    Args:
        store: the store to use, if one is open already.

    Raises:
        StoreError: nothing is registered, or a value read online is not the offline one.
    """
    used = store or Store(home)
    result = used.materialize(start, end, views=views, progress=progress)
    proof = used.read_back(views=views, sample=SAMPLE, start=start, end=end)
    if not proof.agrees:
        raise StoreError(
            f"{len(proof.differences)} value(s) of {proof.checked} entities read online are not "
            f"the offline ones, first {proof.differences[0]}; run `coldstart materialize` again"
        )
    return Materialized(result, proof, tuple(feature_quality(home, views)))
