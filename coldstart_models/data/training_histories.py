"""Training histories from the feature store: what each user's history was at a moment."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from coldstart_models.data.catalogue import IntArray
from coldstart_models.data.interactions import Histories, stack_histories
from coldstart_models.ranker import TrainingSet
from validation import tables

if TYPE_CHECKING:
    from feature_repo.store import Store

FEATURES = ("user_history:history_item_ids", "user_history:history_time_us")


@dataclass(frozen=True, slots=True)
class FeatureHistories:
    """Reads histories by point-in-time join, so that no later event can be in one."""

    store: "Store"
    training: TrainingSet

    def __call__(self, users: IntArray, moment_us: int) -> Histories:
        """Histories of the users strictly before the moment, in the users' order."""
        moment = pd.Timestamp(moment_us, unit="us", tz="UTC")
        asked = pd.DataFrame(
            {
                tables.USER_ID: self.training.interactions.user_ids[users],
                tables.EVENT_TIMESTAMP: moment,
            }
        )
        found = self.store.historical(asked, FEATURES)
        position = self.training.catalogue.position
        return stack_histories(
            [
                _known(position, ids, times)
                for ids, times in zip(
                    found["user_history__history_item_ids"],
                    found["user_history__history_time_us"],
                    strict=True,
                )
            ]
        )


def _known(position: dict[str, int], ids: Any, times: Any) -> tuple[IntArray, IntArray]:
    """Item indexes and times of the events on items of the catalogue; none for a stranger."""
    if ids is None or np.ndim(ids) == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    known = [
        (position[item_id], int(time))
        for item_id, time in zip(ids, times, strict=True)
        if item_id in position
    ]
    pairs = np.array(known, np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]
