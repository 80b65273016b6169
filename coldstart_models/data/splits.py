"""Who is new: a catalogue cut into warm and cold items, a log into training and truth.

Two cuts. :func:`cutoff_split` launches items in time: cold is what was first available at
or after the cutoff, and everything from then on is truth. :func:`random_items_split` holds
out a share of the items: for logs without dates, or to take time out of the question.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import pandas as pd

from coldstart_models.data.catalogue import BoolArray, Catalogue, IntArray
from coldstart_models.data.interactions import END_OF_TIME, Interactions
from coldstart_models.errors import ConfigError, NotEnoughData
from coldstart_models.ranker import TrainingSet
from validation import tables

HOME_DOMAIN: Final = "home"
"""The department whose launches are ranked where a catalogue has several."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
UNKNOWN_TIME: Final = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class Split:
    """One cut of one log. Items and users keep the numbers of the whole log."""

    name: str
    """E.g. ``cutoff 2010-07-01`` or ``random 0.2 of the items``."""
    warm: BoolArray
    """(N,): items that people could already choose."""
    cold: BoolArray
    """(N,): new items that are ranked; of the target domain alone."""
    target: BoolArray
    """(N,): items of the ranked domain, warm or cold."""
    training: Interactions
    """What models learn from and what histories hold: events on warm items alone."""
    truth: Interactions
    """Every event on a cold item."""
    warm_truth: Interactions
    """Later events on warm items; empty where the cut is not in time."""
    available_us: IntArray
    """(N,): when each item was first available; UNKNOWN_TIME where nothing tells."""
    timed: bool
    dated: bool
    seeded: bool
    """Whether another seed gives another split."""

    def training_set(self, catalogue: Catalogue) -> TrainingSet:
        """What a model may see of this split."""
        return TrainingSet(catalogue, self.training, self.warm, self.target, self.timed, self.dated)


def first_seen_us(events: pd.DataFrame, catalogue: Catalogue) -> IntArray:
    """(N,) time of each item's first event of any type, impressions included.

    UNKNOWN_TIME where an item has none. `events` is a canonical events frame.
    """
    times = pd.to_datetime(events[tables.EVENT_TIMESTAMP], utc=True).dt.tz_localize(None)
    first = times.groupby(events[tables.ITEM_ID]).min().reindex(list(catalogue.item_ids))
    values = first.to_numpy(dtype="datetime64[us]").astype(np.int64)
    return np.asarray(values, dtype=np.int64)


def available_us(
    catalogue: Catalogue, interactions: Interactions, *, seen_us: IntArray | None = None
) -> IntArray:
    """(N,) when each item was first available: its listing date, else its first event.

    An event before the listing date proves the item was there: the earlier one counts.
    UNKNOWN_TIME where an item has neither.
    """
    first = interactions.first_time_us()
    if seen_us is not None:
        first = np.where(seen_us == UNKNOWN_TIME, first, np.minimum(first, seen_us))
    listed = np.where(catalogue.listed_us == UNKNOWN_TIME, END_OF_TIME, catalogue.listed_us)
    earliest = np.minimum(first, listed)
    return np.asarray(np.where(earliest == END_OF_TIME, UNKNOWN_TIME, earliest), dtype=np.int64)


def target_items(catalogue: Catalogue, *, domain: str | None = None) -> BoolArray:
    """(N,) the items that are ranked: one domain's, or all where nothing is named.

    Without a name, a catalogue that has a ``home`` domain beside others is ranked on
    ``home`` and on what names no domain, as it is served: the others are sources to learn from.
    Raises ConfigError for an unknown domain.
    """
    domains = catalogue.frame[tables.DOMAIN]
    known = sorted(set(domains.dropna()))
    if domain is None:
        if HOME_DOMAIN not in known or len(known) == 1:
            return np.ones(len(catalogue), bool)
        return np.asarray((domains == HOME_DOMAIN) | domains.isna(), dtype=bool)
    if domain not in known:
        raise ConfigError(
            f"no item has the domain {domain!r}; the catalogue has {', '.join(known) or 'none'}"
        )
    return np.asarray(domains == domain, dtype=bool)


def cutoff_split(
    catalogue: Catalogue,
    interactions: Interactions,
    cutoff: datetime,
    *,
    dated: bool,
    seen_us: IntArray | None = None,
    domain: str | None = None,
) -> Split:
    """Cut at a date: cold is what was first available at or after it.

    Args:
        cutoff: a naive value is read as UTC.
        dated: whether the events' times are real dates.
        seen_us: first events of any type (`first_seen_us`), where the log has impressions.

    Raises:
        ConfigError: the log has no dates.
        NotEnoughData: nothing was launched after the cutoff, or nothing happened before it.
    """
    if not dated:
        raise ConfigError(
            f"cannot cut at {cutoff:%Y-%m-%d}: this source's events have no dates, at most an "
            "order; hold out a share of the items instead: --random-items 0.2"
        )
    moment = cutoff if cutoff.tzinfo else cutoff.replace(tzinfo=UTC)
    moment_us = (moment - EPOCH) // timedelta(microseconds=1)
    available = available_us(catalogue, interactions, seen_us=seen_us)
    target = target_items(catalogue, domain=domain)
    split = split_at(interactions, moment_us, available=available, target=target, dated=True)
    label = f"{moment:%Y-%m-%d}" if moment.time() == datetime.min.time() else moment.isoformat()
    return _checked(replace(split, name=f"cutoff {label}"), interactions)


