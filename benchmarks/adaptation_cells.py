"""One cell of the benchmark of adaptation: what one variant and seed finds, before and after.

A cell is measured once and kept in a file that is named by all it depends on: the setting, the
shop's contents, the encoders and the code.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Final

import numpy as np
import torch

from benchmarks.code_versions import code_version
from coldstart_models.benchmark_run import SplitPlan, StoredSource, splitter
from coldstart_models.commands import console
from coldstart_models.data.catalogue import Catalogue, Embeddings, FloatMatrix
from coldstart_models.data.pools import cold_pool
from coldstart_models.data.splits import Split
from coldstart_models.domain.adapted import adapt
from coldstart_models.domain.examples import Examples, digest
from coldstart_models.domain.feature_maps import text_vectors
from coldstart_models.domain.setting import Setting
from coldstart_models.domain.study import Study
from coldstart_models.domain.towers import PENALTIES, ridge_head
from coldstart_models.encoder_comparison import cold_ndcg
from coldstart_models.errors import NotBetter
from coldstart_models.metrics import FloatArray
from coldstart_models.retrieval import DEPTHS, category_labels, own_ranks, same_category
from feature_repo.encoders.encoder import Encoder, Modality
from feature_repo.encoders.registry import MINILM
from validation.whole_files import replacing

SHARE: Final = 0.2
"""Of the items that are cold."""
Load = Callable[[str], Encoder]


@dataclass(frozen=True)
class Shop:
    """One data set, its cold items drawn by the seed."""

    name: str
    stored: StoredSource
    target: Examples
    source: Examples | None

    @cached_property
    def fingerprint(self) -> str:
        """Of the contents of photos, texts and the log."""
        log = self.stored.events.to_csv(index=False)
        elsewhere = self.source.digest() if self.source is not None else ""
        return digest(self.name, log, self.target.digest(), elsewhere)


@dataclass(frozen=True, slots=True)
class Found:
    """What one encoder finds: each column NaN where it was not measured."""

    items: FloatArray
    """(N, 3) precision at 1 and 10 and recall at 10 of each item of the catalogue."""
    users: FloatArray
    """(U, 1) NDCG of each user."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One variant and seed."""

    whole: Found
    """The base as it serves."""
    cut: Found
    """Its principal components, from which is learned."""
    after: Found
    """The base's again where nothing better was found."""
    better: bool


def cell(
    shop: Shop, setting: Setting, *, told: str, folder: Path, load: Load, only_kept: bool
) -> Cell | None:
    """The cell from its file, measured first where there is none; None where that is not wanted.

    Args:
        told: what the cell is called.
        folder: for the cells, and what is computed for them.
    """
    hashes = [_hash(load, name) for name in (setting.base, MINILM)]
    asked = replace(setting, base=setting.base.partition(":")[0])  # a file is known by its hash
    key = digest(repr(asked), SHARE, shop.fingerprint, *hashes, code_version(__name__))[:16]
    path = folder / "cells" / f"{key}.npz"
    if not path.exists():
        if only_kept:
            return None
        _write(_measured(shop, setting, folder=folder, load=load), path)
    found = _read(path)
    gain = np.nanmean(found.after.items[:, 1]) / np.nanmean(found.whole.items[:, 1]) - 1
    console.say(f"{told}: precision@10 {gain:+.1%}{'' if found.better else ' (the base is kept)'}")
    return found


@cache
def _hash(load: Load, name: str) -> str:
    """Of an encoder, which is not kept: adapting changes it."""
    return load(name).hash


def _write(one: Cell, path: Path) -> None:
    arrays = {
        f"{side}_{field.name}": getattr(getattr(one, side), field.name)
        for side in ("whole", "cut", "after")
        for field in fields(Found)
    }
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, better=one.better, **arrays)


def _read(path: Path) -> Cell:
    with np.load(path) as kept:
        whole, cut, after = (
            Found(*(kept[f"{side}_{field.name}"] for field in fields(Found)))
            for side in ("whole", "cut", "after")
        )
        return Cell(whole, cut, after, better=bool(kept["better"]))


