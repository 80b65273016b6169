"""Training histories from the feature store: what each user's history was at a moment."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from coldstart_models.data.catalogue import IntArray
from coldstart_models.data.interactions import Histories, UserEvents, stack_histories
from coldstart_models.data.traits import event_traits, no_traits
from coldstart_models.online_histories import READ
from coldstart_models.ranker import TrainingSet
from validation import tables

if TYPE_CHECKING:
    from feature_repo.store import Store

FEATURES = tuple(f"user_history:{column}" for column in READ)


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
        columns = (found[f"user_history__{column}"] for column in READ)
        return stack_histories([_known(position, *row) for row in zip(*columns, strict=True)])


def _known(
    position: dict[str, int], ids: Any, types: Any, times: Any, quantities: Any, prices: Any
) -> UserEvents:
    """The events on items of the catalogue; none for a stranger."""
    if ids is None or np.ndim(ids) == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), no_traits(0)
    known = np.array([item_id in position for item_id in ids], bool)
    items = np.array([position[item_id] for item_id in np.asarray(ids)[known]], np.int64)
    traits = event_traits(np.asarray(types, object), quantities, prices)
    return items, np.asarray(times, np.int64)[known], traits[known]
