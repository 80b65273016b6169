"""The gate: a table → accepted rows, quarantined rows with reasons, a result.

Great Expectations runs the table's suite over the rows, cast to their canonical types, and its
list of failing rows decides. A batch is looked at chunk by chunk, twice: first for what its rows
are to each other, then to judge each. So a batch of any length can be checked in the memory of
one chunk (`items_in_parts`), and what becomes of a row does not depend on the chunks; only a
watermark is told by the photos of the same chunk.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final

import pandas as pd

from validation import comparisons, facts, listing_checks, suites, tables
from validation.coercion import Coerced, coerce
from validation.identities import FirstRows, Ids
from validation.judging import judged, require_columns
from validation.photos import inspect_all
from validation.reference import Reference
from validation.result import GateResult as GateResult
from validation.result import joined
from validation.rules import NO_RULES, Rules
from validation.spool import Spool
from validation.survey import EventBatch, EventSurvey, ItemBatch, ItemSurvey
from validation.tables import Table
from validation.vector_gate import check_embeddings as check_embeddings
from validation.vector_gate import check_pairs as check_pairs

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

CHUNK: Final = 20_000
"""Rows that are judged at once."""

Progress = Callable[[int, int], None]


def check_items(
    frame: pd.DataFrame,
    *,
    known_items: pd.DataFrame | None = None,
    now: datetime,
    source: str | None = None,
    photos: bool = True,
    known_photos: pd.DataFrame | None = None,
    reference: Reference | None = None,
    rules: Rules = NO_RULES,
    progress: Progress | None = None,
) -> GateResult:
    """Check listings.

    Args:
        frame: canonical column names, raw values; other columns are left out.
        known_items: what was accepted before, `item_id`, `source` and what else is known of it;
            an id that another source owns is quarantined, one of the same source is an update.
            Listings are compared with it: a category, price, currency, script or language that it
            does not have is warned of.
        source: value of `source` where the frame has no such column.
        photos: whether to decode the photos.
        known_photos: `item_id` and `fingerprint` of the photos accepted before.
        reference: what `Reference.of` learned of these two, where it is there already.
        rules: what the shop adds.
        progress: told photos done and in all.

    Raises:
        MissingColumnError: there is no `item_id` column.
    """
    paths = frame.get(tables.IMAGE_PATH, pd.Series(dtype=object))
    return joined(
        items_in_parts(
            slices(frame, rules=rules),
            reference=reference or Reference.of(known_items, photos=known_photos),
            now=now,
            source=source,
            photos=int(paths.notna().sum()) if photos else None,
            rules=rules,
            progress=progress,
        )
    )


def items_in_parts(
    parts: Iterable[pd.DataFrame],
    *,
    reference: Reference,
    now: datetime,
    source: str | None = None,
    photos: int | None = 0,
    rules: Rules = NO_RULES,
    progress: Progress | None = None,
) -> Iterator[GateResult]:
    """Check listings that come in parts; one result a part, after all parts were read.

    Args:
        parts: frames of the same columns, at least one, each small enough to hold some copies of.
        photos: how many there are, for `progress`, 0 if nobody knows; None to leave them closed.

    See `check_items` for the other arguments.
    """
    batch, spool = _surveyed_items(
        parts, reference=reference, now=now, source=source, photos=photos, progress=progress
    )
    suite = suites.items(
        now=now,
        present=batch.present,
        photos=photos is not None,
        compared=comparisons.made(photos=photos is not None),
        rules=rules,
    )
    judge = partial(
        _judged_items,
        batch=batch,
        reference=reference,
        suite=suite,
        first_rows=FirstRows(batch.repeated),
        now=now,
    )
    yield from map(judge, spool)


def check_events(
    frame: pd.DataFrame,
    *,
    known_item_ids: Collection[str] | Ids,
    now: datetime,
    source: str | None = None,
    rules: Rules = NO_RULES,
) -> GateResult:
    """Check events; `event_id` may be absent or null, but ids that are given must differ.

    See `check_items` for the arguments.

    Raises:
        MissingColumnError: `user_id`, `item_id`, `event_type` or `event_timestamp` is absent.
    """
    known = Ids.of(known_item_ids)
    return joined(
        events_in_parts(
            slices(frame, rules=rules), known_item_ids=known, now=now, source=source, rules=rules
        )
    )


def events_in_parts(
    parts: Iterable[pd.DataFrame],
    *,
    known_item_ids: Ids,
    now: datetime,
    source: str | None = None,
    rules: Rules = NO_RULES,
) -> Iterator[GateResult]:
    """Check events that come in parts. See `items_in_parts` and `check_events`."""
    batch, spool = _surveyed_events(parts, now=now, source=source)
    judge = partial(
        _judged_events,
        batch=batch,
        known_item_ids=known_item_ids,
        suite=suites.events(now=now, present=batch.present, rules=rules),
        first_rows=FirstRows(batch.repeated),
        now=now,
    )
    yield from map(judge, spool)


def slices(frame: pd.DataFrame, *, rules: Rules = NO_RULES) -> Iterator[pd.DataFrame]:
    """The frame in parts of `CHUNK` rows; as one where a rule compares the rows."""
    rows = CHUNK if rules.row_by_row else max(1, len(frame))
    for start in range(0, max(1, len(frame)), rows):
        yield frame.iloc[start : start + rows]


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Some rows of a batch."""

    raw: pd.DataFrame
    coerced: Coerced
    offset: int
    """Number of the first row in the batch."""
    problems: pd.Series | None = None
    """(n,) what is wrong with each listing's photo, as bits; None where none was opened."""
    fingerprints: pd.Series | None = None


