"""The stages of learning: fit and weigh, contrast, fine-tune on launches, choose a learner."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import numpy as np
import torch
from torch import Tensor

from coldstart_models.data.category_episodes import category_episodes
from coldstart_models.data.episodes import (
    HistoryReader,
    known_episode,
)
from coldstart_models.errors import NotEnoughData
from coldstart_models.freed_memory import give_back
from coldstart_models.general.artifact import GeneralModel
from coldstart_models.processes import CPU, Processes, found_device
from coldstart_models.progress import Progress
from coldstart_models.ranker import TrainingSet
from coldstart_models.siamese.checkpoints import Checkpoint
from coldstart_models.siamese.curves import Curves
from coldstart_models.siamese.dates import choose_season_weight, out_of_season
from coldstart_models.siamese.doubt import told_better
from coldstart_models.siamese.event_weights import choose_event_weights
from coldstart_models.siamese.inputs import Featurizer, ItemInputs
from coldstart_models.siamese.learners.contest import Contest, hold_contest
from coldstart_models.siamese.learners.registry import AUTO, LEARNERS, build_learner
from coldstart_models.siamese.learners.rehearsal import Rehearsal
from coldstart_models.siamese.network import MetaSiamese, ndcg_by_episode
from coldstart_models.siamese.personal import PlaceRecord, choose_place
from coldstart_models.siamese.preparing import PreparedEpisode, Seen, prepare_each
from coldstart_models.siamese.problems import (
    EpisodeSet,
    drawn_episodes,
    known_before,
    past_episodes,
)
from coldstart_models.siamese.rehearsing import (
    CATEGORIES,
    CATEGORY_SHOTS,
    rehearse_all,
    with_shots,
)
from coldstart_models.siamese.season import predictability
from coldstart_models.siamese.selling import choose_weight
from coldstart_models.siamese.sharing import train_together
from coldstart_models.siamese.strangers import PopularitySpread
from coldstart_models.siamese.togetherness import (
    TOGETHER,
    WIDTH,
    FittedTogetherness,
    fit_togetherness,
)
from coldstart_models.siamese.training import Schedule, TrainingRecord, train
from coldstart_models.siamese.weighing import weigh

TRAIN: Final = "train"
"""The record of the towers' learning."""
META: Final = "meta-train"
"""The record of fine-tuning on launches."""
META_SCHEDULE: Final = Schedule(
    steps=160, check_every=20, patience=3, weight_rate=0.01, tower_rate=0.0
)
"""Launches are few and follow the season: meta-training moves the weights alone. With the towers
free, NDCG on a later half-year fell while validation NDCG rose."""

FEWEST_FOR_TOWERS: Final = 140
"""People by whom the towers' learning is stopped. By 60 and 71 it went on where ranking new items
got worse by 17 and 33 %, by 115 to 139 by 1 to 4 %."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What a stage of learning leaves behind while it runs, and what it runs on."""

    checkpoint: Checkpoint | None = None
    curves: Curves | None = None
    device: str = CPU
    """Of the gradient steps, as `processes.found_device` takes it."""
    processes: int = 1
    """That share a step's users."""


@dataclass
class SiameseModel:
    """Everything that training produced and ranking needs."""

    featurizer: Featurizer
    inputs: ItemInputs
    """Of the catalogue that it learned from."""
    fitted: FittedTogetherness
    network: MetaSiamese
    records: dict[str, TrainingRecord] = field(default_factory=dict)
    contest: Contest | None = None
    """How the learner of few shots was chosen; None before meta-training."""
    personal: PlaceRecord | None = None
    """Between the general and the personal; None without validation."""

    def copied(self) -> "SiameseModel":
        """A model that can learn on without changing this one."""
        return replace(self, network=copy.deepcopy(self.network), records=dict(self.records))


