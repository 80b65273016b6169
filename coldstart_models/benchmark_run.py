"""A benchmark from the source on: a store of its own, then the protocol on it.

Nothing of the product's state is read or written: everything happens in one folder, which a
later run may take up again.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from coldstart_models.benchmark_result import BenchmarkResult
from coldstart_models.benchmarking import DEFAULT_SHOTS, benchmark
from coldstart_models.data.catalogue import Catalogue, load_catalogue
from coldstart_models.data.interactions import read_interactions
from coldstart_models.data.splits import (
    Split,
    cutoff_split,
    first_seen_us,
    random_items_split,
)
from coldstart_models.errors import ConfigError
from coldstart_models.models import MODELS
from coldstart_models.progress import StepProgress
from feature_repo.catalogs.source import Ordering
from feature_repo.event_log import event_log
from feature_repo.home import Home
from feature_repo.sources import SourceRecord, read_records
from validation import tables

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Encoders:
    """Names for `encoders.registry.load_encoder`; None leaves a modality out."""

    image: str | None = "efficientnet-lite0"
    text: str | None = "minilm"


DEFAULT_ENCODERS: Final = Encoders()


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """How to cut: at a date, or by a share of the items; exactly one of them."""

    cutoff: datetime | None = None
    random_items: float | None = None

    def __post_init__(self) -> None:
        if (self.cutoff is None) == (self.random_items is None):
            raise ConfigError(
                "give either a cutoff (--cutoff 2010-07-01) or a share of the items "
                "(--random-items 0.2)"
            )


@dataclass(frozen=True, slots=True)
class StoredSource:
    """One ingested source, read back from a state folder."""

    record: SourceRecord
    catalogue: Catalogue
    events: pd.DataFrame
    truth: pd.DataFrame | None


def run_benchmark(
    spec: str,
    *,
    workdir: Path,
    plan: SplitPlan,
    now: datetime,
    models: Sequence[str] = tuple(MODELS),
    shots: Sequence[int] = DEFAULT_SHOTS,
    seeds: int = 1,
    domain: str | None = None,
    as_of: datetime | None = None,
    mapping: Path | None = None,
    encoders: Encoders = DEFAULT_ENCODERS,
    rankings: Path | None = None,
    progress: StepProgress | None = None,
) -> BenchmarkResult:
    """Ingest, extract, aggregate, apply and materialize a source, then measure models on it.

    Args:
        spec: a source, as `catalogs.registry.open_source` takes it.
        workdir: the store's folder. One that holds this source already is taken up where it
            stopped; its source is not read again.
        plan: how to cut.
        now: time-zone aware; events after it are held back.
        domain: the ranked department, where it is not ``home``.
        as_of: when a generated source's log ends; `now` by default.
        mapping: for ``table:DIR``.
        encoders: of photos and text; None leaves a modality out.
        progress: told the steps' names and how far they are.

    The other arguments are those of :func:`benchmarking.benchmark`.

    Raises:
        ConfigError: the folder holds another source, or as `benchmark` says.
    """
    home = Home(workdir.resolve())
    if _holds(spec, home):
        log.warning(
            "%s holds %s and is taken up as it was ingested: what its files or the mapping say "
            "since is not read; name another folder for that",
            *(home.root, spec),
        )
    build_store(
        spec,
        home=home,
        now=now,
        as_of=as_of or now,
        mapping=mapping,
        encoders=encoders,
        progress=progress,
    )
    stored = read_stored(home, until=now)
    return benchmark(
        source=stored.record.name,
        catalogue=stored.catalogue,
        interactions_split=splitter(stored, plan, domain=domain),
        models=models,
        shots=shots,
        seeds=seeds,
        truth=stored.truth,
        generated=stored.record.generated,
        rankings=rankings,
        progress=progress("benchmark") if progress else None,
    )


def build_store(
    spec: str,
    *,
    home: Home,
    now: datetime,
    as_of: datetime,
    mapping: Path | None = None,
    encoders: Encoders = DEFAULT_ENCODERS,
    progress: StepProgress | None = None,
) -> None:
    """Bring a source into the folder, up to its online store; done steps are cheap to repeat."""
    from feature_repo.jobs.aggregate import aggregate
    from feature_repo.store import Store

    encode_source(
        spec,
        home=home,
        now=now,
        as_of=as_of,
        mapping=mapping,
        encoders=encoders,
        progress=progress,
    )
    aggregate(home=home, now=now, progress=progress("aggregate") if progress else None)
    store = Store(home)
    store.apply()
    store.materialize(progress=progress("materialize") if progress else None)


def encode_source(
    spec: str,
    *,
    home: Home,
    now: datetime,
    as_of: datetime,
    mapping: Path | None = None,
    encoders: Encoders = DEFAULT_ENCODERS,
    progress: StepProgress | None = None,
) -> None:
    """Ingest a source into the folder and encode it: all that learning from a shop needs.

    Raises as `ingest_source` does.
    """
    from feature_repo.jobs.extract import extract
    from feature_repo.jobs.switch import use_encoder

    ingest_source(
        spec,
        home=home,
        now=now,
        as_of=as_of,
        mapping=mapping,
        encoders=encoders,
        progress=progress,
    )
    extracted = extract(
        home=home,
        now=now,
        image_encoder=encoders.image,
        text_encoder=encoders.text,
        progress=progress("extract") if progress else None,
    )
    for one in extracted.modalities.values():
        if not one.serves:  # the folder was made with another encoder
            use_encoder(one.encoder_hash, home=home, now=now)


def ingest_source(
    spec: str,
    *,
    home: Home,
    now: datetime,
    as_of: datetime,
    mapping: Path | None = None,
    encoders: Encoders = DEFAULT_ENCODERS,
    progress: StepProgress | None = None,
) -> None:
    """Ingest a source into the folder, unless it is there.

    Args:
        encoders: that are to encode it; asked for first, as ingesting may take long.

    Raises:
        ConfigError: the folder holds another source.
        EncoderError: an encoder cannot be loaded.
        SourceError: the source cannot be read.
    """
    from feature_repo.catalogs.registry import open_source
    from feature_repo.jobs.extract import require_encoders
    from feature_repo.jobs.ingest import ingest
    from validation import gate

    if _holds(spec, home):
        return
    require_encoders(image=encoders.image, text=encoders.text)
    source = open_source(
        spec,
        photos=home.photos,
        as_of=as_of,
        mapping=mapping,
        progress=progress("read") if progress else None,
    )
    ingest(
        source,
        home=home,
        gate=gate,
        now=now,
        spec=spec,
        progress=progress("ingest") if progress else None,
    )


def _holds(spec: str, home: Home) -> bool:
    """Whether the folder holds this source. Raises ConfigError if it holds another."""
    from feature_repo.catalogs.registry import resolved

    specs = [record.spec for record in read_records(home.sources).values()]
    if not specs:
        return False
    if specs != [resolved(spec)]:
        raise ConfigError(
            f"{home.root} holds {', '.join(specs)}, not {resolved(spec)}; give the benchmark a "
            "folder of its own, or an empty one"
        )
    return True


def read_stored(home: Home, *, until: datetime | None = None) -> StoredSource:
    """The folder's one source, with its features. Raises ConfigError where there are several.

    Args:
        until: time-zone aware; later events, which a kept folder may hold, are not read, nor items
            that were listed later and that nobody had met before.
    """
    records = list(read_records(home.sources).values())
    if len(records) != 1:
        names = ", ".join(record.name for record in records)
        raise ConfigError(
            f"a benchmark needs a folder with one source; {home.root} has "
            f"{names or 'none: run `coldstart ingest SOURCE`'}"
        )
    record = records[0]
    truth = pq.read_table(home.truth).to_pandas() if record.truth else None
    events, catalogue = event_log(home).read().to_pandas(), load_catalogue(home)
    if until is not None:
        events = events[events[tables.EVENT_TIMESTAMP] <= until].reset_index(drop=True)
        catalogue = _known(catalogue, events, until)
    return StoredSource(record, catalogue, events, truth)


def _known(catalogue: Catalogue, events: pd.DataFrame, until: datetime) -> Catalogue:
    """The items that were there: listed by then, or without a date, or in an event before it."""
    listed = pd.to_datetime(catalogue.frame[tables.LISTED_AT], utc=True)
    met = catalogue.frame[tables.ITEM_ID].isin(events[tables.ITEM_ID].unique())
    there = (~(listed > until) | met).to_numpy(dtype=bool)
    return catalogue if there.all() else catalogue.take(np.flatnonzero(there))


def splitter(
    stored: StoredSource, plan: SplitPlan, *, domain: str | None = None
) -> Callable[[int], Split]:
    """Seed → split of the stored source, by plan."""
    catalogue, ordering = stored.catalogue, stored.record.ordering
    interactions = read_interactions(stored.events, catalogue)
    dated = ordering == Ordering.TIME
    seen_us = first_seen_us(stored.events, catalogue) if dated else None
    if plan.cutoff is not None:
        split = cutoff_split(
            catalogue, interactions, plan.cutoff, dated=dated, seen_us=seen_us, domain=domain
        )
        return lambda seed: split
    assert plan.random_items is not None  # the plan holds one of the two
    at_random = partial(
        random_items_split,
        catalogue,
        interactions,
        plan.random_items,
        timed=ordering != Ordering.NONE,
        dated=dated,
        seen_us=seen_us,
        domain=domain,
    )
    return lambda seed: at_random(seed=seed)
