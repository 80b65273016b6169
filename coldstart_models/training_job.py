"""The jobs `train` and `meta-train`: features in, a stored model and its item features out."""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from coldstart_models.adapting import MAX_SUPPORT
from coldstart_models.artifacts import (
    Contract,
    StoredModel,
    check_contract,
    find_model,
    observe_features,
    save_model,
)
from coldstart_models.config import MOST_EVENTS
from coldstart_models.data.catalogue import Catalogue, load_catalogue
from coldstart_models.data.episodes import first_users
from coldstart_models.data.known_log import KnownLog
from coldstart_models.data.learning_log import LearningLog, read_learning_log
from coldstart_models.data.splits import target_items
from coldstart_models.data.training_histories import FeatureHistories
from coldstart_models.data.traits import TRAITS
from coldstart_models.errors import ConfigError, NotEnoughData
from coldstart_models.experiments.challenger import keep_vectors
from coldstart_models.explaining import SELLING
from coldstart_models.feature_rows import adaptation_rows, vector_rows
from coldstart_models.freed_memory import give_back
from coldstart_models.general.artifact import load_general
from coldstart_models.learning_costs import Cost, Meter
from coldstart_models.online_histories import READ
from coldstart_models.processes import CPU
from coldstart_models.progress import Progress
from coldstart_models.ranker import TrainingSet
from coldstart_models.siamese.checkpoints import Checkpoint
from coldstart_models.siamese.curves import run_folder, tensorboard
from coldstart_models.siamese.event_weights import RECENCY
from coldstart_models.siamese.files import load_folder, save_folder
from coldstart_models.siamese.inputs import PHOTO, TEXT
from coldstart_models.siamese.learners.evidence import Evidence
from coldstart_models.siamese.learners.registry import AUTO
from coldstart_models.siamese.learners.space import Space
from coldstart_models.siamese.packing import pack, pack_deltas, packed_width
from coldstart_models.siamese.population import Population
from coldstart_models.siamese.preparing import history_batch, to_vectors
from coldstart_models.siamese.scorer import Vectors
from coldstart_models.siamese.season import fit_season
from coldstart_models.siamese.stages import META, TRAIN, SiameseModel, Watch, meta_train, pretrain
from coldstart_models.siamese.togetherness import fit_togetherness
from coldstart_models.siamese.training import Schedule
from feature_repo.catalogs.source import Ordering
from feature_repo.erasure import journal
from feature_repo.event_log import event_log
from feature_repo.home import Home
from feature_repo.lineage import Input, file_input, keep_lineage, log_input
from feature_repo.sources import read_records
from feature_repo.store import Store
from validation import tables

