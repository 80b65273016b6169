"""The protocol: every model on every pool of a split, over seeds, with intervals.

:func:`benchmark` measures on arrays that are there; `benchmark_run` makes them, from ingest
on. Models see a split's training set and a pool's task, and nothing else of the log.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from coldstart_models.benchmark_result import (
    DIGITS,
    BenchmarkResult,
    Breakdown,
    Measurement,
    PersonalPoint,
    ResultRow,
    result_row,
)
from coldstart_models.breakdowns import (
    Groups,
    category_breakdown,
    category_groups,
    domain_breakdown,
    history_breakdown,
    warmth_breakdown,
)
from coldstart_models.data.catalogue import BoolArray, Catalogue, FloatMatrix, IntArray
from coldstart_models.data.episodes import thinned
from coldstart_models.data.pools import COLD, WARM, Pool, Skipped, build_pools, cold_pool
from coldstart_models.data.splits import Split
from coldstart_models.errors import ConfigError, ModelError, NotEnoughData
from coldstart_models.metrics import (
    NDCG,
    RECALL,
    USER_METRICS,
    FloatArray,
    UserMetrics,
    popularity_lift,
    shown,
    user_metrics,
)
from coldstart_models.models import MODELS, ORACLE, Model, build_ranker, find_model
from coldstart_models.progress import Progress
from coldstart_models.ranker import Ranker, RankingTask, Steerable, Sure, TrainingSet
from coldstart_models.rankings import Labels, RankingsWriter
from coldstart_models.reliability import (
    DemandReliability,
    Reliability,
    among,
    demand_reliability,
    reliability,
)

log = logging.getLogger(__name__)

DEFAULT_SHOTS: Final = (0, 1, 3, 5, 10)
STEPS: Final = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
"""Places between the general and the personal that are looked at, beside a model's own."""
SCORES_AT_ONCE: Final = 20_000_000
"""Users × candidates that a model scores in one call."""
METRICS_AT_ONCE: Final = 4_000_000
"""Users × candidates whose metrics are computed at once."""
CHANCES_AT_ONCE: Final = 4_000_000
"""Users × candidates whose chances are held against choices, all of them at once."""

NO_GROUPS: Final = Groups([], np.zeros(0, np.int64))

Key = tuple[str, int, str]
"""Model, shots, pool."""


@dataclass
class Ledger:
    """What has been measured so far."""

    measured: dict[Key, list[Measurement]] = field(default_factory=dict)
    personal: list[PersonalPoint] = field(default_factory=list)
    reliability: list[Reliability] = field(default_factory=list)
    demand: list[DemandReliability] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def add(self, key: Key, measurement: Measurement) -> None:
        self.measured.setdefault(key, []).append(measurement)

    def skip(self, what: str, reason: str) -> None:
        if what not in self.skipped:
            log.warning("%s is left out: %s", what, reason)
        self.skipped.setdefault(what, reason)


