"""Example recommendations with photos and reasons, for the report and the demo."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow.parquet as pq

from coldstart_models.evaluation_report import Example, ExampleItem
from coldstart_models.online_histories import read_histories
from feature_repo.event_log import event_log
from feature_repo.home import Home
from validation import tables

if TYPE_CHECKING:
    from coldstart_models.recommending import Recommender
    from feature_repo.store import Store

SHOWN_HISTORY = 8


def example_users(home: Home, *, count: int) -> list[str]:
    """Users with a middling number of events, evenly spread; the same for the same log."""
    users = event_log(home).read([tables.USER_ID])[tables.USER_ID].to_pandas()
    counts = users.value_counts().sort_index(kind="stable").sort_values(kind="stable")
    middle = counts.iloc[len(counts) // 4 : max(len(counts) * 3 // 4, len(counts) // 4 + 1)]
    return list(middle.index[:: max(1, len(middle) // count)][:count])


def examples(
    user_ids: Sequence[str],
    *,
    home: Home,
    store: "Store",
    recommender: "Recommender",
    k: int = 5,
) -> list[Example]:
    """What each user chose and what is recommended now.

    Users of whose history no listing is served are left out.
    """
    items = pq.read_table(
        home.items, columns=[tables.ITEM_ID, tables.TITLE, tables.IMAGE_PATH]
    ).to_pandas()
    by_id = items.set_index(tables.ITEM_ID)
    shown = []
    for user_id, history in read_histories(user_ids, store=store).items():
        if not recommender.knows(history):
            continue
        found = recommender.recommend(history, k=k, exclude=set(history.item_ids))
        chosen = list(dict.fromkeys(reversed(history.item_ids)))[:SHOWN_HISTORY]
        shown.append(
            Example(
                user_id,
                [_item(by_id, item_id) for item_id in chosen],
                [_item(by_id, one.item_id, reason=one.reason) for one in found],
            )
        )
    return shown


def _item(items: pd.DataFrame, item_id: str, *, reason: str = "") -> ExampleItem:
    if item_id not in items.index:
        return ExampleItem(item_id, item_id, reason=reason)
    row = items.loc[item_id]
    title, photo = row[tables.TITLE], row[tables.IMAGE_PATH]
    return ExampleItem(
        item_id,
        title if isinstance(title, str) else item_id,
        Path(photo) if isinstance(photo, str) else None,
        reason,
    )
