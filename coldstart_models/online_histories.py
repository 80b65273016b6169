"""A person's history as the online store holds it: what the recommender ranks by."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from coldstart_models.user_history import UserHistory
from feature_repo.feature_tables import HISTORY_LENGTH, USER_HISTORY
from validation import tables

if TYPE_CHECKING:
    from feature_repo.store import Store

ITEM_IDS: Final = "history_item_ids"
EVENT_TYPES: Final = "history_event_types"
TIME_US: Final = "history_time_us"
QUANTITIES: Final = "history_quantities"
PRICES: Final = "history_prices"
READ: Final = (ITEM_IDS, EVENT_TYPES, TIME_US, QUANTITIES, PRICES)
"""Columns of `user_history` that a request reads."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def read_histories(user_ids: Sequence[str], *, store: "Store") -> dict[str, UserHistory]:
    """user_id → history, newest last. A user without any known event is left out."""
    return histories_of(user_ids, read_rows(user_ids, store=store))


def read_rows(user_ids: Sequence[str], *, store: "Store") -> list[dict[str, Any]]:
    """What the online store holds of each user's history, as ``view__feature``."""
    features = [f"{USER_HISTORY.name}:{column}" for column in READ]
    return store.online(features, [{tables.USER_ID: user_id} for user_id in user_ids])


def histories_of(
    user_ids: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> dict[str, UserHistory]:
    """The rows of `read_rows` as histories."""
    view = USER_HISTORY.name
    return {
        user_id: UserHistory(
            item_ids=tuple(row[f"{view}__{ITEM_IDS}"]),
            event_types=tuple(row[f"{view}__{EVENT_TYPES}"]),
            timestamps=tuple(moment(int(time_us)) for time_us in row[f"{view}__{TIME_US}"]),
            quantities=tuple(float(pieces) for pieces in row[f"{view}__{QUANTITIES}"] or ()),
            prices=tuple(float(price) for price in row[f"{view}__{PRICES}"] or ()),
        )
        for user_id, row in zip(user_ids, rows, strict=True)
        if row[f"{view}__{ITEM_IDS}"]
    }


def extend_history(
    stored: UserHistory | None,
    *,
    item_ids: Sequence[str],
    event_types: Sequence[str],
    timestamps: Sequence[datetime],
) -> UserHistory:
    """A session's events, oldest first, on top of what is stored, the newest HISTORY_LENGTH kept.

    A time without a zone counts as UTC.
    """
    zoned = [time if time.tzinfo else time.replace(tzinfo=UTC) for time in timestamps]
    before = stored or UserHistory((), (), ())
    unknown = (math.nan,) * len(item_ids)
    return UserHistory(
        item_ids=(*before.item_ids, *item_ids)[-HISTORY_LENGTH:],
        event_types=(*before.event_types, *event_types)[-HISTORY_LENGTH:],
        timestamps=(*before.timestamps, *zoned)[-HISTORY_LENGTH:],
        quantities=(*before.quantities, *unknown)[-HISTORY_LENGTH:] if before.quantities else (),
        prices=(*before.prices, *unknown)[-HISTORY_LENGTH:] if before.prices else (),
    )


def moment(time_us: int) -> datetime:
    """µs since 1970 UTC as a time."""
    return EPOCH + timedelta(microseconds=time_us)