def benchmark(
    *,
    source: str,
    catalogue: Catalogue,
    interactions_split: Callable[[int], Split],
    models: Sequence[str] = tuple(MODELS),
    shots: Sequence[int] = DEFAULT_SHOTS,
    seeds: int = 1,
    truth: pd.DataFrame | None = None,
    generated: bool = False,
    build: Callable[..., Ranker] = build_ranker,
    rankings: Path | None = None,
    progress: Progress | None = None,
) -> BenchmarkResult:
    """Fit and measure every model on every pool of the split, seed by seed.

    A model that neither the seed nor the split's seed changes is fitted once. A model that
    cannot be had on this data (no photos, no truth) is left out and the result says why.

    Args:
        source: the data's name, for the report.
        catalogue: the items that the split is of.
        interactions_split: seed → split, e.g. a `partial` of `cutoff_split`.
        models: names of `models.MODELS`.
        shots: numbers of first users that few-shot models may see; 0 is always measured.
        seeds: how many; they are 0, 1, …
        truth: utilities, where the choice model is known; the oracle needs it.
        generated: whether the source was made up.
        build: makes a ranker by name; takes `by_time`, `truth` and `pretrained`.
        rankings: where to write the first 100 of every user as Parquet.
        progress: called with fits and measurements done and in total.

    Raises:
        ConfigError: an unknown model, a negative shot, no seed.
        NotEnoughData: nothing can be measured on the split.
    """
    asked = _checked(models, shots, seeds)
    ledger = Ledger()
    splits = _splits(interactions_split, seeds, ledger)
    begun = splits[0][0]
    work = [
        (seed, split, model)
        for seed, split in splits
        for model in _due(asked, split, first=seed == begun)
    ]
    groups = category_groups(catalogue, splits[0][1].target)
    with ExitStack() as stack:
        writer = stack.enter_context(RankingsWriter(rankings)) if rankings else None
        pools_of: dict[int, list[Pool]] = {}
        pretrained: dict[bool, Any] = {}
        for done, (seed, split, model) in enumerate(work):
            if seed not in pools_of:
                pools_of = {seed: _pools(split, shots, seed, ledger)}
                pretrained = {}
            bench = Bench(catalogue, split, pools_of[seed], groups, seed, writer, ledger)
            made = partial(build, truth=truth, pretrained=pretrained)
            _run(bench, model, made, truth, characterised=seed == begun)
            if progress:
                progress(done + 1, len(work))
    return _result(source, splits[0][1], asked, groups, seeds, generated, ledger)


def _checked(models: Sequence[str], shots: Sequence[int], seeds: int) -> list[Model]:
    """The models asked for. Raises ConfigError for what cannot be asked."""
    asked = [find_model(name) for name in dict.fromkeys(models)]
    if not asked:
        raise ConfigError(f"no model to benchmark; name some of {', '.join(MODELS)}")
    if any(count < 0 for count in shots):
        raise ConfigError(f"shots are numbers of users, from 0 on, not {min(shots)}")
    if seeds < 1:
        raise ConfigError(f"at least one seed is needed, not {seeds}")
    return asked


def _splits(
    split_of: Callable[[int], Split], seeds: int, ledger: Ledger
) -> list[tuple[int, Split]]:
    """Each seed's split; one and the same where the seed does not matter.

    A seed that nothing can be measured on is left out. Raises NotEnoughData where every one is.
    """
    found: list[tuple[int, Split]] = []
    reasons: dict[int, NotEnoughData] = {}
    for seed in range(seeds):
        if found and not found[0][1].seeded:
            found.append((seed, found[0][1]))
            continue
        try:
            split = split_of(seed)
            cold_pool(split)
        except NotEnoughData as reason:
            reasons[seed] = reason
        else:
            found.append((seed, split))
    if not found:
        raise reasons[0]
    for seed, why in reasons.items():
        ledger.skip(f"seed {seed}", str(why))
    return found


def _due(asked: list[Model], split: Split, *, first: bool) -> list[Model]:
    """The models that a seed can tell something new about."""
    return [model for model in asked if first or model.seeded or split.seeded]


def _pools(split: Split, shots: Sequence[int], seed: int, ledger: Ledger) -> list[Pool]:
    pools, skipped = build_pools(split, shots=shots, seed=seed)
    for one in skipped:
        ledger.skip(one.what, one.reason)
    return pools


@dataclass(frozen=True, slots=True)
class Bench:
    """One seed's split and pools, and where measurements go."""

    catalogue: Catalogue
    split: Split
    pools: list[Pool]
    groups: Groups
    seed: int
    writer: RankingsWriter | None
    ledger: Ledger


def _run(
    bench: Bench,
    model: Model,
    build: Callable[..., Ranker],
    truth: pd.DataFrame | None,
    *,
    characterised: bool,
) -> None:
    """Fit one model and measure it on every pool.

    Args:
        characterised: whether what steers it and how sure it is are measured as well.
    """
    if model.name == ORACLE and truth is None:
        bench.ledger.skip(model.name, "the source's choice model is not known")
        return
    by_time = not bench.split.seeded
    ranker = build(model.name, by_time=by_time)
    try:
        ranker.fit(bench.split.training_set(bench.catalogue), seed=bench.seed)
    except NotEnoughData as reason:
        bench.ledger.skip(model.name, str(reason))
        return
    for pool in bench.pools:
        if pool.shots and not model.adapts:
            continue  # measured with its sibling at zero shots
        labels = [pool.shots]
        if not model.adapts:
            labels += [one.shots for one in bench.pools if one.name == pool.name and one.shots]
        measurement = measure(bench, ranker, pool, model=model.name, shots=labels)
        for count in labels:
            bench.ledger.add((model.name, count, pool.name), measurement)
    if characterised:
        _characterise(bench, model, ranker)


