"""State folders that real Feast serves: registered, with vectors online."""

import numpy as np
import pandas as pd

from feature_repo.feature_tables import ITEM_VECTOR
from feature_repo.home import Home
from feature_repo.store import Store
from tests.bentos.conftest import LISTED
from validation import tables


def register(home: Home, *, to: str = "online") -> None:
    """Register the features in earnest and keep a vector, so that a service gets ready.

    Args:
        to: where the vector goes; see `hold_a_vector`.
    """
    home.registry.unlink()
    Store(home).apply()
    hold_a_vector(home, to=to)


def hold_a_vector(home: Home, *, to: str = "online") -> None:
    """Keep a vector of the chair, of a model that nobody serves.

    Args:
        to: as of `Store.push`. A service that starts over an offline one makes the chair's anew.
    """
    rows = {"item_id": ["chair"], "vector": [np.ones(2, np.float32)], "model": ["another"]}
    rows[tables.EVENT_TIMESTAMP] = [LISTED]
    Store(home).push(ITEM_VECTOR.name, pd.DataFrame(rows), now=LISTED, to=to)
