"""A source through the gate without keeping anything: what an ingest would accept.

The source is read and judged part by part, so that a file of any length is checked in flat memory
(the accepted catalogue, with which it is compared, is held).
"""

from collections.abc import Callable, Iterator
from datetime import datetime

import pandas as pd

from feature_repo.catalogs.source import SourceParts
from validation import gate, tables
from validation.identities import Ids
from validation.reference import Reference
from validation.result import GateResult
from validation.rules import NO_RULES, Rules
from validation.summary import Summary, summary_of

Progress = Callable[[int, int], None]


def check(
    source: SourceParts,
    *,
    known_items: pd.DataFrame | None,
    known_photos: pd.DataFrame | None,
    now: datetime,
    rules: Rules = NO_RULES,
    progress: Progress | None = None,
) -> list[Summary]:
    """What the gate says of the listings and, where there are any, the events.

    Args:
        known_items: the accepted catalogue, canonical, which the listings are compared with; None
            for none.
        known_photos: `item_id` and `fingerprint` of its photos.
        now: time-zone aware; what is later is blocked.
        rules: what the shop adds to the gate.
        progress: told photos opened and listings read, then listings judged and in all; in all is
            0 while nobody knows.
    """
    known = tables.ITEMS.empty() if known_items is None else known_items
    own = known[tables.SOURCE] == source.name  # as an ingest has it, events are of its own listings
    accepted = [Ids.of(known.loc[own, tables.ITEM_ID])]
    told = progress or (lambda done, total: None)
    read = 0

    def counted(parts: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        nonlocal read
        for part in parts:
            yield part
            read += len(part)
            told(read, 0)

    def taken(parts: Iterator[GateResult]) -> Iterator[GateResult]:
        judged = 0
        for part in parts:
            accepted.append(Ids.of(part.accepted[tables.ITEM_ID]))
            yield part
            judged += part.received
            told(judged, read)

    items = summary_of(
        taken(
            gate.items_in_parts(
                counted(source.items),
                reference=Reference.of(known, photos=known_photos),
                source=source.name,
                rules=rules,
                now=now,
                progress=progress,
            )
        )
    )
    if source.events is None:
        return [items]
    return [
        items,
        summary_of(
            gate.events_in_parts(
                source.events,
                known_item_ids=Ids.union(accepted),
                source=source.name,
                rules=rules,
                now=now,
            )
        ),
    ]
