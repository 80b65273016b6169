"""Bringing the log's newest events online, also where several processes do so at once.

Two places in the log are kept beside it: up to where the online features are those of the log, and
up to where new listings have learned from their first users (which takes a model, so a service).
They move after a push: what was appended but not pushed, because a process was killed in between,
is pushed by whoever comes next. State is read and pushed under one lock, so an older state never
replaces a newer one. Learning takes a model's time and is not done under it: where another call
wrote what it learned meanwhile, listings learn again.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from coldstart_models.adapting import adapted_rows, known_from
from coldstart_models.feature_rows import item_stats_rows
from coldstart_models.listed_items import listed_items
from coldstart_models.stage_times import stage
from feature_repo import listing_changes
from feature_repo.event_log import event_log
from feature_repo.feature_tables import ITEM_ADAPTATION, ITEM_STATS, USER_HISTORY
from feature_repo.home import Home
from feature_repo.jobs.arrival import EVENT_COLUMNS
from feature_repo.lineage import log_reached
from feature_repo.listing_changes import Kind
from feature_repo.log_state import LogState, Position
from validation import tables
from validation.whole_files import alone, flush, replacing

if TYPE_CHECKING:
    import pandas as pd

    from coldstart_models.recommending import Recommender
    from feature_repo.store import Store

AT_ONCE: Final = 500
"""Users or items whose features are computed together; bounds the memory."""


@dataclass(frozen=True, slots=True)
class Reached:
    """How far of the log is online."""

    features: Position
    adaptations: Position


@dataclass(frozen=True, slots=True)
class Pushed:
    """What went online."""

    user_ids: tuple[str, ...]
    adapted: tuple[str, ...]
    """New listings that learned from their first users."""


def remember_position(home: Home) -> None:
    """Call before appending: what comes after here is to be pushed, whoever lives to do it."""
    event_log(home).begin()
    generation = event_log(home).state().generation
    known = _reached(home)
    if known is not None and known.features.generation == generation:
        return
    with pushing(home):
        end, known = event_log(home).state().position, _reached(home)
        if known is None or known.features.generation != end.generation:
            _keep(home, Reached(end, end))


def push_online(
    home: Home,
    store: "Store",
    *,
    recommender: "Recommender | None",
    now: datetime,
    user_ids: Collection[str] = (),
    item_ids: Collection[str] = (),
    chosen: Collection[str] = (),
    since: Position | None = None,
) -> Pushed:
    """Push the features of some users and items, and of all with events that were not pushed.

    Args:
        recommender: lets new listings learn from their first users; None leaves them.
        user_ids: whose histories to push in any case.
        item_ids: whose statistics to push in any case.
        chosen: items with positive events among them.
        since: push all with events after this place, also if they were pushed before.
    """
    with pushing(home):
        state = event_log(home).state()
        reached = _reached(home) or Reached(state.position, state.position)
        missed = _missed(state, [reached.features, *([since] if since else [])])
        users = sorted({*user_ids, *missed[tables.USER_ID]})
        items = sorted({*item_ids, *missed[tables.ITEM_ID]})
        pushed = list[str]()
        with stage("push", users=len(users), items=len(items)):
            for some_users, some_items in zip_longest(_parts(users), _parts(items), fillvalue=()):
                rows = _of_users(some_users, home=home, now=now)
                pushed += list(rows[USER_HISTORY.name][tables.USER_ID]) if rows else []
                _push(rows | _of_items(some_items, home=home, now=now), store=store, now=now)
            _keep(home, replace(reached, features=state.position))
    adapted: tuple[str, ...] = ()
    if recommender is not None:
        with stage("learn", items=len(chosen)):
            adapted = push_adaptations(
                chosen, home=home, store=store, recommender=recommender, now=now
            )
    return Pushed(tuple(pushed), adapted)


@contextmanager
def caught_up(home: Home, store: "Store", *, now: datetime) -> Iterator[None]:
    """Push again, after a materialization, what came after the offline tables were computed.

    It writes these tables' state over what was pushed since, and has done so in part where it
    failed. Where nobody knows how far of the log they reach, they are taken as complete.
    """
    since = log_reached(home)  # now: `aggregate` may go on meanwhile
    try:
        yield
    finally:
        if event_log(home).exists():
            push_online(home, store, recommender=None, now=now, since=since)


def learn_anew(home: Home) -> None:
    """Let every new listing learn again of the whole log, in whatever service comes next."""
    with pushing(home):
        end, known = event_log(home).state().position, _reached(home)
        _keep(home, Reached(known.features if known else end, Position(end.generation, 0)))


def is_behind(home: Home) -> bool:
    """Whether the log has events that no new listing has learned from."""
    learned = _learned(home)
    return learned is not None and learned != event_log(home).state().position


def push_adaptations(
    chosen: Collection[str],
    *,
    home: Home,
    store: "Store",
    recommender: "Recommender",
    now: datetime,
) -> tuple[str, ...]:
    """Let the new ones of some items, and of all with events that none has learned from, learn.

    What they learned is written if nobody else did since, so an older lesson never replaces a newer
    one.
    """
    while True:
        learned = _learned(home)
        state = event_log(home).state()
        later = _missed(state, [learned] if learned else [])
        positive = later[later[tables.EVENT_TYPE].isin(tables.POSITIVE_EVENT_TYPES)]
        listings = sorted({*chosen, *positive[tables.ITEM_ID]})
        new, rows = adapted_rows(listings, home=home, recommender=recommender)
        with pushing(home):
            if _learned(home) == learned:
                if new:
                    store.push(ITEM_ADAPTATION.name, known_from(rows, now), now=now)
                    listing_changes.record(home, new, kind=Kind.LEARNED)
                reached = _reached(home) or Reached(state.position, state.position)
                _keep(home, replace(reached, adaptations=state.position))
                return new


def _missed(state: LogState, places: Sequence[Position]) -> "pd.DataFrame":
    """Who has events after the first of the places that are in this log."""
    columns = [tables.USER_ID, tables.ITEM_ID, tables.EVENT_TYPE]
    known = [place.rows for place in places if place.generation == state.generation]
    frame: pd.DataFrame = state.after(min(known, default=state.rows), columns).to_pandas()
    return frame


def _of_users(user_ids: Sequence[str], *, home: Home, now: datetime) -> "dict[str, pd.DataFrame]":
    """The newest rows of the users, by view; `aggregate` writes them offline."""
    from feature_repo.jobs.behaviour import USER_BEHAVIOUR, newest_rows

    log = event_log(home).find(tables.USER_ID, user_ids, columns=EVENT_COLUMNS).to_pandas()
    if log.empty:
        return {}
    items = listed_items(home).of(set(log[tables.ITEM_ID]))
    return newest_rows(USER_BEHAVIOUR, log, items=items, now=now)


def _of_items(item_ids: Sequence[str], *, home: Home, now: datetime) -> "dict[str, pd.DataFrame]":
    """The newest rows of the items, by view: of sums where the log is long, else of all events."""
    from feature_repo.jobs.behaviour import ITEM_BEHAVIOUR, newest_rows

    summed = event_log(home).of_items(item_ids)
    if summed is not None:
        return summed.newest_rows(item_ids, now=now)
    log = event_log(home).find(tables.ITEM_ID, item_ids)
    if not log.num_rows:
        return {}
    events = log.select(list(EVENT_COLUMNS)).to_pandas()
    return {
        ITEM_STATS.name: item_stats_rows(log, now=now),
        **newest_rows(ITEM_BEHAVIOUR, events, items=tables.ITEMS.empty(), now=now),
    }


def _push(rows: "Mapping[str, pd.DataFrame]", *, store: "Store", now: datetime) -> None:
    """Bring rows of several views online at once."""
    from feature_repo.local_stores import one_transaction
    from feature_repo.store import PushTo

    with one_transaction():
        for view, newest in rows.items():
            store.push(view, newest, now=now, to=PushTo.ONLINE)


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(ids), AT_ONCE):
        yield ids[first : first + AT_ONCE]


def _reached(home: Home) -> Reached | None:
    try:
        kept = json.loads(home.online_position.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Reached(**{name: Position(**place) for name, place in kept.items()})


def _learned(home: Home) -> Position | None:
    """Up to where new listings have learned; None where nobody wrote it down."""
    reached = _reached(home)
    return reached.adaptations if reached else None


def _keep(home: Home, reached: Reached) -> None:
    if reached != _reached(home):
        with replacing(home.online_position) as partial:
            partial.write_text(json.dumps(asdict(reached)) + "\n", encoding="utf-8")
            flush(partial)  # an older place than the newest is pushed from again, no place is not


@contextmanager
def pushing(home: Home) -> Iterator[None]:
    """Wait until no other process reads the log to push what it says."""
    with alone(home.online_position.with_name(".online_position.lock")):
        yield
