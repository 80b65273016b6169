"""A source → through the gate → the catalogue.

Items first, then events on the accepted items. What the gate holds back goes to quarantine,
with its values and reasons. The rows of one source are one unit:

- the same source again **updates** it: rows are inserted or updated by key, and rows the
  source no longer has stay, so that a log may arrive in parts. Of a generated source, and
  of one that comes with another prefix, they go;
- another source is added **beside** it. An item id (or event id) that another source already
  has goes to quarantine: open the source with a prefix;
- ``replace`` starts over: the rows of **all** sources, their quarantine and records go.

Where a source's events have times and an item has no `listed_at`, `jobs.listing_dates` fills it.

All files of the catalogue, its photos' fingerprints and the quarantine change together or not at
all, also where the disk fills up or the process is killed.
"""

import dataclasses
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import pandas as pd

from feature_repo.catalogs import registry
from feature_repo.catalogs.source import Ordering, SourceData
from feature_repo.erasure.tombstones import Tombstones
from feature_repo.errors import JobError
from feature_repo.home import Home
from feature_repo.jobs import transaction
from feature_repo.jobs.catalogue import Catalogue, write
from feature_repo.jobs.event_ids import with_event_ids
from feature_repo.jobs.fingerprints import grown_fingerprints, known_fingerprints
from feature_repo.jobs.listing_dates import listed
from feature_repo.jobs.ownership import without_owned
from feature_repo.jobs.upsert import Upsert, upsert
from feature_repo.sources import SourceRecord
from validation import history, quarantine, tables
from validation.checks import Severity
from validation.rules import NO_RULES, Rules
from validation.summary import Summary, summary_of

if TYPE_CHECKING:
    from validation.gate import GateResult

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]

STEP: Final = "ingest"


class Gate(Protocol):
    """What `validation.gate` offers, as far as this job needs it."""

    def check_items(
        self,
        frame: pd.DataFrame,
        *,
        known_items: pd.DataFrame | None,
        now: datetime,
        known_photos: pd.DataFrame | None = None,
        rules: Rules = NO_RULES,
        progress: Progress | None = None,
    ) -> "GateResult": ...

    def check_events(
        self,
        frame: pd.DataFrame,
        *,
        known_item_ids: Collection[str],
        now: datetime,
        rules: Rules = NO_RULES,
    ) -> "GateResult": ...


@dataclass(frozen=True, slots=True)
class TableCounts:
    """What became of one table's rows; received = accepted + quarantined."""

    received: int
    accepted: int
    quarantined: int
    inserted: int
    updated: int
    unchanged: int
    removed: int
    reasons: dict[str, int]
    """Check → rows that it sent to quarantine."""
    warnings: dict[str, int]
    """Check → accepted rows with something to mend."""


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What an ingest did."""

    source: SourceRecord
    replaced: bool
    items: TableCounts
    events: TableCounts
    paths: dict[str, Path]
    checks: tuple["GateResult", ...] = field(repr=False)
    """The gate's results."""
    summaries: tuple[Summary, ...] = field(repr=False)
    """The same, for reports."""
    known_items: pd.DataFrame = field(repr=False)
    """The catalogue as it was before, for reports."""

    def as_dict(self) -> dict[str, Any]:
        """The result as plain JSON values, without the gate's frames."""
        return {
            "source": dataclasses.asdict(self.source),
            "replaced": self.replaced,
            "items": dataclasses.asdict(self.items),
            "events": dataclasses.asdict(self.events),
            "paths": {name: str(path) for name, path in self.paths.items()},
        }