def _surveyed_items(
    parts: Iterable[pd.DataFrame],
    *,
    reference: Reference,
    now: datetime,
    source: str | None,
    photos: int | None,
    progress: Progress | None,
) -> tuple[ItemBatch, Spool[_Chunk]]:
    """Read all parts: what their rows are to each other, and the chunks to be judged."""
    survey, spool = ItemSurvey(reference), Spool[_Chunk]()
    rows = opened = 0
    for frame in parts:
        raw = _raw(frame, tables.ITEMS, (tables.ITEM_ID,), source, now)
        chunk = _Chunk(raw, coerce(raw, tables.ITEMS), rows)
        if photos is not None:
            paths = chunk.coerced.frame[tables.IMAGE_PATH]
            chunk = _with_photos(chunk, paths, done=opened, photos=photos, progress=progress)
            opened += int(paths.notna().sum())
        survey.add(raw, chunk.coerced.frame, chunk.fingerprints)
        spool.add(chunk)
        rows += len(raw)
    return survey.facts(), spool


def _with_photos(
    chunk: _Chunk, paths: pd.Series, *, done: int, photos: int, progress: Progress | None
) -> _Chunk:
    """The chunk with what its photos show.

    Args:
        paths: (n,) of its photos.
        done: photos opened before.
    """

    def told(now_done: int, _: int) -> None:
        if progress is not None:
            progress(done + now_done, photos)

    seen = inspect_all(paths.dropna().tolist(), progress=told)
    prints = [seen[path].fingerprint if path in seen else None for path in paths]
    return replace(
        chunk,
        problems=facts.photo_bits(paths, seen),
        fingerprints=pd.Series(prints, index=paths.index, dtype=object),
    )


def _judged_items(
    chunk: _Chunk,
    *,
    batch: ItemBatch,
    reference: Reference,
    suite: "ExpectationSuite",
    first_rows: FirstRows,
    now: datetime,
) -> GateResult:
    listings = chunk.coerced.frame
    owners = reference.other_owners(listings)
    compared = comparisons.compare(listings, reference, batch, offset=chunk.offset)
    found = {name: facts.holds(listings.index, rows) for name, rows in compared.items()}
    found[suites.OWN] = owners.isna()
    if chunk.problems is not None:
        found[listing_checks.PHOTO] = chunk.problems
    taken = {row: repr(owner) for row, owner in facts.labelled(owners.dropna())}
    return judged(
        tables.ITEMS,
        chunk.raw,
        chunk.coerced,
        found=found,
        suite=suite,
        first_rows=first_rows,
        details={"id_of_another_source": taken, **compared},
        now=now,
        offset=chunk.offset,
        notes=facts.absences(batch.present) if batch.received else (),
        fingerprints=chunk.fingerprints,
    )


def _surveyed_events(
    parts: Iterable[pd.DataFrame], *, now: datetime, source: str | None
) -> tuple[EventBatch, Spool[_Chunk]]:
    """As `_surveyed_items`."""
    required = (tables.USER_ID, tables.ITEM_ID, tables.EVENT_TYPE, tables.EVENT_TIMESTAMP)
    survey, spool = EventSurvey(), Spool[_Chunk]()
    rows = 0
    for frame in parts:
        raw = _raw(frame, tables.EVENTS, required, source, now)
        chunk = _Chunk(raw, coerce(raw, tables.EVENTS), rows)
        survey.add(raw, chunk.coerced.frame)
        spool.add(chunk)
        rows += len(raw)
    return survey.facts(), spool


def _judged_events(
    chunk: _Chunk,
    *,
    batch: EventBatch,
    known_item_ids: Ids,
    suite: "ExpectationSuite",
    first_rows: FirstRows,
    now: datetime,
) -> GateResult:
    events = chunk.coerced.frame
    fast = batch.rates.too_fast(events)
    rated = events[tables.VALUE].notna()
    item_ids = events[tables.ITEM_ID]
    return judged(
        tables.EVENTS,
        chunk.raw,
        chunk.coerced,
        found={
            suites.HUMAN: facts.holds(events.index, fast),
            suites.KNOWN: item_ids.isna() | known_item_ids.has(item_ids),
            suites.RATED: (events[tables.EVENT_TYPE] != tables.RATING) | rated,
        },
        suite=suite,
        first_rows=first_rows,
        details={"user_rate_human": fast},
        now=now,
        offset=chunk.offset,
        notes=batch.gaps,
    )


def _raw(
    frame: pd.DataFrame, table: Table, required: Iterable[str], source: str | None, now: datetime
) -> pd.DataFrame:
    require_columns(frame, table.name, required, now)
    raw = frame.rename(columns=str).reset_index(drop=True)
    return raw if tables.SOURCE in raw else raw.assign(**{tables.SOURCE: source})
