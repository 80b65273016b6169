"""Erasing a person everywhere: stores, log, tables, logs of what was served, what items learned.

First the erasure is written down and what the person did before is refused; then the log is
rewritten, and everything else is made of it or filtered. One that was killed is finished by the
next erasure, by a service that starts, or by the same request again. ADR 0021 tells the order.
"""

import time
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from coldstart_models.errors import ErasureError
from coldstart_models.online_push import learn_anew, push_adaptations, push_online, pushing
from feature_repo import listing_changes
from feature_repo.erasure import event_rows, feature_rows, journal, kept_files
from feature_repo.erasure.journal import Erasure
from feature_repo.erasure.tombstones import bury
from feature_repo.event_log import event_log
from feature_repo.feature_tables import ITEM_ACTIVITY, ITEM_ADAPTATION, ITEM_STATS
from feature_repo.home import Home
from feature_repo.jobs.transaction import locked
from feature_repo.listing_changes import Kind
from validation import tables

if TYPE_CHECKING:
    from coldstart_models.recommending import Recommender
    from feature_repo.store import Store

COUNTED_VIEWS: Final = (ITEM_STATS.name, ITEM_ACTIVITY.name)
"""Views of an item that its events alone fill."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was erased where; of the person only a salted hash."""

    user_hash: str
    """HMAC-SHA256 of the id under the state folder's secret salt."""
    erased_at: str
    """Events up to then are refused from here on."""
    erased: dict[str, int]
    """Place → rows, lines or files that went."""
    computed_again: dict[str, int]
    """Feature table → rows of items and categories that counted the person's events."""
    items: int
    """Items of the person's events."""
    adapted_again: int
    """Listings that learned from the person and learned anew from the others."""
    left_online: tuple[str, ...]
    """What of the online store's own files still holds deleted values, and until when."""
    finished_earlier: bool
    """Whether it went on with an erasure that had been killed."""
    seconds: float

    def as_dict(self) -> dict[str, object]:
        """JSON-ready."""
        return asdict(self)


def erase_user(
    user_id: str,
    *,
    home: Home,
    store: "Store",
    recommender: "Recommender | None",
    now: datetime,
) -> Receipt:
    """Erase the person. Asked again it erases what came since, and says so in its receipt.

    Args:
        recommender: forgets, in memory too, what listings learned from the person, and lets them
            learn from the others. None drops what they learned; the next service learns anew.

    Raises ErasureError for an empty id.
    """
    if not user_id:
        raise ErasureError("the user id is empty; give the id under which events come")
    with journal.alone(home):
        resumed = journal.pending(home)
        if resumed is not None and resumed.user_id != user_id:
            _finish(resumed, home=home, store=store, recommender=recommender, resumed=True)
            resumed = None
        erasure = resumed or _begin(user_id, home=home, now=now)
        return _finish(
            erasure, home=home, store=store, recommender=recommender, resumed=resumed is not None
        )


def finish_erasure(
    home: Home, store: "Store", *, recommender: "Recommender | None"
) -> Receipt | None:
    """Finish an erasure that was killed; None where there is none."""
    with journal.alone(home):
        begun = journal.pending(home)
        if begun is None:
            return None
        return _finish(begun, home=home, store=store, recommender=recommender, resumed=True)


def _begin(user_id: str, *, home: Home, now: datetime) -> Erasure:
    """Refuse what the person did, then look at what there is of it.

    Who writes the log read the refusals under the same lock: what an ingest that runs now brings is
    seen here, and what comes later is refused.
    """
    with locked(home.events.parent, wait=True):
        named = bury(home, user_id, now=now)
    with pushing(home):
        erasure = event_rows.described(home, user_id, hash=named, now=now.astimezone(UTC))
        journal.begin(home, erasure)
    return erasure


def _finish(
    erasure: Erasure,
    *,
    home: Home,
    store: "Store",
    recommender: "Recommender | None",
    resumed: bool,
) -> Receipt:
    began = time.perf_counter()
    with pushing(home):
        erasure = event_rows.rewrite_log(home, erasure)
    user, items = erasure.user_id, erasure.item_ids
    event_rows.move_lineage(home, erasure)
    erased = {
        "events": len(erasure.numbers),
        **feature_rows.drop_user(home, user),
        ITEM_ADAPTATION.name: feature_rows.drop_adaptations(home, items),
        "served_requests": kept_files.drop_served(home, user),
        "served_pages": kept_files.drop_pages(home, user, session_ids=erasure.session_ids),
        "quarantine": kept_files.drop_quarantined(home, user),
        "truth": kept_files.drop_truth(home, user),
        "reports": kept_files.drop_reports(home, user),
        "checkpoints": kept_files.drop_checkpoints(home) if erasure.numbers else 0,
    }
    again = feature_rows.compute_again(home, items, now=erasure.moment)
    adapted, left = _bring_online(erasure, home=home, store=store, recommender=recommender)
    if recommender is not None:
        recommender.forget_people()
    receipt = Receipt(
        user_hash=erasure.hash,
        erased_at=erasure.erased_at,
        erased=erased,
        computed_again=again,
        items=len(items),
        adapted_again=len(adapted),
        left_online=left,
        finished_earlier=resumed,
        seconds=round(time.perf_counter() - began, 3),
    )
    journal.finish(home, receipt.as_dict())
    return receipt


def _bring_online(
    erasure: Erasure, *, home: Home, store: "Store", recommender: "Recommender | None"
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Delete the person online, and push what the items' other events say.

    Returns the listings that learned anew, and what of the store still holds deleted values.
    """
    items = erasure.item_ids
    store.remove_online([table.name for table in feature_rows.USER_TABLES], [erasure.user_id])
    adapted: tuple[str, ...] = ()
    if items:
        left = _items_with_events(home, items)
        store.remove_online(COUNTED_VIEWS, [item for item in items if item not in left])
        store.remove_online([ITEM_ADAPTATION.name], items)
        push_online(home, store, recommender=None, now=erasure.moment, item_ids=left)
        if recommender is None:
            learn_anew(home)
        else:
            recommender.forget_adaptations(items)
            listing_changes.record(home, items, kind=Kind.LEARNED)
            adapted = push_adaptations(
                sorted(_items_with_events(home, items, kinds=tables.POSITIVE_EVENT_TYPES)),
                home=home,
                store=store,
                recommender=recommender,
                now=erasure.moment,
            )
    return adapted, tuple(store.forget_deleted())


def _items_with_events(
    home: Home, item_ids: Collection[str], *, kinds: Collection[str] | None = None
) -> set[str]:
    columns = [tables.ITEM_ID, tables.EVENT_TYPE]
    found = event_log(home).find(tables.ITEM_ID, item_ids, columns=columns).to_pandas()
    if kinds is not None:
        found = found[found[tables.EVENT_TYPE].isin(list(kinds))]
    return set(found[tables.ITEM_ID])
