"""How well a ranking finds what people chose: per-user metrics, means and intervals.

Every metric is computed per user from a matrix of scores, a matrix of truth and a matrix
of exclusions, so that one pass serves every pool. Ties break by item id in the rankings and
count one half in the AUC.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import stats

from coldstart_models.data.catalogue import BoolArray, FloatMatrix, IntArray
from coldstart_models.ranker import top_k

FloatArray = npt.NDArray[np.float64]

RECALL: Final = "recall@20"
NDCG: Final = "ndcg@10"
MRR: Final = "mrr"
AUC: Final = "auc"
COVERAGE: Final = "coverage"
USER_METRICS: Final = (RECALL, NDCG, MRR, AUC)
"""Metrics that are means over users, in the order of `UserMetrics.values`."""

RECALL_DEPTH: Final = 20
NDCG_DEPTH: Final = 10
DISCOUNTS: Final = 1.0 / np.log2(np.arange(NDCG_DEPTH) + 2)
"""Of the ranks that NDCG counts."""
IDEAL: Final = np.cumsum(DISCOUNTS)
"""What one, two … ten hits could gain at most."""
RESAMPLES: Final = 1000
FEWEST: Final = 2
"""Users that an interval needs."""
CONFIDENCE: Final = 0.95


@dataclass(frozen=True, slots=True)
class UserMetrics:
    """The metrics of U users on one pool, and the rankings they come from."""

    values: FloatArray
    """(U, 4) in the order of USER_METRICS; AUC is NaN where every candidate is truth."""
    order: IntArray
    """(U, D) candidate columns, best first; excluded candidates stand last."""
    ranked: IntArray
    """(U,) how many candidates each user was ranked: C less the excluded ones."""
    hits: BoolArray
    """(U, C): truth found in the first 20."""


def user_metrics(
    scores: FloatMatrix,
    truth: BoolArray,
    item_ids: npt.NDArray[np.object_],
    *,
    excluded: BoolArray | None = None,
    depth: int = 100,
) -> UserMetrics:
    """Recall@20, NDCG@10, MRR and AUC of every user.

    - Recall@20 = hits in the first 20 / truth.
    - NDCG@10 = Σ_{r ≤ 10} hit_r / log2(r + 1) over the same sum of min(10, truth) hits.
    - MRR = 1 / rank of the first hit, over the whole ranking.
    - AUC = share of (truth, other) pairs in the right order, a tie being one half.

    Args:
        scores: (U, C), finite.
        truth: (U, C), at least one candidate a user, none of them excluded.
        item_ids: (C,) ids of the candidates, which break ties.
        excluded: (U, C) candidates that are not ranked for a user.
        depth: how much of the order to keep.

    Raises:
        ValueError: a score is not finite, or a user has no truth.
    """
    if not np.isfinite(scores).all():
        bad = int((~np.isfinite(scores)).sum())
        raise ValueError(f"{bad} of {scores.size} scores are not finite")
    out = np.zeros_like(truth) if excluded is None else excluded
    relevant = truth & ~out
    if not relevant.any(axis=1).all():
        raise ValueError("every user needs at least one candidate in the truth")
    masked = np.where(out, -np.inf, scores).astype(np.float32)
    order = top_k(masked, item_ids, scores.shape[1])
    found = np.take_along_axis(relevant, order, axis=1)
    size = relevant.sum(axis=1)
    hits = np.zeros_like(relevant)
    np.put_along_axis(hits, order[:, :RECALL_DEPTH], found[:, :RECALL_DEPTH], axis=1)
    values = np.column_stack(
        [
            found[:, :RECALL_DEPTH].sum(axis=1) / size,
            _ranked_ndcg(found[:, :NDCG_DEPTH], size),
            1.0 / (1 + found.argmax(axis=1)),
            _auc(masked, relevant, out),
        ]
    )
    ranked = scores.shape[1] - out.sum(axis=1)
    return UserMetrics(values, order[:, :depth], ranked, hits)


def _ranked_ndcg(found: BoolArray, size: IntArray) -> FloatArray:
    """(U,) NDCG@10 from (U, D) hits by rank, D ≤ 10, and (U,) truth sizes."""
    gains = (found * DISCOUNTS[: found.shape[1]]).sum(axis=1)
    return np.asarray(gains / IDEAL[np.minimum(size, NDCG_DEPTH) - 1], dtype=np.float64)


def ndcg_of_each(scores: FloatMatrix, chosen: BoolArray) -> FloatArray:
    """(U,): NDCG@10 of (U, C) scores, every candidate ranked, ties by column."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :NDCG_DEPTH]
    return _ranked_ndcg(np.take_along_axis(chosen, best, axis=1), chosen.sum(axis=1))


def ndcg_with_and_without(
    scores: FloatMatrix, chosen: BoolArray, parts: IntArray, num_parts: int
) -> tuple[FloatArray, FloatArray]:
    """`ndcg_of_each`, and (P, U) the same where the candidates of each part in turn are neither
    ranked nor chosen: NaN for whoever chose nothing else.

    Args:
        parts: (C,) 0 … P − 1.
    """
    reached = NDCG_DEPTH + int(np.bincount(parts).max())  # no more move up
    best = np.argsort(-scores, axis=1, kind="stable")[:, :reached]
    hits, of_best = np.take_along_axis(chosen, best, axis=1), parts[best]
    found = np.full((num_parts, len(scores)), np.nan)
    for part in range(num_parts):
        stays = of_best != part
        place = stays.cumsum(axis=1) - 1
        hit = hits & stays & (place < NDCG_DEPTH)
        gains = np.where(hit, DISCOUNTS[np.clip(place, 0, NDCG_DEPTH - 1)], 0.0).sum(axis=1)
        size = (chosen & (parts != part)).sum(axis=1)
        rest = size > 0
        found[part, rest] = gains[rest] / IDEAL[np.minimum(size[rest], NDCG_DEPTH) - 1]
    return _ranked_ndcg(hits[:, :NDCG_DEPTH], chosen.sum(axis=1)), found


