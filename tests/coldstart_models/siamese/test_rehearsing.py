import weakref
from collections.abc import Iterator

import numpy as np
import pytest

from coldstart_models.data.episodes import Episode, launch_episodes
from coldstart_models.siamese import rehearsing
from coldstart_models.siamese.preparing import prepare_each
from coldstart_models.siamese.rehearsing import rehearse_all, with_shots
from coldstart_models.siamese.stages import pretrain
from tests.coldstart_models.siamese.test_ranker import many_launches


def test_first_customers_of_one_rehearsal_are_dropped_before_the_next_are_drawn():
    training = many_launches()
    model = pretrain(training, dates=False, seed=0)
    learning, _ = launch_episodes(training)
    histories: list[weakref.ref] = []
    kept = []

    class Drawing(np.random.Generator):
        def random(self, *args, **kwargs):
            kept.append(sum(one() is not None for one in histories))
            return super().random(*args, **kwargs)

    def watched(episodes: Iterator[Episode]) -> Iterator[Episode]:
        for episode in episodes:
            histories.append(weakref.ref(episode.task.support.histories.item_index))
            yield episode
            del episode

    log, generator = training.interactions, Drawing(np.random.PCG64(0))
    drawn = watched(with_shots(learning, log, generator, numbers=(1, 3)))
    prepared = prepare_each(drawn, training, model.inputs, {}, seed=0)
    rehearsals = rehearse_all(model.network, prepared, launches=True)
    assert [each.shots for each in rehearsals] == [1, 3] * 4
    assert kept == [0] * len(rehearsals)


def test_too_few_people_left_to_rank_for_are_no_rehearsal(monkeypatch: pytest.MonkeyPatch) -> None:
    training = many_launches()
    learning, _ = launch_episodes(training)

    def people() -> list[int]:
        drawn = with_shots(learning, training.interactions, np.random.default_rng(0))
        return [len(one.chosen) for one in drawn]

    found = people()
    monkeypatch.setattr(rehearsing, "MIN_PEOPLE", max(found))
    assert people() == [count for count in found if count == max(found)]
    assert min(found) >= 30
