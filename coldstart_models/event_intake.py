"""Events that arrive one batch at a time: gate → log → user and item features → few shots.

The log is written first. Features are then computed from the whole log of the touched users
and items by the same SQL as the batch job, so a batch that arrives twice, or again after a
crash in the middle, ends in the same state.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from coldstart_models.errors import NotEnoughData, UnknownItem
from coldstart_models.intake import (
    SERVICE_SOURCE,
    QuarantinedRow,
    keep_quarantined,
    rows_where,
)
from coldstart_models.user_history import UserHistory
from feature_repo.feature_tables import (
    HISTORY_LENGTH,
    ITEM_ADAPTATION,
    ITEM_STATS,
    USER_HISTORY,
    write_table,
)
from feature_repo.home import Home
from feature_repo.jobs.transaction import locked
from validation import tables
from validation.rules import NO_RULES, Rules

if TYPE_CHECKING:
    from coldstart_models.recommending import Recommender
    from feature_repo.store import Store

MAX_SUPPORT: Final = 10
"""Distinct first users a new listing learns from; more evidence is for the next training."""


@dataclass(frozen=True, slots=True)
class EventsResult:
    """What became of a batch; accepted + duplicates + quarantined is what was given."""

    accepted: tuple[str, ...]
    """Event ids that were new."""
    duplicates: tuple[str, ...]
    """Event ids that were known, or came twice in the batch; the first one counts."""
    quarantined: tuple[QuarantinedRow, ...]
    user_ids: tuple[str, ...]
    """Users whose features were pushed."""
    adapted: tuple[str, ...]
    """New listings that learned from their first users."""


def take_events(
    events: pd.DataFrame,
    *,
    home: Home,
    store: "Store",
    recommender: "Recommender",
    now: datetime,
    rules: Rules = NO_RULES,
) -> EventsResult:
    """Take a batch of raw events in. Known event ids change nothing.

    Args:
        events: canonical event columns with raw values; `event_id` is what makes a batch
            safe to send again.
        rules: what the shop adds to the gate.

    Raises:
        NotEnoughData: there is no catalogue yet.
    """
    from validation import gate

    if not home.items.exists():
        raise NotEnoughData(f"no catalogue at {home.items}; run `coldstart ingest SOURCE` first")
    repeated = events[tables.EVENT_ID].notna() & events[tables.EVENT_ID].duplicated()
    known_items = pq.read_table(home.items, columns=[tables.ITEM_ID])[tables.ITEM_ID].to_pylist()
    checked = gate.check_events(
        events[~repeated].reset_index(drop=True),
        known_item_ids=set(known_items),
        rules=rules,
        now=now,
    )
    quarantined = keep_quarantined(checked, home=home, source=SERVICE_SOURCE, now=now)
    accepted = checked.accepted
    known = _append(accepted, home=home)
    users = _push_histories(accepted, home=home, store=store, now=now)
    _push_stats(accepted, home=home, store=store, now=now)
    adapted = _adapt(accepted, home=home, store=store, recommender=recommender, now=now)
    fresh = accepted[~accepted[tables.EVENT_ID].isin(known)]
    return EventsResult(
        accepted=tuple(fresh[tables.EVENT_ID]),
        duplicates=(*sorted(known), *map(str, events.loc[repeated, tables.EVENT_ID])),
        quarantined=quarantined,
        user_ids=users,
        adapted=adapted,
    )


def _append(accepted: pd.DataFrame, *, home: Home) -> set[str]:
    """Add the events that the log does not hold yet; returns the ids it held."""
    with locked(home.events.parent, wait=True):
        stored = (
            pq.read_table(home.events, schema=tables.EVENTS.schema)
            if home.events.exists()
            else tables.EVENTS.schema.empty_table()
        )
        ids = pa.array(accepted[tables.EVENT_ID], type=pa.string())
        known = set(ids.filter(pa.compute.is_in(ids, stored[tables.EVENT_ID])).to_pylist())
        fresh = accepted[~accepted[tables.EVENT_ID].isin(known)]
        if len(fresh):
            write_table(pa.concat_tables([stored, tables.EVENTS.to_arrow(fresh)]), home.events)
    return known


def _push_histories(
    accepted: pd.DataFrame, *, home: Home, store: "Store", now: datetime
) -> tuple[str, ...]:
    """Bring what the touched users did online; `aggregate` writes it offline."""
    from feature_repo.jobs.behaviour import USER_BEHAVIOUR, newest_rows
    from feature_repo.store import PushTo

    user_ids = sorted(set(accepted[tables.USER_ID]))
    log = rows_where(tables.EVENTS, home.events, column=tables.USER_ID, among=user_ids)
    if log.empty:
        return ()
    items = _items_of(log, home=home)
    rows = newest_rows(USER_BEHAVIOUR, log, items=items, now=now)
    for view, newest in rows.items():
        store.push(view, newest, now=now, to=PushTo.ONLINE)
    return tuple(rows[USER_HISTORY.name][tables.USER_ID])


def _push_stats(accepted: pd.DataFrame, *, home: Home, store: "Store", now: datetime) -> None:
    from coldstart_models.feature_rows import item_stats_rows
    from feature_repo.jobs.behaviour import ITEM_BEHAVIOUR, newest_rows
    from feature_repo.store import PushTo

    item_ids = sorted(set(accepted[tables.ITEM_ID]))
    log = rows_where(tables.EVENTS, home.events, column=tables.ITEM_ID, among=item_ids)
    if len(log):
        rows = item_stats_rows(log, now=now)
        store.push(ITEM_STATS.name, rows, now=now, to=PushTo.ONLINE)
        activity = newest_rows(ITEM_BEHAVIOUR, log, items=tables.ITEMS.empty(), now=now)
        for view, newest in activity.items():
            store.push(view, newest, now=now, to=PushTo.ONLINE)


def _adapt(
    accepted: pd.DataFrame,
    *,
    home: Home,
    store: "Store",
    recommender: "Recommender",
    now: datetime,
) -> tuple[str, ...]:
    """Let each touched new listing learn from its first users, seen as they were before it."""
    positive = accepted[accepted[tables.EVENT_TYPE].isin(tables.POSITIVE_EVENT_TYPES)]
    chosen = sorted(set(positive[tables.ITEM_ID]))
    new = [item_id for item_id in chosen if _is_new(item_id, recommender)]
    for item_id in new:
        first = first_users(item_id, home=home)
        histories = histories_before(first, home=home)
        times = [moment.to_pydatetime() for moment in first[tables.EVENT_TIMESTAMP]]
        row = recommender.adapt(item_id, histories, times=times)
        store.push(ITEM_ADAPTATION.name, known_from(row, now), now=now)
    return tuple(new)


def _is_new(item_id: str, recommender: "Recommender") -> bool:
    """False too for a listing of the catalogue that the model does not serve."""
    try:
        return recommender.is_new(item_id)
    except UnknownItem:
        return False


def first_users(item_id: str, *, home: Home, limit: int = MAX_SUPPORT) -> pd.DataFrame:
    """The first positive event of each of the item's first `limit` users, in time order."""
    log = rows_where(tables.EVENTS, home.events, column=tables.ITEM_ID, among=[item_id])
    positive = log[log[tables.EVENT_TYPE].isin(tables.POSITIVE_EVENT_TYPES)]
    ordered = positive.sort_values(tables.EVENT_TIMESTAMP, kind="stable")
    return ordered.drop_duplicates(tables.USER_ID).head(limit)


