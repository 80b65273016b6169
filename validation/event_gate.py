"""The gate for events: each alone, among the log and on listings that are known."""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final

import pandas as pd

from validation import conditions, engine, facts, suites, tables
from validation.chunks import Chunk, chunks, slices
from validation.identities import FirstRows, Ids
from validation.judging import Judge, judged
from validation.result import GateResult, joined
from validation.rules import NO_RULES, Rules
from validation.spool import Spool
from validation.survey import EventBatch, EventSurvey

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

REQUIRED: Final = (tables.USER_ID, tables.ITEM_ID, tables.EVENT_TYPE, tables.EVENT_TIMESTAMP)


def check_events(
    frame: pd.DataFrame,
    *,
    known_item_ids: Collection[str] | Ids,
    now: datetime,
    source: str | None = None,
    rules: Rules = NO_RULES,
    reported: bool = True,
    identified: bool = False,
) -> GateResult:
    """Check events; `event_id` may be absent or null, but ids that are given must differ.

    See `listing_gate.check_items` for the arguments.

    Args:
        identified: whether every event is to bring its id, for nobody will give it one.
        reported: whether Great Expectations' results are wanted, for a report. The verdicts are
            the same without them; a few rows are judged several times as fast.

    Raises:
        MissingColumnError: `user_id`, `item_id`, `event_type` or `event_timestamp` is absent.
    """
    known = Ids.of(known_item_ids)
    return joined(
        events_in_parts(
            slices(frame, rules=rules),
            known_item_ids=known,
            now=now,
            source=source,
            rules=rules,
            reported=reported,
            identified=identified,
        )
    )


def events_in_parts(
    parts: Iterable[pd.DataFrame],
    *,
    known_item_ids: Ids,
    now: datetime,
    source: str | None = None,
    rules: Rules = NO_RULES,
    reported: bool = True,
    identified: bool = False,
) -> Iterator[GateResult]:
    """Check events that come in parts. See `check_events` for the arguments."""
    batch, spool = _surveyed_events(parts, now=now, source=source)
    judge = partial(
        _judged_events,
        batch=batch,
        known_item_ids=known_item_ids,
        suite=suites.events(now=now, present=batch.present, rules=rules, identified=identified),
        first_rows=FirstRows(batch.repeated),
        now=now,
        judge=engine.run if reported else conditions.found,
    )
    yield from map(judge, spool)


def _surveyed_events(
    parts: Iterable[pd.DataFrame], *, now: datetime, source: str | None
) -> tuple[EventBatch, Spool[Chunk]]:
    """Read all parts: what their rows are to each other, and the chunks to be judged."""
    survey, spool = EventSurvey(now), Spool[Chunk]()
    for chunk in chunks(parts, tables.EVENTS, required=REQUIRED, source=source, now=now):
        survey.add(chunk.raw, chunk.coerced.frame)
        spool.add(chunk)
    return survey.facts(), spool


def _judged_events(
    chunk: Chunk,
    *,
    batch: EventBatch,
    known_item_ids: Ids,
    suite: "ExpectationSuite",
    first_rows: FirstRows,
    now: datetime,
    judge: Judge,
) -> GateResult:
    events = chunk.coerced.frame
    fast = batch.rates.too_fast(events)
    rated = events[tables.VALUE].notna()
    item_ids = events[tables.ITEM_ID]
    return judged(
        tables.EVENTS,
        chunk,
        found={
            suites.HUMAN: facts.holds(events.index, fast),
            suites.KNOWN: item_ids.isna() | known_item_ids.has(item_ids),
            suites.RATED: (events[tables.EVENT_TYPE] != tables.RATING) | rated,
        },
        suite=suite,
        first_rows=first_rows,
        details={"user_rate_human": fast},
        now=now,
        notes=batch.gaps,
        judge=judge,
    )