def pretrain(
    training: TrainingSet,
    *,
    dates: bool,
    seed: int,
    general: GeneralModel | None = None,
    by_time: bool = True,
    past: EpisodeSet | None = None,
    schedule: Schedule | None = None,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> SiameseModel:
    """Fit the inputs and factors, then the terms' weights, then contrast on held-out items.

    The weights are fitted, and learning is stopped, by launches of the past, of the ranked domain
    where it has enough: groceries tell other things than lamps. By held-out items of every domain
    where there are no launches or the task is not one of them (`by_time` false). The towers learn
    on held-out items of every domain beside the nearest by text that nobody chose with them, which
    are the hard negatives. A shop in which too few people chose anything keeps what it starts with.

    Args:
        general: what other shops taught, to start from; nothing by default.
        past: `past_episodes` of the training set and seed, by whoever has a further use for what
            is found of them; made here by default.
        watch: where learning leaves checkpoints and curves, and what it runs on; by default
            nowhere, and on the processor.

    Raises:
        NotEnoughData: the training set holds no choice of a warm item, or no warm item has content.
        ContractMismatch: the general model is of other encoders than the catalogue.
    """
    if len(training.interactions) == 0:
        raise NotEnoughData(
            "there is no positive event on a known item to learn from; ingest events, and "
            "aggregate them (of a benchmark, move the cutoff to a later date)"
        )
    featurizer, inputs, network = unlearned(training, dates=dates, seed=seed, general=general)
    network.pace.learn(training)
    fitted = fit_togetherness(training.interactions, inputs, seed=seed)
    model = SiameseModel(featurizer, inputs, fitted, network)
    past = past or past_episodes(training, seed=seed, by_time=by_time)
    towers = []
    if min((len(one.chosen) for one in past.validation), default=0) >= FEWEST_FOR_TOWERS:
        rest = known_before(training, past.validation)
        towers = drawn_episodes(rest, np.random.default_rng(seed), kin=True)
    learning = list(prepare_each(towers, training, inputs, {}, seed=seed, dates=dates))
    weighed, validation = (
        list(prepare_each(each, training, inputs, past.seen, seed=seed, dates=dates))
        for each in (past.learning, past.validation)
    )
    if weighed and validation:
        weigh(network, weighed, validation, launches=past.launches)
        choose_event_weights(network, weighed, validation)
    start = copy.deepcopy(network.state_dict())
    _learn(model, learning, validation, TRAIN, seed, schedule, progress, watch or Watch())
    if past.launches:
        keep_if_told(model, start, validation, stage=TRAIN)
    model.personal = choose_place(network, validation)
    if dates:
        told = predictability(training.interactions, inputs.values)
        choose_season_weight(network, [*weighed, *validation], predictability=told)
    _learn_certainty(network, weighed, validation)
    del learning, weighed, validation
    give_back()
    _learn_selling(model, training, past, seed=seed)
    return model


def unlearned(
    training: TrainingSet, *, dates: bool, seed: int, general: GeneralModel | None = None
) -> tuple[Featurizer, ItemInputs, MetaSiamese]:
    """What reads listings, what it reads of the catalogue's, and the network that starts there.

    Raises:
        NotEnoughData: no warm item has content.
        ContractMismatch: the general model is of other encoders than the catalogue.
    """
    featurizer = Featurizer.fit(training.catalogue, training.warm, seed=seed, general=general)
    inputs = featurizer(training.catalogue)
    if not inputs.values:
        raise NotEnoughData(
            "no known item has a photo, a text, attributes or a price to learn from; "
            "ingest listings with content, and encode them"
        )
    widths = {name: values.shape[1] for name, values in inputs.values.items()} | {TOGETHER: WIDTH}
    generator = torch.Generator().manual_seed(seed)
    return featurizer, inputs, MetaSiamese(widths, dates=dates, generator=generator)


def meta_train(
    model: SiameseModel,
    training: TrainingSet,
    *,
    seed: int,
    by_time: bool = True,
    histories: HistoryReader | None = None,
    past: EpisodeSet | None = None,
    learner: str = AUTO,
    schedule: Schedule | None = None,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> SiameseModel:
    """Fine-tune on launch episodes, then choose and train the learner of few shots, in place.

    Where the log has no launches (or no times), or the task is not one of launches
    (`by_time` false), held-out items stand in for them.

    Args:
        past: as in `pretrain`, there of the same model and here with these histories.
        learner: a name of `learners.registry`, or ``auto``: whom `learners.contest` keeps by the
            validation episodes with their first customers known.
        watch: where learning leaves checkpoints and curves, and what it runs on; by default
            nowhere, and on the processor.

    Raises ConfigError where no learner is called so.
    """
    names = list(LEARNERS) if learner == AUTO else [learner]
    learners = [build_learner(name, modalities=len(model.network.scorer.widths)) for name in names]
    episodes = fine_tune(
        model,
        training,
        seed=seed,
        by_time=by_time,
        histories=histories,
        past=past,
        schedule=schedule,
        progress=progress,
        watch=watch,
    )
    learning, validation = rehearsals(model, training, episodes, seed=seed)
    if validation:
        model.network.learner, model.contest = hold_contest(learners, learning, validation)
        judged = next(one for one in learners if one.name == model.contest.kept)
        model.network.certainty.learn_own(validation, judged)
    elif learner != AUTO:
        (model.network.learner,) = learners
        model.network.learner.learn(learning)
    return model


def fine_tune(
    model: SiameseModel,
    training: TrainingSet,
    *,
    seed: int,
    by_time: bool = True,
    histories: HistoryReader | None = None,
    past: EpisodeSet | None = None,
    schedule: Schedule | None = None,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> EpisodeSet:
    """The first half of meta-training: the scorer's weights, in place; returns its episodes.

    The arguments are those of `meta_train`.
    """
    episodes = past or past_episodes(training, seed=seed, by_time=by_time, histories=histories)
    dates = model.network.date_term is not None
    learning, validation = (
        list(prepare_each(each, training, model.inputs, episodes.seen, seed=seed, dates=dates))
        for each in (episodes.learning, episodes.validation)
    )
    schedule = schedule or META_SCHEDULE
    with out_of_season(model.network):
        start = copy.deepcopy(model.network.state_dict())  # as what is learned is judged: no season
        _learn(model, learning, validation, META, seed, schedule, progress, watch or Watch())
        keep_if_told(model, start, validation, stage=META)
        model.personal = choose_place(model.network, validation)
    _learn_certainty(model.network, learning, validation)
    del learning, validation
    give_back()
    _learn_selling(model, training, episodes, seed=seed)
    return episodes


def keep_if_told(
    model: SiameseModel,
    start: dict[str, Tensor],
    validation: Sequence[PreparedEpisode],
    *,
    stage: str,
) -> None:
    """Keep what a stage learned, in place, if a later launch tells it from the start (`doubt`).

    Launches are of another time than the next ones: where one could not tell what was learned,
    later ones lost by it, and on generated data known items as well. Towers that are judged
    by held-out items are not asked this (docs/adr/0038); weights are, of either kind.
    """
    network, record = model.network, model.records[stage]
    if not record.kept_step:
        return
    learned = copy.deepcopy(network.state_dict())
    with_it = ndcg_by_episode(network, validation)
    network.load_state_dict(start)
    if told_better(with_it, ndcg_by_episode(network, validation)):
        network.load_state_dict(learned)
    else:
        model.records[stage] = replace(record, kept_step=0)


def _learn_selling(
    model: SiameseModel, training: TrainingSet, episodes: EpisodeSet, *, seed: int
) -> None:
    """What selling now counts, in place; nothing where nobody can tell.

    Args:
        episodes: of the past; a validation episode of launches is of the past that is needed here.
    """
    seen = next((one.past for one in episodes.validation if one.asked_us is not None), None)
    known = known_episode(training, past=seen)
    if known is None:
        return
    dates = model.network.date_term is not None
    kept = {} if seen is None else episodes.seen  # a past that nobody keeps has an id for now alone
    (prepared,) = prepare_each([known], training, model.inputs, kept, seed=seed, dates=dates)
    choose_weight(model.network, prepared)


def _learn_certainty(
    network: MetaSiamese,
    learning: Sequence[PreparedEpisode],
    validation: Sequence[PreparedEpisode],
) -> None:
    """How sure the scores of people and of strangers are, in place."""
    network.certainty.learn(network, learning, validation)
    if problems := [*learning, *validation]:
        network.strangers = PopularitySpread.learned(problems)


def rehearsals(
    model: SiameseModel,
    training: TrainingSet,
    episodes: EpisodeSet,
    *,
    seed: int,
) -> tuple[list[Rehearsal], list[Rehearsal]]:
    """What few-shot learners learn on, over items and over categories, and what they are judged by.

    Episodes over categories teach who suits whom; how fast a listing found its customers, and so
    its bias, is learned on the others alone. Every rehearsal's first customers are dropped before
    the next are drawn, and the pasts of categories are fitted first, while no rehearsal is kept.

    Args:
        episodes: that weights were learned on.
    """
    generator, log = np.random.default_rng(seed), training.interactions
    dates = model.network.date_term is not None
    ready = partial(prepare_each, training=training, inputs=model.inputs, seed=seed, dates=dates)
    rest = known_before(training, episodes.validation)
    kinds = category_episodes(
        rest, count=CATEGORIES, generator=generator, among=training.rehearsable
    )
    del rest
    of_kinds: Seen = {}
    give_back()  # what the steps took
    list(ready(kinds, seen=of_kinds))
    over_items = rehearse_all(
        model.network,
        ready(with_shots(episodes.learning, log, generator), seen=episodes.seen),
        launches=True,
    )
    over_categories = rehearse_all(
        model.network,
        ready(with_shots(kinds, log, generator, numbers=CATEGORY_SHOTS), seen=of_kinds),
        launches=False,
    )
    del kinds, of_kinds
    validation = rehearse_all(
        model.network,
        ready(with_shots(episodes.validation, log, generator), seen=episodes.seen),
        launches=True,
    )
    return [*over_items, *over_categories], validation


def _learn(
    model: SiameseModel,
    learning: list[PreparedEpisode],
    validation: list[PreparedEpisode],
    stage: str,
    seed: int,
    schedule: Schedule | None,
    progress: Progress | None,
    watch: Watch,
) -> None:
    """Run one stage of learning; with too little to learn on, the start is kept."""
    if not learning or not validation:
        model.records[stage] = TrainingRecord((), 0)
        return
    schedule = schedule or Schedule()
    if watch.processes > 1:
        model.records[stage] = train_together(
            model.network,
            learning,
            validation,
            schedule=schedule,
            seed=seed,
            count=watch.processes,
            device=watch.device,
            progress=progress,
            checkpoint=watch.checkpoint,
            curves=watch.curves,
        )
        return
    model.records[stage] = train(
        model.network,
        learning,
        validation,
        schedule=schedule,
        generator=np.random.default_rng(seed),
        progress=progress,
        checkpoint=watch.checkpoint,
        curves=watch.curves,
        processes=Processes(found_device(watch.device)),
    )
