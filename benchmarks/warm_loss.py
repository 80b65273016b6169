"""What warm items lose by few-shot learning: before and after, alone and among adapted new ones."""

from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch
from scipy import sparse

from benchmarks.pool_ndcg import pool_ndcg
from benchmarks.rehearsed import rehearsal_of
from coldstart_models.data.catalogue import Catalogue, IntArray
from coldstart_models.data.pools import Pool, cold_pool, full_pool, shots_pools, warm_pool
from coldstart_models.data.splits import Split
from coldstart_models.siamese.network import score_task
from coldstart_models.siamese.places import shared_out
from coldstart_models.siamese.preparing import PastItems
from coldstart_models.siamese.ranker import prepared_task
from coldstart_models.siamese.stages import SiameseModel

SHOTS: Final = 10
"""First customers of the new listings among which warm ones are ranked."""
DIGITS: Final = 5


def warm_loss(
    model: SiameseModel, before: SiameseModel, split: Split, catalogue: Catalogue, *, seed: int
) -> dict[str, Any] | None:
    """NDCG@10 of users' later choices of warm items; None where nothing tells them.

    Beside it that of their choices of warm and new items, ranked together: what is a miss of the
    one may be a hit of the other. Among new listings, with and without support differ by the
    adaptation alone: in both, nobody is ranked a listing that he is a first customer of.

    Args:
        model: after meta-training.
        before: the same before it.
    """
    warm = warm_pool(split)
    if warm is None:
        return None
    told = {
        "alone, before meta-training": _alone(before, split, catalogue, warm),
        "alone, after": _alone(model, split, catalogue, warm),
    }
    full = mixed(split, seed=seed)
    if full is not None:
        rehearsal = rehearsal_of(model, split.training_set(catalogue), full)
        with torch.inference_mode():
            weights = model.network.learner.adapt(rehearsal.evidence)
            lifted = rehearsal.adapted(weights)
            new = torch.from_numpy(~split.warm[full.task.candidates])
            scores = {
                "without support": rehearsal.scores.numpy(),
                "with support": shared_out(rehearsal.scores, lifted, new).numpy(),
                "with support, places not held": lifted.numpy(),
            }
        of_warm, users = warm_choices(full, split)
        for whose, pool, rows in (("", of_warm, users), (", all choices", full, slice(None))):
            for how, found in scores.items():
                if len(pool.task.user_index):
                    value = pool_ndcg(found[rows], pool, catalogue).mean()
                    told[f"among new listings{whose}, {how}"] = float(value)
    return {name: round(value, DIGITS) for name, value in told.items()}


def mixed(split: Split, *, seed: int) -> Pool | None:
    """Warm and new items with the new ones' support; the truth is what people chose of both."""
    full, shots = full_pool(split, cold_pool(split)), shots_pools(split, shots=SHOTS, seed=seed)
    if full is None or not shots:
        return None
    task = replace(full.task, support=shots[1].task.support)
    return Pool(full.name, SHOTS, task, full.chosen, full.excluded)


def warm_choices(full: Pool, split: Split) -> tuple[Pool, IntArray]:
    """The pool of those who chose what is warm in it, that being the truth; and their places."""
    cold = ~split.warm[full.task.candidates]
    chosen = full.chosen.multiply(sparse.csr_matrix(~cold[None, :])).tocsr().astype(bool)
    kept = np.flatnonzero(chosen.getnnz(axis=1) > 0)
    pool = Pool(full.name, SHOTS, full.task.of_users(kept), chosen[kept], full.excluded[kept])
    return pool, kept


def _alone(model: SiameseModel, split: Split, catalogue: Catalogue, pool: Pool) -> float:
    """Mean NDCG@10 over the pool's users."""
    training = split.training_set(catalogue)
    items = PastItems.of(training.interactions, model.inputs, model.fitted)
    with torch.inference_mode():
        scores = score_task(model.network, prepared_task(training, items, pool.task))
    return float(pool_ndcg(scores, pool, catalogue).mean())