def ingest(
    source: SourceData,
    *,
    home: Home,
    gate: Gate,
    now: datetime,
    spec: str = "",
    prefix: str = "",
    replace: bool = False,
    part: bool = False,
    step: str = STEP,
    rules: Rules = NO_RULES,
    progress: Progress | None = None,
) -> IngestResult:
    """Check a source and put what is accepted into the catalogue.

    Args:
        source: as `catalogs.registry.open_source` read it.
        gate: the module `validation.gate`.
        now: time-zone aware; events after it are held back.
        spec: what `open_source` was given, for the record.
        prefix: what `open_source` put before the item ids, for the record.
        replace: start over, without any other source.
        part: these are some more rows of a source that is known already, whatever its kind:
            its other rows and its record stay.
        step: what the gate's history calls this.
        rules: what the shop adds to the gate.
        progress: told photos checked and photos in all.

    Raises:
        JobError: another folder was ingested under the source's name, the ids do not carry
            `prefix`, or another ingest is running.
    """
    with transaction.locked(home.items.parent):
        return _ingest(
            source,
            home=home,
            gate=gate,
            now=now,
            spec=registry.resolved(spec) if spec else "",
            prefix=prefix,
            replace=replace,
            part=part,
            step=step,
            rules=rules,
            progress=progress,
        )


def _ingest(
    source: SourceData,
    *,
    home: Home,
    gate: Gate,
    now: datetime,
    spec: str,
    prefix: str,
    replace: bool,
    part: bool,
    step: str,
    rules: Rules,
    progress: Progress | None,
) -> IngestResult:
    source = _without_erased(source, home)
    before = Catalogue.read(home, replace=replace)
    _refuse_other_source(source.name, spec, before.records)
    _refuse_unprefixed(source.items, prefix)
    known = before.records.get(source.name)
    whole = not part and (source.generated or (known is not None and known.prefix != prefix))
    photos = None if replace else known_fingerprints(home)
    items_check = gate.check_items(
        source.items,
        known_items=before.items,
        known_photos=photos,
        rules=rules,
        now=now,
        progress=progress,
    )
    events_check = _events_checked(
        source, items_check, before, gate=gate, rules=rules, whole=whole, now=now
    )
    events = upsert(
        tables.EVENTS, before.events, events_check.accepted, source=source.name, whole=whole
    )
    if source.ordering is Ordering.NONE and known is not None and not whole:
        source = dataclasses.replace(source, ordering=known.ordering)  # that of its stored events
    own = before.items[before.items[tables.SOURCE] == source.name]
    earlier = own.iloc[:0] if whole else own
    dated = listed(items_check.accepted, events.rows, source, earlier=earlier, home=home, now=now)
    items = upsert(tables.ITEMS, before.items, dated, source=source.name, whole=whole)
    record = _record(source, items.rows, events.rows, home, spec=spec, prefix=prefix, now=now)
    joined = _grown if part else _with_one_truth
    records = joined(before.records, record)
    fingerprints = grown_fingerprints(items_check, home=home, item_ids=items.rows[tables.ITEM_ID])
    beside = {} if fingerprints is None else {home.photo_fingerprints: fingerprints}
    checks = (items_check, events_check)
    summaries = tuple(summary_of([check]) for check in checks)
    history.record(summaries, folder=home.gate_results, source=source.name, step=step)
    with quarantine.settled(
        checks, folder=home.quarantine, source=source.name, now=now, anew=replace
    ) as held:
        write(home, items.rows, events.rows, source.truth, records, {**beside, **held})
    log.info("ingested %s: %s items, %s events", source.name, record.items, record.events)
    return IngestResult(
        source=record,
        replaced=replace,
        items=_counts(items_check, items, before.dropped_items),
        events=_counts(events_check, events, before.dropped_events),
        paths={
            "items": home.items,
            "events": home.events,
            "sources": home.sources,
            "quarantine": home.quarantine,
        },
        checks=checks,
        summaries=summaries,
        known_items=before.items,
    )


def _without_erased(source: SourceData, home: Home) -> SourceData:
    """The source without what people did before they were erased."""
    gone = Tombstones.read(home)
    late = gone.refused(source.events)
    if late.any():
        log.warning("%d events of erased people are left out of %s", late.sum(), source.name)
        source = dataclasses.replace(source, events=source.events[~late].reset_index(drop=True))
    if source.truth is not None and gone.erased_at:
        users = source.truth[tables.USER_ID]
        erased = [user for user in users.unique() if gone.holds(str(user))]
        if erased:
            source = dataclasses.replace(source, truth=source.truth[~users.isin(erased)])
    return source


