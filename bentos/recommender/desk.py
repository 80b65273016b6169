"""Puts together what the operations page shows, from what the libraries already know.

Nothing here reads an event log. What is cheap is read again after QUICK seconds, what goes through
a whole feature table after SLOW ones; whoever asks in between gets the same answer.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final, Generic, TypeVar
from urllib.parse import quote

from bentos.recommender import measures, payloads
from bentos.recommender.state import Serving
from coldstart_models.experiments.lanes import Lanes
from feature_repo.home import Home

if TYPE_CHECKING:
    from feature_repo.page_tally import PageTally
    from feature_repo.store import Store

QUICK: Final = 3.0
SLOW: Final = 30.0
RUNS: Final = 20
"""Of the gate, that are shown."""
REPORTS: Final = 20
T = TypeVar("T")


@dataclass
class Remembered(Generic[T]):
    """A value that is made again when it is older than so many seconds; one thread makes it."""

    seconds: float
    make: Callable[[], T]
    _kept: tuple[float, T] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def get(self) -> T:
        """The value, made again if need be."""
        with self._lock:
            if self._kept is None or monotonic() - self._kept[0] > self.seconds:
                made = self.make()
                self._kept = (monotonic(), made)
            return self._kept[1]


class Desk:
    """The state of one service. Safe to share between threads."""

    def __init__(self, home: Home, *, store: "Store", serving: Callable[[], Serving]) -> None:
        """What `serving` answers may be another model the next time."""
        self._home, self._store, self._serving = home, store, serving
        self._tally = _tally(home, serving().lanes)
        self._gate = Remembered(QUICK, self._read_gate)
        self._features = Remembered(SLOW, self._read_features)
        self._cold = Remembered(SLOW, self._read_cold)
        self._experiment = Remembered(QUICK, self._read_experiment)

    def state(self, *, refused: tuple[str, str] | None = None) -> payloads.OperationsResponse:
        """What the page shows. Raises FeatureError or ValidationError where a file is broken.

        Args:
            refused: a model that was to be served and is not, and why.
        """
        serving = self._serving()
        return payloads.OperationsResponse(
            read_at=datetime.now(UTC),
            trained_at=serving.contract.trained_at,
            refused_model=refused[0] if refused else None,
            refused_because=refused[1] if refused else None,
            policy=serving.lanes.default.policy_id,
            gate=self._gate.get(),
            features=self._features.get(),
            cold=self._cold.get(),
            experiment=self._experiment.get(),
            answering=_answering(),
            **serving.versions(),
        )

    def warm_up(self) -> None:
        """Go through the pages of before, so that no request does."""
        self._experiment.get()

    def _read_gate(self) -> payloads.GateState:
        from validation import history

        held = {path.stem: _held(path) for path in sorted(self._home.quarantine.glob("*.parquet"))}
        return payloads.GateState(
            runs=[
                payloads.GateRun(
                    checked_at=datetime.fromisoformat(run.checked_at),
                    source=run.source,
                    table=run.table,
                    step=run.step,
                    verdict=run.verdict,
                    received=run.received,
                    accepted=run.accepted,
                    quarantined=run.quarantined,
                    warnings=run.warnings,
                    checks=run.reason_counts,
                )
                for run in history.newest(self._home.gate_results, last=RUNS)
            ],
            held=sum(rows for rows, _ in held.values()),
            held_by_check=[row for _, rows in held.values() for row in rows],
            reports=[
                payloads.ReportFile(
                    name=path.name,
                    path=f"ui/reports/{about}/{quote(path.name)}",
                    about=about,
                    written_at=datetime.fromtimestamp(path.stat().st_mtime, UTC),
                )
                for about, path in report_files(self._home)[:REPORTS]
            ],
        )

    def _read_features(self) -> payloads.FeaturesState:
        from coldstart_models.artifacts import list_models
        from coldstart_models.freshness import registered_views, to_do
        from feature_repo.lineage import lineage_of

        views = []
        for view in registered_views(self._store):
            made = lineage_of(self._home, view.name)
            views.append(
                payloads.FeatureState(
                    view=view.name,
                    rows=view.rows,
                    newest=view.newest,
                    materialized_to=view.materialized_to,
                    made_by=made.made_by,
                    made_at=made.made_at,
                    stale=view.stale,
                )
            )
        return payloads.FeaturesState(
            read_at=datetime.now(UTC),
            views=views,
            do_next=to_do(self._home, list_models(self._home)),
        )

    def _read_cold(self) -> payloads.ColdState:
        from coldstart_models.cold_share import cold_share
        from feature_repo.exposure import item_exposure

        share = cold_share(self._serving().recommender.listings, item_exposure(self._home))
        return payloads.ColdState(
            read_at=datetime.now(UTC),
            listings=share.listings,
            new=share.new,
            unseen=share.unseen,
            learned=share.learned,
            groups=[
                payloads.ColdListings(
                    least=one.least,
                    most=one.most,
                    listings=one.listings,
                    impressions=one.impressions,
                )
                for one in share.groups
            ],
        )

    def _read_experiment(self) -> payloads.ExperimentState | None:
        from feature_repo.page_tally import VariantTally

        lanes = self._serving().lanes
        experiment = lanes.experiment
        if experiment is None or self._tally is None:
            return None
        counted = self._tally.counted()
        return payloads.ExperimentState(
            name=experiment.name,
            share=experiment.share,
            variants=[
                payloads.VariantState(
                    name=name,
                    share=experiment.shares[name],
                    model=lane.recommender.tag,
                    policy=lane.policy_id,
                    personal=lane.personal,
                    pages=counted.get(name, VariantTally()).pages,
                    people=counted.get(name, VariantTally()).people,
                )
                for name, lane in lanes.variants.items()
            ],
        )


def report_files(home: Home) -> list[tuple[str, Path]]:
    """What each kept report is about, and its file; the newest first."""
    found = [
        (about, path)
        for about, folder in (("gate", home.gate_results), ("evaluation", home.reports))
        for path in folder.glob("*.html")
    ]
    return sorted(found, key=lambda one: one[1].stat().st_mtime, reverse=True)


def _tally(home: Home, lanes: Lanes) -> "PageTally | None":
    from feature_repo.page_tally import PageTally

    return PageTally(home, lanes.experiment.name) if lanes.experiment else None


def _held(path: Path) -> tuple[int, list[payloads.HeldRows]]:
    """How many rows of a table wait in quarantine, and by source and check."""
    from validation import quarantine, reasons, tables

    columns = [tables.SOURCE, reasons.CHECKS]
    frame = quarantine.load(path.parent, path.stem, columns=columns)
    counts = frame.explode(reasons.CHECKS).value_counts(columns).reset_index()
    return len(frame), [
        payloads.HeldRows(table=path.stem, source=source, check=check, rows=rows)
        for source, check, rows in counts.itertuples(index=False)
    ]


def _answering() -> payloads.AnsweringState:
    tally = measures.TALLY
    with tally.lock:
        return payloads.AnsweringState(
            started_at=tally.started_at,
            recommended_new=tally.new,
            recommended_known=tally.known,
            fallbacks=dict(tally.fallbacks),
            follow_failures=tally.follow_failures,
        )
