"""A source through the gate without keeping anything: what an ingest would accept."""

from collections.abc import Callable
from datetime import datetime

import pandas as pd

from feature_repo.catalogs.source import SourceData
from feature_repo.home import Home
from feature_repo.jobs.catalogue import accepted_rows
from feature_repo.jobs.event_ids import with_event_ids
from feature_repo.jobs.fingerprints import known_fingerprints
from validation import gate, tables
from validation.result import GateResult
from validation.rules import NO_RULES, Rules

Progress = Callable[[int, int], None]


def check(
    source: SourceData,
    *,
    home: Home | None,
    now: datetime,
    rules: Rules = NO_RULES,
    progress: Progress | None = None,
) -> list[GateResult]:
    """The gate's results for the listings and, where there are any, the events.

    Args:
        home: whose accepted catalogue the listings are compared with; None for none.
        now: time-zone aware; what is later is blocked.
        rules: what the shop adds to the gate.
    """
    known = tables.ITEMS.empty() if home is None else accepted_rows(tables.ITEMS, home.items)
    items = gate.check_items(
        source.items,
        known_items=known,
        source=source.name,
        known_photos=known_fingerprints(home) if home is not None else None,
        rules=rules,
        now=now,
        progress=progress,
    )
    if source.events.empty:
        return [items]
    known_ids = pd.concat([known[tables.ITEM_ID], items.accepted[tables.ITEM_ID]])
    events = gate.check_events(
        with_event_ids(source.events),
        known_item_ids=set(known_ids),
        source=source.name,
        rules=rules,
        now=now,
    )
    return [items, events]
