"""Pages that were served: what stood where, with what probability, in which experiment.

One JSON object a line in ``served/pages.jsonl``, beside the sample of requests; every page of a
service that explores or experiments, because a page that is not there biases what is learned of
the others. A line tells enough to ask what another policy would have drawn: the arms' scores, and
the directions in which these are unsure (float16, base64). A visitor stands there by the id under
which events come. The log is bounded: how many pages of which experiment went with its oldest files
stands beside it, because a test that lost its first pages takes later ones for these.
"""

import base64
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feature_repo import rotating_lines
from feature_repo.home import Home
from validation.whole_files import replacing

CURRENT: Final = "pages.jsonl"
LOST: Final = "lost_pages.json"
GIB: Final = 2.0
"""Of disk that a log takes unless told otherwise; some 500,000 explored pages."""
FILE_BYTES: Final = 64 * 1024 * 1024
"""Of one file of such a log; another log's are larger or smaller."""
FILES: Final = 32
"""So many are kept."""
TESTED: Final = re.compile(rb'"experiment": ("(?:[^"\\]|\\.)*")')
"""In a line of a page that is of an experiment; no text within a line's values reads so."""
KIND: Final = "served page"
DECIMALS: Final = 6

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ServedPage:
    """One page, from the top."""

    page_id: str
    served_at: datetime
    user_id: str | None
    session_id: str | None
    """Of a visitor without a user id."""
    model: str
    policy: str | None
    """Name and settings of the policy of exploration; None where there was none."""
    experiment: str | None
    variant: str | None
    personal: float | None
    item_ids: tuple[str, ...]
    """Position 1 is the first."""
    propensities: tuple[float, ...]
    """With which each listing got its place, given those above it; 1 where nothing was drawn."""
    explored: tuple[int, ...] = ()
    """Positions, from 1, that were drawn, in the order drawn."""
    drawn: tuple[int, ...] = ()
    """Which arm each of them got, from 0."""
    arm_ids: tuple[str, ...] = ()
    """What could be drawn."""
    arm_scores: Floats | None = None
    """(A,)"""
    arm_directions: Floats | None = None
    """(A, D): what a standard normal vector does to the scores."""

    @property
    def unit(self) -> str | None:
        """Who saw it: ``user:ID``, ``session:ID``, or None where nobody can tell."""
        if self.user_id is not None:
            return f"user:{self.user_id}"
        return f"session:{self.session_id}" if self.session_id is not None else None


class PageLog:
    """Writes one process's pages. Safe to share between threads."""

    def __init__(self, home: Home, *, gib: float = GIB) -> None:
        """GiB of disk that the log may take; then its oldest pages go."""
        self._home, self._path = home, home.served / CURRENT
        self._size = gib / GIB
        self._lock = threading.Lock()

    def keep(self, page: ServedPage) -> None:
        """Add a page."""
        told = {
            "page_id": page.page_id,
            "served_at": page.served_at.astimezone(UTC).isoformat(),
            "user_id": page.user_id,
            "session_id": page.session_id,
            "model": page.model,
            "policy": page.policy,
            "experiment": page.experiment,
            "variant": page.variant,
            "personal": page.personal,
            "item_ids": page.item_ids,
            "propensities": page.propensities,
            "explored": page.explored,
            "drawn": page.drawn,
            "arms": _told_arms(page),
        }
        with self._lock:
            rotating_lines.append(
                self._path,
                told,
                file_bytes=int(FILE_BYTES * self._size),
                files=FILES,
                losing=self._count_lost,
            )

    def _count_lost(self, oldest: Path) -> None:
        """Add a file that goes to what went before; the writers' lock is held."""
        with oldest.open("rb") as lines:
            found = Counter(one[1] for line in lines if (one := TESTED.search(line)))
        if found:
            lost = Counter(_lost(self._home))
            lost.update({json.loads(name): count for name, count in found.items()})
            with replacing(self._home.served / LOST) as partial:
                partial.write_text(json.dumps(lost), encoding="utf-8")


def lost_pages(home: Home, experiment: str) -> int:
    """How many pages of an experiment are no longer in the log, because it was full."""
    return _lost(home).get(experiment, 0)


def _lost(home: Home) -> dict[str, int]:
    try:
        lost: dict[str, int] = json.loads((home.served / LOST).read_bytes())
    except FileNotFoundError:
        return {}
    return lost


def read_pages(home: Home, *, since: datetime | None = None) -> Iterator[ServedPage]:
    """The pages, oldest first. Raises JobError for a line that is not one of ours."""
    path = home.served / CURRENT
    for file, line, told in rotating_lines.read(path, files=FILES, kind=KIND):
        try:
            page = _read(told)
        except (ValueError, KeyError, TypeError) as error:
            raise rotating_lines.not_one(file, line, KIND, error) from error
        if since is None or page.served_at >= since:
            yield page


def _told_arms(page: ServedPage) -> dict[str, Any] | None:
    if page.arm_scores is None or page.arm_directions is None or not page.arm_ids:
        return None
    return {
        "item_ids": page.arm_ids,
        "scores": page.arm_scores.round(DECIMALS).tolist(),
        "directions": base64.b64encode(page.arm_directions.astype("<f2").tobytes()).decode(),
    }


def _read(told: dict[str, Any]) -> ServedPage:
    arms = told["arms"]
    scores = directions = None
    if arms is not None:
        scores = np.array(arms["scores"], dtype=np.float64)
        packed = np.frombuffer(base64.b64decode(arms["directions"]), dtype="<f2")
        directions = packed.reshape(len(scores), -1).astype(np.float64)
    return ServedPage(
        page_id=told["page_id"],
        served_at=datetime.fromisoformat(told["served_at"]),
        user_id=told["user_id"],
        session_id=told["session_id"],
        model=told["model"],
        policy=told["policy"],
        experiment=told["experiment"],
        variant=told["variant"],
        personal=told["personal"],
        item_ids=tuple(told["item_ids"]),
        propensities=tuple(told["propensities"]),
        explored=tuple(told["explored"]),
        drawn=tuple(told["drawn"]),
        arm_ids=tuple(arms["item_ids"]) if arms is not None else (),
        arm_scores=scores,
        arm_directions=directions,
    )
