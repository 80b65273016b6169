"""Episodes: small cold-start problems cut from the past, to learn on.

In every episode some items are treated as new. Histories hold nothing of them, the
query is who chose them, and the support, where asked for, is who chose them first.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from coldstart_models.data.catalogue import BoolArray, IntArray
from coldstart_models.data.interactions import (
    END_OF_TIME,
    Histories,
    Interactions,
    stack_histories,
)
from coldstart_models.data.splits import UNKNOWN_TIME, available_us
from coldstart_models.ranker import RankingTask, Support, TrainingSet

HistoryReader = Callable[[IntArray, int], Histories]
"""Users and a moment (µs since 1970 UTC) → their histories strictly before it."""
MAX_POOL = 500
"""Candidates of an episode; a larger cohort is thinned evenly in order of the item ids."""
MAX_USERS = 1_000
"""Users of an episode; more are thinned likewise, which bounds the cost of every check."""
VALIDATION_SHARE = 0.25
"""Of the training period, its end: what is chosen and new in it is for validation."""
MIN_COHORT = 20
"""A cohort of fewer new items teaches nothing about ranking them."""
MIN_PEOPLE = 30
"""Fewer people who chose of a cohort tell good weights from bad ones by chance: a furniture
catalogue and a generated shop ranked new items worse by 8 to 14 % for what 20 to 29 had taught."""


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
    asked_us: int | None = None
    """The moment at which the users are asked; None where there is none."""


def launch_episodes(
    training: TrainingSet,
    *,
    count: int = 4,
    share: float = 0.65,
    validation_share: float = VALIDATION_SHARE,
    histories: HistoryReader | None = None,
) -> tuple[list[Episode], Episode | None]:
    """Cohorts of items that were new at moments of the past, oldest first, and a later one.

    The last `validation_share` of the training period is the validation episode: its items
    are new in it, and nothing that happened in it is known to the training episodes. Before
    it, `count` moments split the period from `1 - share` on evenly; an episode's candidates
    are the items first available between its moment and the next, so that no item is new in
    two episodes, and its query reaches up to the validation episode. Where there are too
    few launches the list is empty or the validation episode None.

    Args:
        histories: reads the users' histories before a moment, e.g. from the feature store; the
            log's own by default.
    """
    if not training.timed or len(training.interactions) == 0:
        return [], None
    first = np.where(training.rehearsable, first_available_us(training), END_OF_TIME)
    start, turn, end = _period(training.interactions, validation_share)
    moments = np.linspace(end - share * (end - start), turn, count + 1).astype(np.int64)
    episodes = []
    for opening, closing in pairwise(int(moment) for moment in moments):
        candidates = np.flatnonzero((first >= opening) & (first < closing))
        episode = episode_of(training.interactions.before(turn), opening, candidates, histories)
        if episode is not None:
            episodes.append(episode)
    newest = np.flatnonzero((first >= turn) & (first < END_OF_TIME))
    return episodes, episode_of(training.interactions, turn, newest, histories)


def known_episode(training: TrainingSet, *, past: Interactions | None = None) -> Episode | None:
    """What people chose for the first time, in the last VALIDATION_SHARE of the training period, of
    what was known before it and is ranked: at most MAX_POOL items and MAX_USERS users.

    Returns None where choices have no dates, or few were made.

    Args:
        past: what was known; by default all that happened before.
    """
    if not training.dated or len(training.interactions) == 0:
        return None
    _, turn, _ = _period(training.interactions, VALIDATION_SHARE)
    past = past or training.interactions.before(turn)
    known = training.rehearsable & (past.item_users() > 0)
    candidates = thinned(np.flatnonzero(known), MAX_POOL)
    later = training.interactions.where(training.interactions.time_us >= turn)
    before = past.matrix()
    first = later.matrix()[:, candidates] - before[:, candidates] > 0
    users = np.flatnonzero((before.getnnz(axis=1) > 0) & (first.getnnz(axis=1) > 0))
    users = thinned(users, MAX_USERS)
    if _too_small(users, candidates):
        return None
    task = RankingTask(users, past.histories(users), candidates)
    chosen = np.asarray(first[users].toarray(), bool)
    return Episode(past, task, chosen, np.asarray(first.getnnz(axis=0), np.float64), turn)


def _period(interactions: Interactions, share: float) -> tuple[int, int, int]:
    """When it starts, when its last share starts, and its end, in µs."""
    start, end = int(interactions.time_us.min()), int(interactions.time_us.max()) + 1
    return start, end - int(share * (end - start)), end


def first_available_us(training: TrainingSet, *, past: Interactions | None = None) -> IntArray:
    """(num_items,): when each item could first be chosen: END_OF_TIME where unknown.

    Args:
        past: the only events that are known; by default all of the training set. Of an item without
            a listing date it is its first event that tells, and when a new one is first chosen is
            what nobody knows yet; but a date that `ingest` filled by the item's first event is
            read as any other.
    """
    known = available_us(training.catalogue, training.interactions if past is None else past)
    return np.where(known == UNKNOWN_TIME, END_OF_TIME, known)


def held_out_episode(
    training: TrainingSet, *, share: float, generator: np.random.Generator, kin: bool = True
) -> Episode | None:
    """Treat a random share of the warm items as new, at most MAX_POOL.

    With `kin` half of the items are drawn at random and the other half are the nearest neighbours
    of those by text, of those that have text, that nobody chose together with them: the pool is
    full of hard negatives. Random items take the place of neighbours where there is no text, and
    where the pool would be too small, as several items may share one. Without `kin`, new items are
    as like the old ones as a random one is.
    """
    warm = np.flatnonzero(training.warm & (training.interactions.item_users() > 0))
    wanted = min(max(MIN_COHORT, round(share * len(warm))), MAX_POOL)
    if len(warm) < 2 * MIN_COHORT:
        return None
    if not kin:
        drawn = generator.choice(warm, size=min(wanted, len(warm)), replace=False)
        return episode_of(training.interactions, END_OF_TIME, np.sort(drawn))
    seeds = generator.choice(warm, size=min(wanted, len(warm)) // 2, replace=False)
    text = training.catalogue.text
    candidates = np.sort(seeds)
    if text.vectors.shape[1]:
        near = text.vectors[seeds] @ text.vectors[warm].T
        near[~text.present[seeds]] = -np.inf
        near[:, ~text.present[warm]] = -np.inf
        near[chosen_together(training.interactions, seeds, warm)] = -np.inf
        has_kin = near.max(axis=1) > -np.inf
        candidates = np.union1d(seeds, warm[near.argmax(axis=1)[has_kin]])
        lacking = MIN_COHORT - len(candidates)
    else:
        lacking = len(seeds)
    if lacking > 0:
        more = np.setdiff1d(warm, candidates)
        extra = generator.choice(more, size=min(lacking, len(more)), replace=False)
        candidates = np.union1d(candidates, extra)
    return episode_of(training.interactions, END_OF_TIME, candidates)


def chosen_together(interactions: Interactions, items: IntArray, others: IntArray) -> BoolArray:
    """(I, O): whether somebody chose both, which is so of an item that was chosen and itself."""
    chosen = interactions.matrix()
    both = chosen[:, items].T @ chosen[:, others]
    return np.asarray(both.toarray() > 0)


def episode_of(
    interactions: Interactions,
    opening_us: int,
    candidates: IntArray,
    histories: HistoryReader | None = None,
) -> Episode | None:
    """The episode whose past ends at its opening and whose query is who chose its candidates.

    Returns None where fewer than MIN_PEOPLE users or MIN_COHORT candidates are left.
    """
    candidates = thinned(candidates, MAX_POOL)
    new = np.zeros(interactions.num_items, bool)
    new[candidates] = True
    past = interactions.before(opening_us)
    past = past.where(~new[past.item_index])
    later = interactions.where(new[interactions.item_index]).matrix()[:, candidates]
    has_past = past.matrix().getnnz(axis=1) > 0
    users = thinned(np.flatnonzero(has_past & (later.getnnz(axis=1) > 0)), MAX_USERS)
    if _too_small(users, candidates):
        return None
    chosen = np.asarray(later[users].toarray() > 0)
    read = histories(users, opening_us) if histories is not None else past.histories(users)
    task = RankingTask(users, read, candidates)
    asked = None if opening_us == END_OF_TIME else opening_us
    return Episode(past, task, chosen, np.asarray(later.getnnz(axis=0), np.float64), asked)


def _too_small(users: IntArray, candidates: IntArray) -> bool:
    """Whether too few people or items are left to learn ranking by."""
    return len(users) < MIN_PEOPLE or len(candidates) < MIN_COHORT


def thinned(indexes: IntArray, limit: int) -> IntArray:
    """Every n-th index, so that at most `limit` are left."""
    return indexes[:: -(-len(indexes) // limit) or 1]


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
    support = replace(support, histories=episode.past.histories(support.user_index))
    columns = np.searchsorted(episode.task.candidates, candidates)
    task = RankingTask(episode.task.user_index, episode.task.histories, candidates, support)
    chosen = episode.chosen[:, columns] & ~supported(task)
    keep = chosen.any(axis=1)
    task = task.of_users(np.flatnonzero(keep))
    return replace(episode, task=task, chosen=chosen[keep], popularity=episode.popularity[columns])


def first_users(
    interactions: Interactions,
    candidates: IntArray,
    *,
    shots: int,
    generator: np.random.Generator | None = None,
) -> Support:
    """The first `shots` distinct users of each candidate, without their histories.

    Args:
        generator: draws among events of one time; without, they count in the order of the log, as
            they do for listings that are served (`adapting.first_users`).
    """
    new = np.zeros(interactions.num_items, bool)
    new[candidates] = True
    events = interactions.where(new[interactions.item_index])
    shuffle = np.arange(len(events)) if generator is None else generator.random(len(events))
    order = np.lexsort((shuffle, events.time_us, events.item_index))
    items, users = events.item_index[order], events.user_index[order]
    pairs = items * events.num_users + users
    _, first_row = np.unique(pairs, return_index=True)
    first_row = np.sort(first_row)
    items, users, times = items[first_row], users[first_row], events.time_us[order][first_row]
    keep = turns(items) < shots
    items, users, times = items[keep], users[keep], times[keep]
    return Support(items, users, times, interactions.clock.read(times), stack_histories([]))


def turns(owners: IntArray) -> IntArray:
    """(P,): how many of the same owner stand before each; owners ascend."""
    return np.asarray(np.arange(len(owners)) - np.searchsorted(owners, owners))


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