def _characterise(bench: Bench, model: Model, ranker: Ranker) -> None:
    """What becomes of a fitted model that can be steered, or says how sure it is."""
    ledger, name = bench.ledger, model.name
    (cold,) = (pool for pool in bench.pools if pool.name == COLD)
    adapted = [pool for pool in bench.pools if pool.shots and model.adapts]
    if isinstance(ranker, Steerable):
        for pool in (cold, *sorted(adapted, key=lambda pool: pool.shots)[-1:]):
            (own,) = ledger.measured[name, pool.shots, pool.name]
            ledger.personal += personal_curve(bench, ranker, pool, model=name, own=own)
    if isinstance(ranker, Sure):
        told = {COLD, *(pool.name for pool in adapted)}
        pools = [pool for pool in bench.pools if pool.name in told]
        ledger.reliability += [_reliability(ranker, pool, model=name) for pool in pools]
        customers = bench.split.truth.item_users()[cold.task.candidates]
        expected, deviation = ranker.expected_demand(cold.task)
        ledger.demand.append(demand_reliability(name, expected, deviation, customers))


def _reliability(ranker: Sure, pool: Pool, *, model: str) -> Reliability:
    """Chances and choices on a pool, of every n-th user where there are many pairs."""
    most = max(1, CHANCES_AT_ONCE // len(pool.task.candidates))
    users = thinned(np.arange(len(pool.task.user_index)), most)
    some = pool.of_users(users)
    ranked = ~some.excluded.toarray()
    return reliability(
        model,
        among(ranker.log_chances(some.task), ranked),
        some.chosen.toarray(),
        own_variance=ranker.own_variance(pool.shots),
        ranked=ranked,
        pool=pool.name,
        shots=pool.shots,
    )


def measure(
    bench: Bench, ranker: Ranker, pool: Pool, *, model: str, shots: Sequence[int]
) -> Measurement:
    """Score a pool and compute its users' metrics; `shots` label the written rankings.

    Where users rank by month, a user's metrics are means over the months with truth.
    """
    tally = _Tally(pool, bench.groups)
    cells = {name: _Tally(pool, NO_GROUPS) for name in pool.cells}
    for rows, columns, scores in _scored(ranker, pool):
        ranked = _ranked(bench, pool, rows, columns, scores)
        if ranked is None:
            continue
        tally.add(ranked)
        if bench.writer is not None:
            users = bench.split.training.user_ids[pool.task.user_index[ranked.rows]]
            for count in shots:
                labels = Labels(model, count, pool.name, bench.seed)
                bench.writer.write(
                    ranked.metrics, ranked.scores, labels, user_ids=users, item_ids=ranked.item_ids
                )
        for name, cell in cells.items():
            among = np.isin(columns, pool.cells[name])
            inside = _ranked(bench, pool, rows, columns[among], scores[:, among])
            if inside is not None:
                cell.add(inside)
    home = np.append(bench.split.target, False)  # -1 pads
    stranger = np.logical_not(home[pool.task.histories.item_index]).all(axis=1)
    return tally.measurement(
        seed=bench.seed,
        stranger=stranger,
        cells={name: cell.values for name, cell in cells.items()},
    )


class _At:
    """A ranker at a place between the general and the personal."""

    def __init__(self, ranker: Steerable, personal: float) -> None:
        self.name, self.ranker, self.personal = ranker.name, ranker, personal

    def fit(self, training: TrainingSet, *, seed: int) -> None:
        self.ranker.fit(training, seed=seed)

    def score(self, task: RankingTask) -> FloatMatrix:
        return self.ranker.score_at(task, self.personal)


def personal_curve(
    bench: Bench, ranker: Steerable, pool: Pool, *, model: str, own: Measurement
) -> list[PersonalPoint]:
    """The model on a pool from the general to the personal, its own place among it, or last where
    it has none.

    Args:
        own: what it was found to be at its own place.
    """
    quiet = replace(bench, writer=None)
    own_place, points = ranker.own_place, []
    places: Sequence[float | None] = [*STEPS, None]
    if own_place is not None:
        own_place = round(own_place, DIGITS)
        places = sorted({*STEPS, own_place})
    for place in places:
        found = own
        if place is not None and place != own_place:
            found = measure(quiet, _At(ranker, place), pool, model=model, shots=[])
        recall, ndcg = (
            float(np.nanmean(found.values[:, USER_METRICS.index(name)])) for name in (RECALL, NDCG)
        )
        points.append(
            PersonalPoint(
                model,
                pool.name,
                pool.shots,
                personal=place,
                own=place == own_place,
                recall=round(recall, DIGITS),
                ndcg=round(ndcg, DIGITS),
                coverage=round(found.coverage, DIGITS),
                lift=None if np.isnan(found.lift) else round(found.lift, DIGITS),
            )
        )
    return points


@dataclass(frozen=True, slots=True)
class _Ranked:
    """B of a pool's users with C of its candidates ranked among themselves."""

    rows: IntArray
    """(B,) of the pool: those of its users who have truth among the candidates."""
    columns: IntArray
    """(C,) of the pool."""
    scores: FloatMatrix
    chosen: BoolArray
    metrics: UserMetrics
    item_ids: npt.NDArray[np.object_]


def _ranked(
    bench: Bench, pool: Pool, rows: IntArray, columns: IntArray, scores: FloatMatrix
) -> _Ranked | None:
    """Rank some candidates for some users; None where no user has truth among them."""
    chosen = pool.chosen[rows][:, columns].toarray()
    kept = np.flatnonzero(chosen.any(axis=1))
    if not len(kept):
        return None
    rows, chosen, scores = rows[kept], chosen[kept], scores[kept]
    excluded = pool.excluded[rows][:, columns].toarray()
    ids = bench.catalogue.item_ids[pool.task.candidates[columns]]
    metrics = user_metrics(scores, chosen, ids, excluded=excluded)
    return _Ranked(rows, columns, scores, chosen, metrics, ids)


class _Tally:
    """Adds up a pool's metrics, piece by piece."""

    def __init__(self, pool: Pool, groups: Groups) -> None:
        num_users, num_candidates = len(pool.task.user_index), len(pool.task.candidates)
        self._pool = pool
        self._group = groups.of_item[pool.task.candidates] if groups.names else None
        self._totals = np.zeros((num_users, len(USER_METRICS)))
        self._counts = np.zeros((num_users, len(USER_METRICS)))
        self._seen = np.zeros(num_candidates, bool)
        self._chosen_by = np.asarray(pool.chosen.sum(axis=0), np.float64).ravel()
        self._lifts: list[FloatArray] = []
        self._hits = np.zeros(len(groups.names))
        self._truths = np.zeros(len(groups.names))

    def add(self, ranked: _Ranked) -> None:
        """Some users and candidates of the pool, each pair at most once."""
        rows, columns, metrics = ranked.rows, ranked.columns, ranked.metrics
        self._totals[rows] += np.nan_to_num(metrics.values)
        self._counts[rows] += ~np.isnan(metrics.values)
        self._seen[columns] |= shown(metrics, len(columns))
        self._lifts.append(popularity_lift(metrics, self._chosen_by[columns], ranked.chosen))
        if self._group is not None:
            group, count = self._group[columns], len(self._hits)
            self._hits += np.bincount(group, metrics.hits.sum(axis=0), count)
            self._truths += np.bincount(group, ranked.chosen.sum(axis=0), count)

    @property
    def values(self) -> FloatArray:
        """(U, 4) means over what was added of each user; NaN where nothing was."""
        counts = self._counts
        return np.where(counts > 0, self._totals / np.maximum(counts, 1), np.nan)

    def measurement(
        self, *, seed: int, stranger: BoolArray, cells: Mapping[str, FloatArray]
    ) -> Measurement:
        pool, lifts = self._pool, np.concatenate([*self._lifts, np.zeros(0)])
        known = lifts[np.isfinite(lifts)]
        ranked = int((pool.month >= 0).sum()) if pool.month is not None else len(self._seen)
        return Measurement(
            seed=seed,
            user_index=pool.task.user_index,
            values=self.values,
            stranger=stranger,
            cells=cells,
            history_size=pool.task.histories.mask.sum(axis=1),
            coverage=float(self._seen.sum() / ranked),
            num_candidates=ranked,
            group_hits=self._hits,
            group_truths=self._truths,
            lift=float(known.mean()) if len(known) else np.nan,
        )


def _scored(ranker: Ranker, pool: Pool) -> Iterator[tuple[IntArray, IntArray, FloatMatrix]]:
    """Users' rows, candidates' columns and their scores, in pieces that fit in memory."""
    num_users, num_candidates = len(pool.task.user_index), len(pool.task.candidates)
    groups = [np.arange(num_candidates)]
    if pool.month is not None:
        groups = [np.flatnonzero(pool.month == one) for one in np.unique(pool.month) if one >= 0]
    together = max(1, SCORES_AT_ONCE // num_candidates)
    piece = max(1, METRICS_AT_ONCE // num_candidates)
    for start in range(0, num_users, together):
        users = np.arange(start, min(start + together, num_users))
        scores = _scores(ranker, pool.task.of_users(users))
        for at in range(0, len(users), piece):
            inside = slice(at, at + piece)
            for columns in groups:
                yield users[inside], columns, scores[inside][:, columns]


def _scores(ranker: Ranker, task: RankingTask) -> FloatMatrix:
    """The ranker's scores. Raises ModelError where they are not (U, C) finite numbers."""
    scores = ranker.score(task)
    expected = (len(task.user_index), len(task.candidates))
    if scores.shape != expected or not np.isfinite(scores).all():
        raise ModelError(
            f"{ranker.name!r} must give finite scores of shape {expected}, "
            f"not {scores.shape} with {int((~np.isfinite(scores)).sum())} non-finite"
        )
    return scores


def _result(
    source: str,
    split: Split,
    asked: list[Model],
    groups: Groups,
    seeds: int,
    generated: bool,
    ledger: Ledger,
) -> BenchmarkResult:
    """Rows by pool, shots and model, as asked. Raises NotEnoughData where there is none."""
    if not ledger.measured:
        left_out = [model.name for model in asked if model.name in ledger.skipped]
        reasons = "; ".join(f"{name}: {ledger.skipped[name]}" for name in left_out)
        raise NotEnoughData(f"no model could be measured on {source}: {reasons}")
    keys = list(dict.fromkeys((shots, pool) for _, shots, pool in ledger.measured))
    order = {pool: place for place, pool in enumerate(dict.fromkeys(p for _, p in keys))}
    rows: list[ResultRow] = []
    for shots, pool in sorted(keys, key=lambda key: (order[key[1]], key[0])):
        for model in asked:
            measured = ledger.measured.get((model.name, shots, pool))
            if measured:
                rows.append(result_row(model.name, shots, pool, measured))
    breakdowns: list[Breakdown] = []
    for model in asked:
        measured = ledger.measured.get((model.name, 0, COLD), [])
        if measured:
            breakdowns += category_breakdown(model.name, groups, measured)
            breakdowns += history_breakdown(model.name, measured)
            breakdowns += domain_breakdown(model.name, measured)
            warm = ledger.measured.get((model.name, 0, WARM), [])
            breakdowns += warmth_breakdown(model.name, measured, warm)
    return BenchmarkResult(
        source=source,
        split=split.name,
        num_users=rows[0].num_users,
        num_candidates=rows[0].num_candidates,
        seeds=seeds,
        results=rows,
        breakdowns=breakdowns,
        personal=ledger.personal,
        reliability=ledger.reliability,
        demand=ledger.demand,
        skipped=[Skipped(what, reason) for what, reason in ledger.skipped.items()],
        generated=generated,
    )