def _refuse_other_source(name: str, spec: str, records: Mapping[str, SourceRecord]) -> None:
    """One name for two folders would mix their rows; a folder that moved may come again."""
    known = records[name].spec if name in records else ""
    if not spec or not known or known == spec:
        return
    folder = registry.folder_of(known)
    same_kind = known.partition(":")[0] == spec.partition(":")[0]
    if not same_kind or (folder is not None and folder.exists()):
        raise JobError(
            f"the name {name!r} belongs to {known}, which was ingested before; {spec} needs "
            'another: write source = "…" into its mapping.toml or rename its folder, or start '
            "over with --replace"
        )


def _refuse_unprefixed(items: pd.DataFrame, prefix: str) -> None:
    item_ids = items[tables.ITEM_ID].dropna().astype(str)
    without = item_ids[~item_ids.str.startswith(prefix)]
    if len(without):
        raise JobError(
            f"{len(without)} item ids do not begin with the prefix {prefix!r}, e.g. "
            f"{without.iloc[0]!r}; give the prefix to open_source as well"
        )


def _events_checked(
    source: SourceData,
    items: "GateResult",
    before: Catalogue,
    *,
    gate: Gate,
    rules: Rules,
    whole: bool,
    now: datetime,
) -> "GateResult":
    """The gate's result for the events on this source's items."""
    item_ids = set(items.accepted[tables.ITEM_ID])
    if not whole:
        own = before.items[tables.SOURCE] == source.name
        item_ids.update(before.items.loc[own, tables.ITEM_ID])
    events = with_event_ids(source.events)
    other_events = before.events.loc[
        before.events[tables.SOURCE] != source.name, [tables.EVENT_ID, tables.SOURCE]
    ]
    checked = gate.check_events(events, known_item_ids=item_ids, rules=rules, now=now)
    return without_owned(checked, events, other_events)


def _record(
    source: SourceData,
    items: pd.DataFrame,
    events: pd.DataFrame,
    home: Home,
    *,
    spec: str,
    prefix: str,
    now: datetime,
) -> SourceRecord:
    times = events.loc[events[tables.SOURCE] == source.name, tables.EVENT_TIMESTAMP]
    timed = source.ordering is Ordering.TIME and len(times) > 0
    return SourceRecord(
        name=source.name,
        spec=spec,
        prefix=prefix,
        ordering=source.ordering,
        generated=source.generated,
        items=int((items[tables.SOURCE] == source.name).sum()),
        events=len(times),
        first_event=times.min().isoformat() if timed else None,
        last_event=times.max().isoformat() if timed else None,
        ingested_at=now.astimezone(UTC).isoformat(),
        truth=str(home.truth) if source.truth is not None else None,
    )


def _grown(records: Mapping[str, SourceRecord], record: SourceRecord) -> dict[str, SourceRecord]:
    """The records, one of them with more rows; what has no record, as the service's, gets none."""
    known = records.get(record.name)
    if known is None:
        return dict(records)
    kept = {
        name: getattr(known, name) for name in ("spec", "prefix", "generated", "truth", "ordering")
    }
    return {**records, record.name: dataclasses.replace(record, **kept)}


def _with_one_truth(
    records: Mapping[str, SourceRecord], record: SourceRecord
) -> dict[str, SourceRecord]:
    """The records with `record`; where it brings a truth, no other has one any more."""
    others = {
        name: dataclasses.replace(other, truth=None) if record.truth is not None else other
        for name, other in records.items()
    }
    return {**others, record.name: record}


def _counts(check: "GateResult", change: Upsert, dropped: int) -> TableCounts:
    return TableCounts(
        received=check.received,
        accepted=len(check.accepted),
        quarantined=len(check.quarantined),
        inserted=change.inserted,
        updated=change.updated,
        unchanged=change.unchanged,
        removed=change.removed + dropped,
        reasons=_of_severity(check, Severity.BLOCK),
        warnings=_of_severity(check, Severity.WARN),
    )


def _of_severity(check: "GateResult", severity: Severity) -> dict[str, int]:
    return {
        name: count
        for name, count in check.reason_counts.items()
        if check.severities[name] == severity
    }
