"""What warm items lose by few-shot learning: before and after, alone and among adapted new ones."""

from typing import Any, Final

import numpy as np
import torch
from scipy import sparse

from coldstart_models.data.catalogue import Catalogue, FloatMatrix
from coldstart_models.data.pools import Pool, cold_pool, full_pool, shots_pools, warm_pool
from coldstart_models.data.splits import Split
from coldstart_models.metrics import NDCG, USER_METRICS, user_metrics
from coldstart_models.ranker import RankingTask, Support
from coldstart_models.siamese.ranker import prepared_task
from coldstart_models.siamese.stages import SiameseModel
from coldstart_models.siamese.training import PastItems, score_task

SHOTS: Final = 10
"""First customers of the new listings among which warm ones are ranked."""
DIGITS: Final = 5


def warm_loss(
    model: SiameseModel, before: SiameseModel, split: Split, catalogue: Catalogue, *, seed: int
) -> dict[str, Any] | None:
    """NDCG@10 of users' later choices of warm items; None where nothing tells them.

    Args:
        model: after meta-training.
        before: the same before it.
    """
    warm = warm_pool(split)
    if warm is None:
        return None
    told = {
        "alone, before meta-training": _ndcg(before, split, catalogue, warm),
        "alone, after": _ndcg(model, split, catalogue, warm),
    }
    full, shots = full_pool(split, cold_pool(split)), shots_pools(split, shots=SHOTS, seed=seed)
    if full is not None and shots:
        cold = ~split.warm[full.task.candidates]
        chosen = full.chosen.multiply(sparse.csr_matrix(~cold[None, :])).tocsr().astype(bool)
        kept = np.flatnonzero(chosen.getnnz(axis=1) > 0)
        among = Pool(full.name, 0, full.task.of_users(kept), chosen[kept], full.excluded[kept])
        support = shots[1].task.support
        told["among new listings, without support"] = _ndcg(model, split, catalogue, among)
        told["among new listings, with support"] = _ndcg(
            model, split, catalogue, among, support=support
        )
    return {name: round(value, DIGITS) for name, value in told.items()}


def _ndcg(
    model: SiameseModel,
    split: Split,
    catalogue: Catalogue,
    pool: Pool,
    *,
    support: Support | None = None,
) -> float:
    """Mean NDCG@10 over the pool's users."""
    task = RankingTask(pool.task.user_index, pool.task.histories, pool.task.candidates, support)
    training = split.training_set(catalogue)
    items = PastItems.of(training.interactions, model.inputs, model.fitted)
    prepared = prepared_task(training, items, task)
    with torch.inference_mode():
        scores: FloatMatrix = score_task(model.network, prepared)
    found = user_metrics(
        scores,
        pool.chosen.toarray(),
        catalogue.item_ids[task.candidates],
        excluded=pool.excluded.toarray(),
    )
    return float(found.values[:, USER_METRICS.index(NDCG)].mean())