def jackknife_variance(without: FloatArray) -> FloatArray:
    """Of statistics (..., P), each without another of P parts: the variance over draws of parts
    (Efron and Stein, "The Jackknife Estimate of Variance", 1981)."""
    return np.asarray((without.shape[-1] - 1) * without.var(axis=-1))


def _auc(masked: FloatMatrix, relevant: BoolArray, excluded: BoolArray) -> FloatArray:
    """(U,) by ranks (Mann and Whitney, 1947); excluded candidates rank lowest and drop out."""
    ranks = stats.rankdata(masked, axis=1)
    outside = excluded.sum(axis=1)
    positives = relevant.sum(axis=1)
    negatives = masked.shape[1] - outside - positives
    total = (ranks * relevant).sum(axis=1) - positives * outside
    wins = total - positives * (positives + 1) / 2
    pairs = positives * negatives
    return np.where(pairs > 0, wins / np.maximum(pairs, 1), np.nan)


def shown(metrics: UserMetrics, num_candidates: int) -> BoolArray:
    """(C,) candidates that stand in anyone's first 20; their share is the coverage."""
    marks = np.zeros(num_candidates, bool)
    top = metrics.order[:, :RECALL_DEPTH]
    marks[top[np.arange(top.shape[1]) < metrics.ranked[:, None]]] = True
    return marks


def popularity_lift(metrics: UserMetrics, chosen_by: FloatArray, chosen: BoolArray) -> FloatArray:
    """(U,) how often the first 20 were chosen by others, on average, over the pool's mean.

    1 is no lean to what many choose; NaN where no other chose anything. A user's own choices do not
    count: a ranking that finds them is not the more popular for it.

    Args:
        chosen_by: (C,) users who chose each candidate.
        chosen: (U, C) what each of the users chose.
    """
    top = metrics.order[:, :RECALL_DEPTH]
    ranked = np.arange(top.shape[1]) < metrics.ranked[:, None]
    others = (chosen_by[top] - np.take_along_axis(chosen, top, axis=1)) * ranked
    mean = others.sum(axis=1) / np.maximum(ranked.sum(axis=1), 1)
    usual = (chosen_by.sum() - chosen.sum(axis=1)) / len(chosen_by)
    return np.where(usual > 0, mean / np.where(usual > 0, usual, 1.0), np.nan)


def seed_means(values: FloatArray) -> FloatArray:
    """(M,) means over seeds of the means over users, from (S, U, M) with NaN where absent."""
    present = ~np.isnan(values)
    counts = np.maximum(present.sum(axis=1), 1)  # (S, M)
    per_seed = np.where(present, values, 0.0).sum(axis=1) / counts
    measured = np.asarray(present.any(axis=1), dtype=np.bool_)
    return _mean_over_seeds(per_seed, measured)


def bootstrap_intervals(
    values: FloatArray, *, seed: int, resamples: int = RESAMPLES
) -> npt.NDArray[np.float64]:
    """(M, 2) percentile 95 % intervals of :func:`seed_means` over resampled users.

    NaN of a metric that nobody has or one user alone: draws of one user are all alike, and say
    nothing of chance.
    """
    bounds = percentile_interval(bootstrap_means(values, seed=seed, resamples=resamples))
    users = (~np.isnan(values)).any(axis=0).sum(axis=0)
    bounds[users < FEWEST] = np.nan
    return bounds


def bootstrap_means(values: FloatArray, *, seed: int, resamples: int = RESAMPLES) -> FloatArray:
    """(R, M): :func:`seed_means` of R draws of the users.

    A draw of users is the same for every seed and metric (Efron, 1979). Users that a seed
    did not measure are NaN in `values` (S, U, M) and have no weight there; a metric that
    nobody has is NaN.
    """
    num_seeds, num_users, num_metrics = values.shape
    generator = np.random.default_rng([seed, 95])
    weights = generator.multinomial(num_users, np.full(num_users, 1 / num_users), size=resamples)
    flat = np.moveaxis(values, 1, 0).reshape(num_users, num_seeds * num_metrics)
    present = (~np.isnan(flat)).astype(np.float64)
    drawn = np.asarray(weights @ present, dtype=np.float64)
    sums = weights @ np.nan_to_num(flat)
    shape = (resamples, num_seeds, num_metrics)
    per_seed = (sums / np.maximum(drawn, 1)).reshape(shape)
    measured: BoolArray = np.asarray(drawn > 0, dtype=np.bool_).reshape(shape)
    return _mean_over_seeds(per_seed, measured)


def percentile_interval(draws: FloatArray) -> FloatArray:
    """(M, 2): the middle 95 % of (R, M) draws; NaN where all of them are."""
    tail = 100 * (1 - CONFIDENCE) / 2
    bounds = np.full((draws.shape[1], 2), np.nan)
    known = ~np.isnan(draws).all(axis=0)
    bounds[known] = np.nanpercentile(draws[:, known], [tail, 100 - tail], axis=0).T
    return bounds


def _mean_over_seeds(per_seed: FloatArray, measured: BoolArray) -> FloatArray:
    """(…, M) from (…, S, M); NaN where no seed measured the metric."""
    counts = measured.sum(axis=-2)
    sums = np.where(measured, per_seed, 0.0).sum(axis=-2)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
