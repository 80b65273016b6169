"""Episodes: small cold-start problems cut from the past, to learn on.

In every episode some items are treated as new. Histories hold nothing of them, the
query is who chose them, and the support, where asked for, is who chose them first.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from coldstart_models.data.catalogue import BoolArray, FloatMatrix, IntArray
from coldstart_models.data.interactions import Histories, Interactions
from coldstart_models.ranker import RankingTask, Support, TrainingSet

MIN_COHORT = 20
"""A cohort of fewer new items teaches nothing about ranking them."""


@dataclass(frozen=True, slots=True)
class Episode:
    """One cold-start problem whose answer is known."""

    past: Interactions
    """All that was known: no event on the episode's items, none from after its moment."""
    task: RankingTask
    chosen: BoolArray
    """(U, C): the query, which user chose which candidate later."""
    popularity: npt.NDArray[np.float64]
    """(C,) distinct users who chose each candidate."""
    inputs: dict[str, FloatMatrix] = field(default_factory=dict)
    """Per-episode item inputs, e.g. factors fitted on `past` alone."""


def launch_episodes(
    training: TrainingSet, *, count: int = 4, share: float = 0.6
) -> list[Episode]:
    """Cohorts of items that were new at moments of the past, oldest first.

    The moments split the last `share` of the launches evenly. An episode's candidates are
    the items first available between its moment and the next one but one; its query
    reaches to the end of the training set. Returns [] where there are too few launches.
    """
    if not training.timed:
        return []
    first = np.where(training.warm, first_available_us(training), np.iinfo(np.int64).max)
    launches = np.sort(first[training.warm])
    launches = launches[launches > launches[0]] if len(launches) else launches
    if len(launches) < 2 * MIN_COHORT:
        return []
    quantiles = np.linspace(1.0 - share, 1.0, count + 2)
    moments = np.quantile(launches, quantiles, method="nearest")
    episodes = []
    for start, end in zip(moments[:-2], moments[2:], strict=True):
        candidates = np.flatnonzero((first >= start) & (first <= end))
        past = training.interactions.before(int(start))
        episode = _episode(training.interactions, past, candidates)
        if episode is not None:
            episodes.append(episode)
    return episodes


def first_available_us(training: TrainingSet) -> IntArray:
    """(num_items,): when each item could first be chosen: listed, else first seen in the log."""
    seen = training.interactions.first_time_us()
    listed = training.catalogue.listed_us
    return np.where(listed > np.iinfo(np.int64).min, np.minimum(listed, seen), seen)


def held_out_episode(
    training: TrainingSet, *, share: float, generator: np.random.Generator
) -> Episode | None:
    """Treat a random share of the warm items, and their nearest kin by text, as new.

    Half of the items are drawn at random, the other half are the nearest neighbours of
    those by text where there is text, so that the pool holds hard negatives.
    """
    warm = np.flatnonzero(training.warm & (training.interactions.item_users() > 0))
    wanted = max(MIN_COHORT, round(share * len(warm)))
    if len(warm) < 2 * MIN_COHORT:
        return None
    seeds = generator.choice(warm, size=min(wanted, len(warm)) // 2, replace=False)
    text = training.catalogue.text
    if text.vectors.shape[1]:
        near = text.vectors[seeds] @ text.vectors[warm].T
        kin = warm[np.argsort(-near, axis=1, kind="stable")[:, 1]]
        candidates = np.union1d(seeds, kin)
    else:
        more = np.setdiff1d(warm, seeds)
        extra = generator.choice(more, size=min(len(seeds), len(more)), replace=False)
        candidates = np.union1d(seeds, extra)
    new = np.zeros(len(training.catalogue), bool)
    new[candidates] = True
    past = training.interactions.where(~new[training.interactions.item_index])
    return _episode(training.interactions, past, candidates)


def _episode(
    interactions: Interactions, past: Interactions, candidates: IntArray
) -> Episode | None:
    """The episode whose query is every later choice of a candidate by a user with a past."""
    new = np.zeros(interactions.num_items, bool)
    new[candidates] = True
    past = past.where(~new[past.item_index])
    later = interactions.where(new[interactions.item_index]).matrix()[:, candidates]
    has_past = past.matrix().getnnz(axis=1) > 0
    users = np.flatnonzero(has_past & (later.getnnz(axis=1) > 0))
    if len(users) < MIN_COHORT or len(candidates) < MIN_COHORT:
        return None
    chosen = np.asarray(later[users].toarray() > 0)
    task = RankingTask(users, past.histories(users), candidates)
    return Episode(past, task, chosen, np.asarray(later.getnnz(axis=0), np.float64))


def with_support(
    episode: Episode, interactions: Interactions, *, shots: int, generator: np.random.Generator
) -> Episode | None:
    """The episode after its first `shots` users of each candidate became known.

    Candidates with no more than `shots` users leave, so having support reveals nothing. The
    supporting pairs leave the query, and `chosen` is False there; the caller masks them by
    :func:`supported`. Ties in time are broken at random.
    """
    candidates = episode.task.candidates[episode.popularity > shots]
    if len(candidates) < MIN_COHORT:
        return None
    support = first_users(interactions, candidates, shots=shots, generator=generator)
    histories = episode.past.histories(support.user_index)
    support = Support(support.item_index, support.user_index, support.time_us, histories)
    columns = np.searchsorted(episode.task.candidates, candidates)
    task = RankingTask(episode.task.user_index, episode.task.histories, candidates, support)
    chosen = episode.chosen[:, columns] & ~supported(task)
    keep = chosen.any(axis=1)
    task = RankingTask(
        task.user_index[keep], task.histories.take(np.flatnonzero(keep)), candidates, support
    )
    return Episode(
        episode.past, task, chosen[keep], episode.popularity[columns], episode.inputs
    )


def first_users(
    interactions: Interactions,
    candidates: IntArray,
    *,
    shots: int,
    generator: np.random.Generator,
) -> Support:
    """The first `shots` distinct users of each candidate, without their histories."""
    new = np.zeros(interactions.num_items, bool)
    new[candidates] = True
    events = interactions.where(new[interactions.item_index])
    shuffle = generator.random(len(events))
    order = np.lexsort((shuffle, events.time_us, events.item_index))
    items, users = events.item_index[order], events.user_index[order]
    pairs = items * events.num_users + users
    _, first_row = np.unique(pairs, return_index=True)
    first_row = np.sort(first_row)
    items, users, times = items[first_row], users[first_row], events.time_us[order][first_row]
    starts = np.searchsorted(items, items, side="left")
    keep = np.arange(len(items)) - starts < shots
    empty = Histories(np.full((0, 1), -1, np.int64), np.zeros((0, 1), np.int64))
    return Support(items[keep], users[keep], times[keep], empty)


def supported(task: RankingTask) -> BoolArray:
    """(U, C): the pairs of a task that are support and may not be ranked."""
    marks = np.zeros((len(task.user_index), len(task.candidates)), bool)
    if task.support is None:
        return marks
    row_of = {user: row for row, user in enumerate(task.user_index)}
    column_of = {item: column for column, item in enumerate(task.candidates)}
    for item, user in zip(task.support.item_index, task.support.user_index, strict=True):
        row, column = row_of.get(user), column_of.get(item)
        if row is not None and column is not None:
            marks[row, column] = True
    return marks


def user_batches(
    episode: Episode, *, size: int, generator: np.random.Generator
) -> Iterator[npt.NDArray[np.int64]]:
    """Shuffled row numbers of the episode's users, `size` at a time."""
    rows = generator.permutation(len(episode.task.user_index))
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
