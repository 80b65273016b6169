import weakref
from collections.abc import Iterator

import numpy as np

from coldstart_models.data.episodes import Episode, launch_episodes
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
