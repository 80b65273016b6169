"""The tables that are computed key by key from the log: one SQL each, for job and service."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, Protocol

import pandas as pd

from feature_repo.feature_tables import (
    ITEM_ACTIVITY,
    USER_ACTIVITY,
    USER_AFFINITIES,
    USER_HISTORY,
    USER_SESSION,
    FeatureTable,
    stamped,
)
from feature_repo.jobs.arrival import relations
from feature_repo.jobs.history import history_sql
from feature_repo.jobs.item_behaviour import item_activity_sql
from feature_repo.jobs.user_behaviour import (
    user_activity_sql,
    user_affinities_sql,
    user_session_sql,
)


class BehaviourSql(Protocol):
    """The SQL of one table over relations `events` and `items`.

    `keys` is a condition on the events that keeps all or none of a key's; `last` leaves only each
    key's newest row.
    """

    def __call__(self, *, keys: str = "true", last: bool = False) -> str: ...


BEHAVIOUR_SQL: Final[Mapping[str, BehaviourSql]] = {
    USER_HISTORY.name: history_sql,
    USER_ACTIVITY.name: user_activity_sql,
    USER_SESSION.name: user_session_sql,
    USER_AFFINITIES.name: user_affinities_sql,
    ITEM_ACTIVITY.name: item_activity_sql,
}
"""Table → its SQL. What a row says depends on its own key's events alone."""
USER_BEHAVIOUR: Final = (USER_HISTORY, USER_ACTIVITY, USER_SESSION, USER_AFFINITIES)
ITEM_BEHAVIOUR: Final = (ITEM_ACTIVITY,)


def newest_rows(
    wanted: Sequence[FeatureTable], events: pd.DataFrame, *, items: pd.DataFrame, now: datetime
) -> dict[str, pd.DataFrame]:
    """The newest row of each key in `events`, table by table, as `Store.push` takes it.

    The service calls it when events arrive, with all events so far of the keys they touch.

    Args:
        wanted: tables of one kind of key.
        events: of the canonical columns those that are known, in the log's order.
        items: likewise of the items; those of the events suffice.

    Returns:
        Table → one row a key that has one, by key; bit for bit the row that `aggregate` writes.
    """
    rows = {}
    with relations(events, items) as connection:
        for table in wanted:
            found = connection.sql(BEHAVIOUR_SQL[table.name](last=True)).to_arrow_table()
            rows[table.name] = stamped(found, schema=table.schema, now=now).to_pandas()
    return rows