def _measured(shop: Shop, setting: Setting, *, folder: Path, load: Load) -> Cell:
    split = splitter(shop.stored, SplitPlan(random_items=SHARE))(setting.seed)
    seen: list[Found] = []

    def watch(study: Study) -> None:
        if not seen:
            with study.at_full_width():
                seen.append(_found(study, shop, split, folder, load, shared=False))
        shared = len(seen) > 1 and study.text is not None
        seen.append(_found(study, shop, split, folder, load, shared=shared))

    try:
        adapt(
            shop.target,
            setting,
            load=load,
            out=folder / ("pair" if setting.aims.needs_text else "artifact"),
            cache=folder / "maps",
            source=shop.source if setting.aims.needs_source else None,
            hold=set(shop.stored.catalogue.item_ids[split.cold]),
            watch=watch,
        )
    except NotBetter as reason:
        console.say(f"{shop.name}: {reason}")
        return Cell(seen[0], seen[1], seen[0], better=False)
    whole, cut, after = seen
    return Cell(whole, cut, after, better=True)


def _found(
    study: Study, shop: Shop, split: Split, folder: Path, load: Load, *, shared: bool
) -> Found:
    """What the photo tower finds as it is."""
    assert study.photo is not None
    catalogue, held = shop.stored.catalogue, study.cut.hold
    vectors = study.photo.vectors(np.arange(study.targets))
    place = catalogue.index(list(study.examples.ids[: study.targets]))
    items = np.full((len(catalogue), 3), np.nan)
    paths = [study.examples.categories[row] for row in held]
    known = [label is not None for label in category_labels(paths)]
    items[place[held[known]], :2] = same_category(vectors[held], paths)
    items[place[held], 2] = _title_recall(study, vectors, folder, load, shared=shared)
    users = np.full((len(split.truth.user_ids), 1), np.nan)
    users[cold_pool(split).task.user_index] = cold_ndcg(
        embeddings_of(study, vectors, catalogue), Modality.IMAGE, catalogue, split
    )
    return Found(items, users)


def embeddings_of(study: Study, vectors: FloatMatrix, catalogue: Catalogue) -> Embeddings:
    """Vectors of a study's listings, in the catalogue's order."""
    place = catalogue.index(list(study.examples.ids[: study.targets]))
    whole = np.zeros((len(catalogue), vectors.shape[1]), np.float32)
    whole[place] = vectors
    present = np.zeros(len(catalogue), bool)
    present[place] = True
    return Embeddings(whole, present, "", "")


def _title_recall(
    study: Study, photos: FloatMatrix, folder: Path, load: Load, *, shared: bool
) -> FloatArray:
    """(H,) whether each held-out title finds its photo among the first ten of the held-out ones.

    In the shared space where one was learned; else titles are MiniLM's, and photos are mapped to
    them as the items that were learned from teach, by the ridge that is best on validation items.
    """
    held, judging = study.cut.hold, study.cut.validate
    if shared and study.text is not None:
        return _within(study.text.vectors(held), photos[held])
    texts = [text or "" for text in study.examples.texts[: study.targets]]
    vectors = text_vectors(texts, encoder=load(MINILM), folder=folder / "maps")
    learned = np.array([row for row in study.cut.learn if texts[row]])
    centre = vectors[learned].mean(axis=0)
    best, chosen = -1.0, np.zeros(0)
    for penalty in PENALTIES:
        head = ridge_head(photos[learned], vectors[learned], penalty=penalty)
        mapped = head(torch.from_numpy(photos)).detach().numpy() - centre
        score = float(_within(vectors[judging] - centre, mapped[judging]).mean())
        if score > best:
            best, chosen = score, _within(vectors[held] - centre, mapped[held])
    return chosen


def _within(titles: FloatMatrix, photos: FloatMatrix) -> FloatArray:
    return np.asarray(own_ranks(titles, photos) < max(DEPTHS), dtype=np.float64)
