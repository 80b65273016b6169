"""Events that arrive one batch at a time: gate → log → user and item features → few shots.

The log is written first. Features are then computed from the whole log of the touched users
and items by the same SQL as the batch job, so a batch that arrives twice, or again after a
crash in the middle, ends in the same state. Several processes may take events in at once.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from coldstart_models.errors import NotEnoughData
from coldstart_models.event_stream import SOURCE as STREAM_SOURCE
from coldstart_models.intake import SERVICE_SOURCE, QuarantinedRow, keep_quarantined
from coldstart_models.listed_items import listed_items
from coldstart_models.online_push import push_online, remember_position
from coldstart_models.stage_times import stage
from feature_repo.erasure.tombstones import Tombstones
from feature_repo.errors import StoreLost
from feature_repo.event_log import event_log
from feature_repo.home import Home
from validation import reasons, tables
from validation.checks import DUPLICATE_ID
from validation.rules import NO_RULES, Rules

if TYPE_CHECKING:
    from coldstart_models.recommending import Recommender
    from feature_repo.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EventsResult:
    """What became of a batch: accepted + duplicates + quarantined + refused is what was given."""

    accepted: tuple[str, ...]
    """Event ids that were new."""
    duplicates: tuple[str, ...]
    """Event ids that were known, or came twice in the batch; the first sound one counts."""
    quarantined: tuple[QuarantinedRow, ...]
    user_ids: tuple[str, ...]
    """Users whose features were pushed."""
    adapted: tuple[str, ...]
    """New listings that learned from their first users."""
    refused: tuple[str, ...] = ()
    """Event ids of erased people, from before their erasure; they are kept nowhere."""
    deferred: bool = False
    """Whether the log has them and the features follow, because the online store was lost."""


def event_taker(home: Home, *, rules: Rules = NO_RULES) -> "Callable[[pd.DataFrame], EventsResult]":
    """Takes batches in for a consumer; slow imports are done when this returns.

    It has no model: new listings learn when the service comes past these events.
    """
    from feature_repo.store import Store
    from validation import engine

    store = Store(home)
    store.require_applied()
    event_log(home).warm()
    engine.context()  # Great Expectations takes seconds to import

    def take(events: pd.DataFrame) -> EventsResult:
        now = datetime.now(UTC)
        return take_events(
            events.assign(**{tables.RECEIVED_AT: now}),
            home=home,
            store=store,
            recommender=None,
            now=now,
            source=STREAM_SOURCE,
            rules=rules,
        )

    return take


def take_events(
    events: pd.DataFrame,
    *,
    home: Home,
    store: "Store",
    recommender: "Recommender | None",
    now: datetime,
    source: str = SERVICE_SOURCE,
    rules: Rules = NO_RULES,
    deferrable: bool = False,
) -> EventsResult:
    """Take a batch of raw events in. Known event ids change nothing.

    Args:
        events: canonical event columns with raw values; `event_id` is what makes a batch
            safe to send again.
        recommender: lets new listings learn from their first users; None leaves that to others.
        source: under which name quarantine keeps what is held back.
        rules: what the shop adds to the gate.
        deferrable: where the log has the events and the online store does not take the features,
            leave them to the next `push_online`; by default that is an error.

    Raises:
        NotEnoughData: there is no catalogue yet.
        StoreLost: the online store does not answer, and nothing is deferrable.
        OSError: the log could not be written, its disk being full perhaps; nothing was taken in.
    """
    if not home.items.exists():
        raise NotEnoughData(f"no catalogue at {home.items}; run `coldstart ingest SOURCE` first")
    late = Tombstones.read(home).refused(events)
    refused, events = events[late], events[~late]
    with stage("gate", rows=len(events)):
        accepted, repeats, quarantined = _gated(
            events, home=home, source=source, rules=rules, now=now
        )
    known: set[str] = set()
    if len(accepted):
        with stage("log", rows=len(accepted)):
            remember_position(home)
            known = event_log(home).append(tables.EVENTS.to_arrow(accepted))
    positive = accepted[tables.EVENT_TYPE].isin(tables.POSITIVE_EVENT_TYPES)
    try:
        pushed = push_online(
            home,
            store,
            recommender=recommender,
            now=now,
            user_ids=set(accepted[tables.USER_ID]),
            item_ids=set(accepted[tables.ITEM_ID]),
            chosen=set(accepted.loc[positive, tables.ITEM_ID]),
        )
    except (StoreLost, OSError) as error:
        if not deferrable:
            raise
        log.warning("%d events are in the log, their features follow: %s", len(accepted), error)
        pushed = None
    fresh = accepted[~accepted[tables.EVENT_ID].isin(known)]
    return EventsResult(
        accepted=tuple(fresh[tables.EVENT_ID]),
        duplicates=(*sorted(known), *repeats),
        quarantined=quarantined,
        user_ids=pushed.user_ids if pushed else (),
        adapted=pushed.adapted if pushed else (),
        refused=tuple(map(str, refused[tables.EVENT_ID])),
        deferred=pushed is None,
    )


def _gated(
    events: pd.DataFrame, *, home: Home, source: str, rules: Rules, now: datetime
) -> tuple[pd.DataFrame, list[str], tuple[QuarantinedRow, ...]]:
    """The sound events, the ids that came again after a sound one, and what was held back."""
    from validation import gate

    checked = gate.check_events(
        events,
        known_item_ids=listed_items(home).ids,
        rules=rules,
        now=now,
        reported=False,
        identified=True,
    )
    rows = checked.quarantined
    again = np.array([DUPLICATE_ID in checks for checks in rows[reasons.CHECKS]], dtype=bool)
    bad = replace(checked, quarantined=rows[~again], received=len(events) - int(again.sum()))
    held = keep_quarantined(bad, home=home, source=source, now=now)
    return checked.accepted, rows.loc[again, reasons.KEY].tolist(), held
