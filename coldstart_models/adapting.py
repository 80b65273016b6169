"""New listings learn from their first users, as these were before they chose the listing."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

import pandas as pd

from coldstart_models.errors import UnknownItem
from coldstart_models.log_clock import log_clock
from coldstart_models.user_history import UserHistory
from feature_repo.event_log import event_log
from feature_repo.feature_tables import HISTORY_LENGTH
from feature_repo.home import Home
from validation import tables

if TYPE_CHECKING:
    from coldstart_models.recommending import Follower

MAX_SUPPORT: Final = 20
"""Distinct first users a new listing learns from; more evidence is for the next training."""


def adapted_rows(
    chosen: Sequence[str], *, home: Home, recommender: "Follower"
) -> tuple[tuple[str, ...], pd.DataFrame]:
    """The new ones of some chosen listings, and their `item_adaptation` rows.

    The recommender ranks by what they learned from here on.
    """
    new = tuple(item_id for item_id in chosen if _is_new(item_id, recommender))
    if not new:
        return new, pd.DataFrame()
    clock, rows = log_clock(home).now(), []
    for item_id in new:
        first = first_users(item_id, home=home)
        histories = histories_before(first, home=home)
        moments = clock.read(pd.DatetimeIndex(first[tables.EVENT_TIMESTAMP]).as_unit("us").asi8)
        rows.append(recommender.adapt(item_id, histories, moments=moments.tolist()))
    return new, pd.concat(rows, ignore_index=True)


def _is_new(item_id: str, recommender: "Follower") -> bool:
    """False too for a listing of the catalogue that the model does not serve."""
    try:
        return recommender.is_new(item_id)
    except UnknownItem:
        return False


def first_users(item_id: str, *, home: Home, limit: int = MAX_SUPPORT) -> pd.DataFrame:
    """The first positive event of each of the item's first `limit` users, in time order."""
    log = event_log(home).rows_where(tables.ITEM_ID, [item_id])
    positive = log[log[tables.EVENT_TYPE].isin(tables.POSITIVE_EVENT_TYPES)]
    ordered = positive.sort_values(tables.EVENT_TIMESTAMP, kind="stable")
    return ordered.drop_duplicates(tables.USER_ID).head(limit)


def histories_before(support: pd.DataFrame, *, home: Home) -> list[UserHistory]:
    """Each supporter's history strictly before its event, newest last; row order is kept."""
    users = list(support[tables.USER_ID])
    log = event_log(home).rows_where(tables.USER_ID, users)
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
                quantities=tuple(seen[tables.QUANTITY].astype(float)),
                prices=tuple(seen[tables.UNIT_PRICE].astype(float)),
            )
        )
    return histories


def known_from(rows: pd.DataFrame, moment: datetime) -> pd.DataFrame:
    """The rows with `event_timestamp` = moment where they do not say from when they hold."""
    if tables.EVENT_TIMESTAMP in rows.columns:
        return rows
    return rows.assign(**{tables.EVENT_TIMESTAMP: pd.Timestamp(moment)})
