"""How well scores rank a pool, person by person."""

import numpy as np
import numpy.typing as npt

from coldstart_models.data.catalogue import Catalogue, FloatMatrix
from coldstart_models.data.pools import Pool
from coldstart_models.metrics import NDCG, USER_METRICS, user_metrics


def pool_ndcg(scores: FloatMatrix, pool: Pool, catalogue: Catalogue) -> npt.NDArray[np.float64]:
    """(U,) NDCG@10 of (U, C) scores."""
    ids = catalogue.item_ids[pool.task.candidates]
    found = user_metrics(scores, pool.chosen.toarray(), ids, excluded=pool.excluded.toarray())
    return found.values[:, USER_METRICS.index(NDCG)]
