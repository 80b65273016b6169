"""Episodes in which everything of one kind is new."""

from dataclasses import replace

import numpy as np
import pytest

from coldstart_models.data.catalogue import Embeddings
from coldstart_models.data.category_episodes import KINDS, category_episodes
from coldstart_models.ranker import TrainingSet
from tests.coldstart_models.checkerboard import catalogue_of, titled, training_of

SIZE = 24
"""Items of a kind."""


def shop(*, kinds: int, named: bool) -> TrainingSet:
    """Every one of 40 users chose every third item; kinds are categories, or texts that cluster."""
    count = kinds * SIZE
    catalogue = titled(
        {f"i{number:03}": f"thing {number}" for number in range(count)},
        category=[f"kind {number // SIZE} > more" if named else None for number in range(count)],
    )
    if not named:
        axes = np.eye(kinds, 16, dtype=np.float32)[np.arange(count) // SIZE]
        texts = Embeddings(axes, np.ones(count, bool), "tiny", "0" * 64)
        catalogue = replace(catalogue_of(catalogue.frame), text=texts)
    rows = [
        (f"u{user:02}", f"i{number:03}", number + user / 100)
        for number in range(count)
        for user in range(40)
        if (number + user) % 3 == 0
    ]
    return training_of(rows, catalogue)


@pytest.mark.parametrize(("kinds", "named"), [(4, True), (KINDS, False)])
def test_an_episode_is_one_whole_kind_that_nobody_has_a_history_of(kinds: int, named: bool) -> None:
    training = shop(kinds=kinds, named=named)
    episodes = category_episodes(training, count=2, generator=np.random.default_rng(0))
    assert len(episodes) == 2
    seen = set()
    for episode in episodes:
        found = {int(item) // SIZE for item in episode.task.candidates}
        assert len(found) == 1
        assert len(episode.task.candidates) == SIZE
        assert not {int(item) // SIZE for item in episode.past.item_index} & found
        histories = episode.task.histories
        assert not {int(item) // SIZE for item in histories.item_index[histories.mask]} & found
        seen |= found
    assert len(seen) == 2


def test_two_kinds_of_half_the_catalogue_each_are_an_episode_each() -> None:
    training = shop(kinds=2, named=True)
    assert len(category_episodes(training, count=5, generator=np.random.default_rng(0))) == 2


def test_without_kinds_there_are_no_episodes() -> None:
    training = shop(kinds=1, named=True)
    assert category_episodes(training, count=2, generator=np.random.default_rng(0)) == []