def split_at(
    interactions: Interactions,
    moment_us: int,
    *,
    available: IntArray,
    target: BoolArray,
    dated: bool,
) -> Split:
    """Cut at a moment (µs since 1970 UTC, or a position in a sequence), unchecked."""
    warm = available < moment_us
    later = interactions.time_us >= moment_us
    cold = ~warm & target
    return Split(
        name=f"cutoff {moment_us} µs",
        warm=warm,
        cold=cold,
        target=target,
        training=interactions.where(~later & warm[interactions.item_index]),
        truth=interactions.where(later & cold[interactions.item_index]),
        warm_truth=interactions.where(later & (warm & target)[interactions.item_index]),
        available_us=available,
        timed=True,
        dated=dated,
        seeded=False,
    )


def random_items_split(
    catalogue: Catalogue,
    interactions: Interactions,
    share: float,
    *,
    seed: int,
    timed: bool,
    dated: bool,
    seen_us: IntArray | None = None,
    domain: str | None = None,
) -> Split:
    """Hold out a share of the items; histories are all events on the others.

    Raises:
        ConfigError: the share is not inside (0, 1).
        NotEnoughData: nothing is left on one side.
    """
    if not 0.0 < share < 1.0:
        raise ConfigError(f"--random-items {share} is not a share: give one between 0 and 1")
    target = target_items(catalogue, domain=domain)
    held_out = hold_out(target, share, seed=seed)
    available = available_us(catalogue, interactions, seen_us=seen_us)
    split = split_items(
        interactions, held_out, available=available, target=target, timed=timed, dated=dated
    )
    return _checked(replace(split, name=f"random {share:g} of the items"), interactions)


def hold_out(eligible: BoolArray, share: float, *, seed: int) -> BoolArray:
    """(N,) a seeded share of the eligible items, at least one."""
    rows = np.flatnonzero(eligible)
    chosen = np.random.default_rng([seed, 71]).permutation(rows)[: max(1, round(share * len(rows)))]
    held_out = np.zeros(len(eligible), bool)
    held_out[chosen] = True
    return held_out


def split_items(
    interactions: Interactions,
    held_out: BoolArray,
    *,
    available: IntArray,
    target: BoolArray,
    timed: bool,
    dated: bool,
) -> Split:
    """Cut by item whatever the time, unchecked."""
    on_cold = held_out[interactions.item_index]
    return Split(
        name="held-out items",
        warm=~held_out,
        cold=held_out,
        target=target,
        training=interactions.where(~on_cold),
        truth=interactions.where(on_cold),
        warm_truth=interactions.where(np.zeros(len(interactions), bool)),
        available_us=available,
        timed=timed,
        dated=dated,
        seeded=True,
    )


def _checked(split: Split, interactions: Interactions) -> Split:
    """The split itself, or the reason why nothing can be measured on it."""
    parts = {
        "event before it to learn from": len(split.training),
        "cold item": int(split.cold.sum()),
        "event on a cold item": len(split.truth),
    }
    for what, count in parts.items():
        if not count:
            raise NotEnoughData(
                f"{split.name} leaves no {what}; the log runs from {_day(interactions, 0)} to "
                f"{_day(interactions, -1)} with {len(interactions)} positive events"
            )
    return split


def _day(interactions: Interactions, place: int) -> str:
    """The date of the first or last event."""
    if not len(interactions):
        return "nothing"
    return f"{pd.Timestamp(int(interactions.time_us[place]), unit='us'):%Y-%m-%d}"


VALIDATION_SHARE: Final = 0.2
MIN_VALIDATION_USERS: Final = 20
MIN_VALIDATION_ITEMS: Final = 10


def validation_split(
    training: TrainingSet, *, by_time: bool, seed: int, ranked_alone: bool = False
) -> Split:
    """A cut inside the training period, like the outer one, on which choices are made.

    With `by_time`, the newest fifth of the warm items by first availability are launched;
    where too few people chose them, or without it, a random fifth is held out.

    Args:
        ranked_alone: new are items of the ranked domain alone, where it has enough of them
            (`TrainingSet.rehearsable`); otherwise those of every domain.
    """
    interactions = training.interactions
    available = available_us(training.catalogue, interactions)
    eligible = training.rehearsable if ranked_alone else training.warm
    target = eligible & (interactions.item_users() > 0)
    if by_time and training.timed and target.any():
        known = np.sort(available[target])
        moment = int(known[int((1 - VALIDATION_SHARE) * (len(known) - 1))]) + 1
        split = split_at(
            interactions, moment, available=available, target=target, dated=training.dated
        )
        split = replace(split, warm=split.warm & training.warm, name="validation launch cut")
        if _enough(split):
            return split
    held_out = hold_out(target, VALIDATION_SHARE, seed=seed)
    split = split_items(
        interactions,
        held_out,
        available=available,
        target=target,
        timed=training.timed,
        dated=training.dated,
    )
    return replace(split, warm=training.warm & ~held_out, name="validation held-out items")


def _enough(split: Split) -> bool:
    """Whether a validation cut has the users and items to tell models apart."""
    with_history = np.isin(split.truth.user_index, split.training.user_index)
    users = np.unique(split.truth.user_index[with_history])
    items = np.unique(split.truth.item_index[with_history])
    return len(users) >= MIN_VALIDATION_USERS and len(items) >= MIN_VALIDATION_ITEMS