FEATURE_SERVICE: Final = "coldstart_v1"
POPULATION_SAMPLE: Final = 2000
COLUMNS: Final = (
    "item_profile:title",
    "item_profile:category",
    "item_profile:price",
    "item_vector:vector",
    "item_adaptation:delta",
    *(f"user_history:{column}" for column in READ),
)
"""Feature columns that ranking reads."""


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a training job made."""

    tag: str
    stage: str
    items: int
    users: int
    events: int
    log_events: int
    """Choices in the whole log; where they are more than `events`, people were drawn."""
    kept_step: int
    checks: tuple[tuple[int, float], ...]
    """(step, NDCG@10 on the validation episodes)"""
    adapted: int
    """New listings that learned from first customers."""
    contest: dict[str, Any] | None = None
    """How the learner of few shots was chosen; None before meta-training."""
    personal: dict[str, Any] | None = None
    """Where validation peaks between the general and the personal; None without validation."""
    general: tuple[str, ...] = ()
    """Shops of the general model that training started from."""
    cost: Cost | None = None
    """Of learning, from reading the log to the model that is stored."""

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "model": self.tag,
            "stage": self.stage,
            "items": self.items,
            "users": self.users,
            "events": self.events,
            "log_events": self.log_events,
            "kept_step": self.kept_step,
            "validation_ndcg@10": [[step, round(value, 5)] for step, value in self.checks],
            "adapted_listings": self.adapted,
            "learner": self.contest,
            "personal": self.personal,
            "general": list(self.general),
            "cost": self.cost.as_dict() if self.cost is not None else None,
        }


def train_job(
    *,
    home: Home,
    now: datetime,
    seed: int = 0,
    dates: bool = False,
    general: Path | None = None,
    schedule: Schedule | None = None,
    device: str = CPU,
    processes: int = 1,
    most_events: int = MOST_EVENTS,
    until: datetime | None = None,
    progress: Progress | None = None,
) -> TrainResult:
    """Train a model on every domain and store it.

    Args:
        dates: whether it may use listing dates and seasons.
        general: a folder of `coldstart pretrain` to start from; by default from nothing.
        device: of the gradient steps, as `processes.found_device` takes it.
        processes: that share a step's users.
        most_events: of choices that are learned from, about: of a longer log some people are drawn.
        until: time-zone aware; nothing that happened later is learned from. By default everything
            is, also what clocks that go ahead date after `now`.

    Raises:
        NotEnoughData: nothing was ingested or nobody chose anything.
        ConfigError: dates are asked for and the log has none.
        ArtifactError: the folder holds no general model.
        ContractMismatch: the general model is of other encoders than the features.
    """
    meter = Meter.of(device, processes)
    read = _inputs(home)
    start = load_general(general) if general is not None else None
    training, log = _learned_from(load_catalogue(home), home, most_events, until)
    if dates and not training.dated:
        raise ConfigError(
            "the model is to use dates, but the events of these sources have none, at most an "
            "order; train without --dates (`dates` under [train] in coldstart.toml)"
        )
    told = start.told() if start is not None else None
    problem = [read, seed, dates, schedule, told, most_events, until]
    with _watched(TRAIN, problem, training, meter, home=home, now=now) as watch:
        model = pretrain(
            training,
            dates=dates,
            seed=seed,
            general=start,
            schedule=schedule,
            progress=meter.counting(progress),
            watch=watch,
        )
        return _publish(
            model,
            training,
            log,
            home=home,
            now=now,
            seed=seed,
            stage=TRAIN,
            read=read,
            most_events=most_events,
            until=until,
            cost=meter.cost(),
            general=told,
        )


def meta_train_job(
    *,
    home: Home,
    now: datetime,
    seed: int | None = None,
    learner: str = AUTO,
    schedule: Schedule | None = None,
    device: str = CPU,
    processes: int = 1,
    most_events: int = MOST_EVENTS,
    until: datetime | None = None,
    progress: Progress | None = None,
) -> TrainResult:
    """Meta-fine-tune the latest model on launch episodes and store the result.

    Histories come point-in-time from the feature store, so no later event can be in one.

    Args:
        seed: by default that of the model. Where items are held out, another one draws for
            validation what the model has learned from.
        learner: of few shots; ``auto`` is whom validation keeps.
        device: as for `train_job`, likewise `processes`, `most_events` and `until`; learners of
            few shots learn on the processor.

    Raises ArtifactError where there is no model yet, ContractMismatch where the features are not
    those it was trained on, ConfigError where no learner is called so.
    """
    meter = Meter.of(device, processes)
    stored = find_model(home)
    check_contract(stored.contract, observe_features(home))
    if seed is None:
        seed = int(stored.metadata["seed"])
    read = _inputs(home)
    training, log = _learned_from(load_catalogue(home), home, most_events, until)
    featurizer, _, network, _ = load_folder(stored.path)
    inputs = featurizer(training.catalogue)
    fitted = fit_togetherness(training.interactions, inputs, seed=seed)
    model = SiameseModel(featurizer, inputs, fitted, network)
    histories = FeatureHistories(Store(home), training) if training.dated else None
    problem = [read, seed, schedule, stored.tag, most_events, until]
    with _watched(META, problem, training, meter, home=home, now=now) as watch:
        meta_train(
            model,
            training,
            seed=seed,
            histories=histories,
            learner=learner,
            schedule=schedule,
            progress=meter.counting(progress),
            watch=watch,
        )
        return _publish(
            model,
            training,
            log,
            home=home,
            now=now,
            seed=seed,
            stage=META,
            read=read,
            most_events=most_events,
            until=until,
            cost=meter.cost(),
            parent=stored,
            general=stored.metadata.get("general"),
        )


@contextmanager
def _watched(
    stage: str,
    problem: list[Any],
    training: TrainingSet,
    meter: Meter,
    *,
    home: Home,
    now: datetime,
) -> Iterator[Watch]:
    """Where a stage leaves its checkpoint, gone once its model is stored, and its curves.

    Args:
        problem: what else decides how it goes: a checkpoint of another problem is not taken up.
    """
    catalogue = training.catalogue
    encoded = [
        (one.encoder_hash, int(one.present.sum())) for one in (catalogue.image, catalogue.text)
    ]
    told = repr([stage, *problem, encoded, version("coldstart-home")])
    key = hashlib.sha256(told.encode()).hexdigest()
    checkpoint = Checkpoint(home.checkpoints / f"{stage}.pt", key)
    with tensorboard(run_folder(home, stage, now)) as curves:
        yield Watch(checkpoint, curves, str(meter.device), meter.processes)
    checkpoint.remove()


def _inputs(home: Home) -> dict[str, Input]:
    """What is about to be read, for the record."""
    if not home.items.exists():
        return {}
    log = log_input(event_log(home).state())
    return {tables.ITEMS.name: file_input(home.items), tables.EVENTS.name: log}


def read_training_set(home: Home, *, most_events: int = MOST_EVENTS) -> TrainingSet:
    """What training learns from, of everything accepted so far; warm is what somebody chose."""
    return training_set(load_catalogue(home), home=home, most_events=most_events)


def training_set(
    catalogue: Catalogue, *, home: Home, most_events: int = MOST_EVENTS
) -> TrainingSet:
    """What the log says of a catalogue's items, of some people alone where it is a long one.

    Raises NotEnoughData where there is no log.
    """
    return _learned_from(catalogue, home, most_events)[0]


def _learned_from(
    catalogue: Catalogue, home: Home, most_events: int, until: datetime | None = None
) -> tuple[TrainingSet, LearningLog]:
    """What is learned from of a log, or of what of it had happened `until` then. Listings that were
    listed later take part by their content alone: nobody has chosen them yet."""
    log = event_log(home)
    if not log.exists():
        raise NotEnoughData(f"no events at {home.events}; ingest a source that has events")
    known = log.state() if until is None else KnownLog(log.state(), until)
    read = read_learning_log(known, catalogue, shots=MAX_SUPPORT, most=most_events)
    give_back()
    orderings = {record.ordering for record in read_records(home.sources).values()}
    training = TrainingSet(
        catalogue,
        read.drawn,
        warm=read.chosen,
        target=target_items(catalogue),
        timed=Ordering.NONE not in orderings,
        dated=orderings <= {Ordering.TIME},
    )
    return training, read


def _publish(
    model: SiameseModel,
    training: TrainingSet,
    log: LearningLog,
    *,
    home: Home,
    now: datetime,
    seed: int,
    stage: str,
    read: Mapping[str, Input],
    most_events: int,
    until: datetime | None,
    cost: Cost,
    parent: StoredModel | None = None,
    general: Mapping[str, Any] | None = None,
) -> TrainResult:
    """Store the model, then replace the item features it makes."""
    give_back()
    catalogue = training.catalogue
    factors, prior = model.fitted.items(model.inputs)
    with torch.inference_mode():
        tower = model.network.scorer.tower(to_vectors(model.inputs, factors))
    if (term := model.network.date_term) is not None and float(term.season_weight):
        values = {name: found.numpy() for name, found in tower.values.items()}
        term.keep(fit_season(training.interactions, values))
    population = _population(model, training, tower)
    record = model.records[stage]
    contest = model.contest.as_dict() if model.contest is not None else None
    personal = model.personal.as_dict() if model.personal is not None else None
    metadata = {
        "stage": stage,
        "seed": seed,
        "parent": parent.tag if parent else None,
        "general": general,
        "kept_step": record.kept_step,
        "validation_ndcg@10": [list(check) for check in record.checks],
        "cost": cost.as_dict(),
        "events": {
            "learned_from": len(training.interactions),
            "log": log.events,
            "share_of_people": log.share,
        },
        "learner": {"name": model.network.learner.name, "contest": contest},
        "personal": personal,
        "terms": {
            **{
                f"{name} {kind}": float(weight)
                for (name, kind), weight in zip(
                    model.network.scorer.terms,
                    model.network.scorer.term_weights.detach(),
                    strict=True,
                )
            },
            SELLING: float(model.network.selling_weight),
        },
        "history": {
            RECENCY: float(model.network.scorer.recency.detach()),
            **dict(zip(TRAITS, model.network.scorer.trait_weights.tolist(), strict=True)),
        },
    }
    with tempfile.TemporaryDirectory() as folder:
        save_folder(
            Path(folder),
            featurizer=model.featurizer,
            head=model.fitted.head,
            network=model.network,
            population=population,
        )
        contract = _contract(model, training.catalogue, home=home, now=now)
        tag = save_model(Path(folder), contract=contract, metadata=metadata, home=home)
    store = Store(home)
    rows = vector_rows(training.catalogue.item_ids, pack(tower, prior), tag=tag)
    store.replace("item_vector", rows.assign(**{tables.EVENT_TIMESTAMP: now}), now=now)
    keep_vectors(home, tag)
    keep_lineage(home, "item_vector", made_by=stage, inputs=read, now=now)
    with journal.alone(home):  # who is erased from here on is dropped from these rows, too
        found = _inputs(home)
        if found[tables.EVENTS.name].version != read[tables.EVENTS.name].version:
            _, log = _learned_from(catalogue, home, most_events, until)  # without who was erased
            read = found
        adapted = _adaptations(model, catalogue, log, tower, prior, population, tag=tag)
        store.replace("item_adaptation", adapted.assign(**{tables.EVENT_TIMESTAMP: now}), now=now)
        keep_lineage(home, "item_adaptation", made_by=stage, inputs=read, now=now)
    return TrainResult(
        tag=tag,
        stage=stage,
        items=len(training.catalogue),
        users=training.interactions.num_users,
        events=len(training.interactions),
        log_events=log.events,
        kept_step=record.kept_step,
        checks=record.checks,
        adapted=len(adapted),
        contest=contest,
        personal=personal,
        general=tuple(one["name"] for one in general["sources"]) if general else (),
        cost=cost,
    )


@torch.inference_mode()
def _population(model: SiameseModel, training: TrainingSet, tower: Vectors) -> Population:
    """Mean and covariance of the profiles of POPULATION_SAMPLE users or more, not twice as
    many.

    Args:
        tower: outputs of every item.
    """
    log = training.interactions
    users = np.flatnonzero(log.matrix().getnnz(axis=1) > 0)
    users = users[:: max(1, len(users) // POPULATION_SAMPLE)]
    profiles = model.network.scorer.profiles(tower, history_batch(log.histories(users)))
    return Population.of(profiles)


@torch.inference_mode()
def _adaptations(
    model: SiameseModel,
    catalogue: Catalogue,
    log: LearningLog,
    tower: Vectors,
    prior: npt.NDArray[np.float32],
    population: Population,
    *,
    tag: str,
) -> pd.DataFrame:
    """`item_adaptation` rows of the new listings that already have customers.

    Args:
        tower: outputs of every item.
        prior: (num_items,) expected log popularity.
    """
    first = log.first
    listings = np.flatnonzero(log.new & (first.item_users() > 0))
    support = first_users(first, listings, shots=MAX_SUPPORT)
    histories = first.histories_before(support.user_index, support.time_us)
    scorer = model.network.scorer
    owner = torch.from_numpy(np.searchsorted(listings, support.item_index))
    space = Space.of(population)
    evidence = Evidence.of(
        scorer.profiles(tower, history_batch(histories)),
        owner,
        torch.from_numpy(support.moments),
        listings=tower.take(torch.from_numpy(listings)),
        prior=torch.from_numpy(prior[listings]),
        space=space,
        pace=model.network.pace,
    )
    weights = model.network.learner.adapt(evidence)
    return adaptation_rows(
        [str(item_id) for item_id in catalogue.item_ids[listings]],
        pack_deltas(space.deltas(weights.vectors), scorer.widths),
        weights.bias.numpy(),
        [int(number) for number in evidence.customers],
        tag=tag,
    )


def _contract(model: SiameseModel, catalogue: Catalogue, *, home: Home, now: datetime) -> Contract:
    read = model.network.scorer.widths
    image, text = catalogue.image, catalogue.text
    sources: Sequence[str] = sorted(read_records(home.sources))
    return Contract(
        feature_service=FEATURE_SERVICE,
        image_encoder=image.encoder if PHOTO in read else "",
        image_encoder_hash=image.encoder_hash if PHOTO in read else "",
        text_encoder=text.encoder if TEXT in read else "",
        text_encoder_hash=text.encoder_hash if TEXT in read else "",
        vector_width=packed_width(model.network.scorer.widths),
        code_version=version("coldstart-home"),
        trained_at=now,
        sources=tuple(sources),
        columns=COLUMNS,
    )
