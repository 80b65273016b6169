"""Episodes as tensors: those cut from the same past share one fit of what goes together."""

from collections.abc import Iterable, Iterator

from coldstart_models.data.catalogue import IntArray
from coldstart_models.data.episodes import Episode, first_available_us
from coldstart_models.freed_memory import trim
from coldstart_models.ranker import TrainingSet
from coldstart_models.siamese.inputs import ItemInputs
from coldstart_models.siamese.togetherness import fit_togetherness
from coldstart_models.siamese.training import PastItems, PreparedEpisode, prepare

Seen = dict[tuple[int, bool], PastItems]
"""What pasts say of all items, by the id of the past and whether dates are read. Whoever keeps it
keeps the episodes, or an id may come again."""


def prepare_each(
    episodes: Iterable[Episode],
    training: TrainingSet,
    inputs: ItemInputs,
    seen: Seen,
    *,
    seed: int,
    dates: bool = False,
) -> Iterator[PreparedEpisode]:
    """One at a time: an episode that is dropped is gone before the next is asked for.

    Args:
        dates: whether the model may use dates.
        seen: of the pasts that are there already; it grows.
    """
    offered: dict[tuple[int, bool], IntArray] = {}
    for episode in episodes:
        key = id(episode.past), dates
        if key not in seen:
            fitted = fit_togetherness(episode.past, inputs, seed=seed)
            seen[key] = PastItems.of(episode.past, inputs, fitted, dates=dates)
            trim()
        if key not in offered:
            offered[key] = first_available_us(training, past=episode.past)
        yield prepare(episode, seen[key], first_us=offered[key])
        del episode
