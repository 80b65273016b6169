"""A pool as a rehearsal: what the scorer says without support, and what support there is.

Who may be ranked, and everything but the adaptation, is the same without support and with it.
"""

from coldstart_models.data.episodes import Episode, first_available_us
from coldstart_models.data.pools import Pool
from coldstart_models.ranker import TrainingSet
from coldstart_models.siamese.learners.rehearsal import Rehearsal
from coldstart_models.siamese.preparing import PastItems, prepare
from coldstart_models.siamese.rehearsing import rehearse
from coldstart_models.siamese.stages import SiameseModel


def rehearsal_of(model: SiameseModel, training: TrainingSet, pool: Pool) -> Rehearsal:
    """Of a pool whose task has support; raises ValueError of another."""
    chosen = pool.chosen.toarray()
    episode = Episode(training.interactions, pool.task, chosen, chosen.sum(axis=0).astype(float))
    items = PastItems.of(training.interactions, model.inputs, model.fitted)
    prepared = prepare(episode, items, first_us=first_available_us(training))
    return rehearse(model.network, prepared, launches=True)