def histories_before(support: pd.DataFrame, *, home: Home) -> list[UserHistory]:
    """Each supporter's history strictly before its event, newest last; row order is kept."""
    users = list(support[tables.USER_ID])
    log = rows_where(tables.EVENTS, home.events, column=tables.USER_ID, among=users)
    positive = log[log[tables.EVENT_TYPE].isin(tables.POSITIVE_EVENT_TYPES)]
    by_user = positive.sort_values(tables.EVENT_TIMESTAMP, kind="stable").groupby(tables.USER_ID)
    histories = []
    for user_id, moment in zip(users, support[tables.EVENT_TIMESTAMP], strict=True):
        own = by_user.get_group(user_id)
        seen = own[own[tables.EVENT_TIMESTAMP] < moment].tail(HISTORY_LENGTH)
        histories.append(
            UserHistory(
                item_ids=tuple(seen[tables.ITEM_ID]),
                event_types=tuple(seen[tables.EVENT_TYPE]),
                timestamps=tuple(time.to_pydatetime() for time in seen[tables.EVENT_TIMESTAMP]),
            )
        )
    return histories


def known_from(rows: pd.DataFrame, moment: datetime) -> pd.DataFrame:
    """The rows with `event_timestamp` = moment where they do not say from when they hold."""
    if tables.EVENT_TIMESTAMP in rows.columns:
        return rows
    return rows.assign(**{tables.EVENT_TIMESTAMP: pd.Timestamp(moment)})


def _items_of(log: pd.DataFrame, *, home: Home) -> pd.DataFrame:
    item_ids: Sequence[str] = sorted(set(log[tables.ITEM_ID]))
    return rows_where(tables.ITEMS, home.items, column=tables.ITEM_ID, among=item_ids)
