"""One cell of the benchmark of shots: a split and a seed, every learner at every k."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch

from benchmarks.pool_ndcg import pool_ndcg
from benchmarks.rehearsed import rehearsal_of
from benchmarks.shots_tables import ONE_POOL, POOLS, UNTAUGHT, WHOLE
from benchmarks.warm_loss import warm_loss
from coldstart_models.data.catalogue import Catalogue, FloatMatrix
from coldstart_models.data.episodes import turns
from coldstart_models.data.pools import Pool, shots_pools
from coldstart_models.data.splits import Split
from coldstart_models.siamese.learners.contest import hold_contest, learn_on_all
from coldstart_models.siamese.learners.demand import Demand
from coldstart_models.siamese.learners.learner import FastWeights, Learner
from coldstart_models.siamese.learners.registry import LEARNERS, build_learner
from coldstart_models.siamese.learners.rehearsal import Rehearsal, launched
from coldstart_models.siamese.problems import past_episodes
from coldstart_models.siamese.stages import fine_tune, pretrain, rehearsals

SHOTS: Final = (1, 3, 5, 10, 20)
LEAST_USERS: Final = 50
LEAST_CANDIDATES: Final = 20
"""A pool with less says nothing."""
DIGITS: Final = 5
VECTOR: Final = "kept, profiles alone"
BIAS: Final = "kept, how they came alone"


def measured(catalogue: Catalogue, split: Split, *, seed: int) -> dict[str, Any]:
    """Train once, let every learner learn, and measure all of them at every k."""
    began = time.process_time()
    training = split.training_set(catalogue)
    episodes = past_episodes(training, seed=seed, by_time=not split.seeded)
    model = pretrain(training, dates=False, seed=seed, by_time=not split.seeded, past=episodes)
    before = model.copied()
    fine_tune(model, training, seed=seed, by_time=not split.seeded, past=episodes)
    modalities = len(model.network.scorer.widths)
    learners = [build_learner(name, modalities=modalities) for name in LEARNERS]
    learning, validation = rehearsals(model, training, episodes, seed=seed)
    model.network.learner, contest = hold_contest(learners, learning, validation)
    taught = [build_learner(name, modalities=modalities) for name in LEARNERS]
    for learner, judged in zip(taught, learners, strict=True):
        learn_on_all(learner, [*learning, *validation], shares_of=judged)
    found = (shots_pools(split, shots=shots, seed=seed) for shots in SHOTS)
    large = [pools[1] for pools in found if pools and _large(pools[1])]
    kept = model.network.learner
    start = as_it_starts(kept.name, [*learning, *validation], modalities=modalities)

    def told(pool: Pool, learners: Sequence[Learner]) -> dict[str, Any]:
        rehearsal = rehearsal_of(model, training, pool)
        return _of_pool(pool, rehearsal, learners, kept, start, catalogue)

    pools = [told(pool, taught) for pool in large]
    fewer = [pool for last in large[-1:] for pool in with_fewer(last) if pool.shots < last.shots]
    return {
        "seed": seed,
        "contest": contest.as_dict(),
        POOLS: pools,
        ONE_POOL: [*(told(pool, []) for pool in fewer), *pools[-1:]],
        "warm": warm_loss(model, before, split, catalogue, seed=seed),
        "seconds": round(time.process_time() - began, 1),
    }


def as_it_starts(name: str, rehearsals: Sequence[Rehearsal], *, modalities: int) -> Learner:
    """A learner whom launches taught nothing but the scales of what it reads."""
    learner = build_learner(name, modalities=modalities)
    for part in learner.modules():
        if isinstance(part, Demand):
            part.standardise(launched(rehearsals))
    return learner


def with_fewer(pool: Pool) -> Iterator[Pool]:
    """A pool with support, for every number of shots up to its own.

    Listings, who ranks them and what is left out of their rankings are the same in all, so that
    nothing but the number of customers known tells them apart.

    Raises ValueError of a pool without support.
    """
    support = pool.task.support
    if support is None:
        raise ValueError(f"pool {pool.name} has no support")
    turn = turns(support.item_index)  # in order, and each item's users as they came
    for shots in (shots for shots in SHOTS if shots <= pool.shots):
        first = np.flatnonzero(turn < shots)
        yield replace(pool, shots=shots, task=replace(pool.task, support=support.of(first)))


@torch.inference_mode()
def _of_pool(
    pool: Pool,
    rehearsal: Rehearsal,
    learners: Sequence[Learner],
    kept: Learner,
    start: Learner,
    catalogue: Catalogue,
) -> dict[str, Any]:
    """Each user's NDCG@10 without support, with each learner, and with the one that is kept, its
    parts, and it as it started."""

    def ndcg(scores: FloatMatrix) -> list[float]:
        found = pool_ndcg(scores, pool, catalogue)
        return [round(float(value), DIGITS) for value in found]

    weights = kept.adapt(rehearsal.evidence)
    parts = {
        WHOLE: weights,
        VECTOR: FastWeights(weights.vectors, torch.zeros_like(weights.bias)),
        BIAS: FastWeights(torch.zeros_like(weights.vectors), weights.bias),
        UNTAUGHT: start.adapt(rehearsal.evidence),
    }
    adapted = {each.name: each.adapt(rehearsal.evidence) for each in learners} | parts
    return {
        "shots": pool.shots,
        "candidates": len(pool.task.candidates),
        "users": pool.task.user_index.tolist(),
        "without": ndcg(rehearsal.scores.numpy()),
        "with": {name: ndcg(rehearsal.adapted(found).numpy()) for name, found in adapted.items()},
    }


def _large(pool: Pool) -> bool:
    enough = len(pool.task.candidates) >= LEAST_CANDIDATES
    return enough and len(pool.task.user_index) >= LEAST_USERS
