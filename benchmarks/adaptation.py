"""Encoders before and after they learned a domain: ``make bench-adaptation ARGS='--data DIR'``.

Clothing photos → IKEA's, and the generated marketplace's other departments → its home. A fifth of
the items is cold: neither learned from, nor chosen by. On them is measured how many of a photo's
nearest are of its category, how often a title finds its photo (by a ridge map that the other items
teach, or in the shared space), and how well content-kNN on photos alone ranks them.

Cells (data, seed, variant) are measured once and kept in ``benchmarks/results/adaptation``.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from benchmarks import results
from coldstart_models.benchmark_run import SplitPlan, StoredSource, read_stored, splitter
from coldstart_models.commands import console
from coldstart_models.data.catalogue import Embeddings, FloatMatrix
from coldstart_models.data.pools import cold_pool
from coldstart_models.data.splits import Split
from coldstart_models.domain.adapted import adapt
from coldstart_models.domain.aims import Aims
from coldstart_models.domain.examples import Examples, of_folder, of_home
from coldstart_models.domain.feature_maps import text_vectors
from coldstart_models.domain.freedom import Freedom
from coldstart_models.domain.judging import own_ranks
from coldstart_models.domain.study import Setting, Study
from coldstart_models.domain.towers import ridge_head
from coldstart_models.encoder_comparison import cold_ndcg
from coldstart_models.errors import NotBetter
from coldstart_models.metrics import NDCG, FloatArray, bootstrap_intervals, seed_means
from coldstart_models.retrieval import DEPTHS, category_labels, same_category
from feature_repo.catalogs.registry import open_source, resolved
from feature_repo.encoders.encoder import Modality
from feature_repo.encoders.registry import EFFICIENTNET_LITE0, MINILM, load_encoder
from feature_repo.home import Home
from feature_repo.jobs.ingest import ingest
from validation import gate
from validation.whole_files import replacing

AS_OF: Final = datetime(2026, 11, 1, tzinfo=UTC)
FOLDER: Final = results.FOLDER / "adaptation"
MAPS: Final = FOLDER / "maps"
SHARE: Final = 0.2
METRICS: Final = ("precision@1", "precision@10", "recall@10", "ndcg@10")
DATA: Final = {"ikea": "table:{data}/ikea", "marketplace": "marketplace"}


def _variant(*objectives: str, **changes: Any) -> Setting:
    aims = Aims(objectives=objectives, **changes)
    setting = Setting(base=EFFICIENTNET_LITE0, text=MINILM if aims.needs_text else None, aims=aims)
    return setting if aims.learns else replace(setting, freedom=Freedom())


VARIANTS: Final = {
    "adabn": _variant(align="adabn"),
    "source + coral": _variant("source", align="coral"),
    "source + dann": _variant("source", align="dann"),
    "photos alone": _variant("views", "neighbours"),
    "titles": _variant("titles"),
    "pairs, clip": _variant("pairs"),
    "pairs, siglip": _variant("pairs", contrast="siglip"),
    "labels": _variant("labels"),
    "labels + pairs": _variant("labels", "pairs"),
}
"""Name → setting; only labels see categories of the home, and pairs and titles its titles."""


@dataclass(frozen=True, slots=True)
class Shop:
    """One data set, its cold items drawn by the seed."""

    name: str
    stored: StoredSource
    target: Examples
    source: Examples | None


@dataclass(frozen=True, slots=True)
class Found:
    """What one encoder finds: each column NaN where it was not measured."""

    items: FloatArray
    """(N, 3) precision at 1 and 10 and recall at 10 of each item of the catalogue."""
    users: FloatArray
    """(U, 1) NDCG of each user."""


def main() -> None:
    """Measure what is missing, and publish."""
    options = _options()
    rows = []
    for name in options.shops:
        shop = _shop(name, options.data)
        for variant in options.variants:
            cells = [
                _cell(shop, variant, seed, only_kept=options.no_measuring)
                for seed in range(options.seeds)
            ]
            there = [cell for cell in cells if cell is not None]
            if there:
                rows.append(_row(shop.name, variant, there))
    results.publish(
        "adaptation",
        title="Encoders before → after adaptation, on held-out items",
        rows=rows,
        base=EFFICIENTNET_LITE0,
        held_out=SHARE,
    )


def _cell(
    shop: Shop, variant: str, seed: int, *, only_kept: bool
) -> tuple[Found, Found, bool] | None:
    """Before, after and whether anything better was found; kept in a file."""
    setting = replace(VARIANTS[variant], seed=seed)
    digest = sha256(f"{setting!r} {shop.name} {len(shop.target)}".encode()).hexdigest()[:16]
    path = FOLDER / "cells" / f"{digest}.npz"
    if not path.exists():
        if only_kept:
            return None
        before, after, better = _measured(shop, setting)
        with replacing(path) as partial, partial.open("wb") as file:
            np.savez(
                file,
                before_items=before.items,
                before_users=before.users,
                after_items=after.items,
                after_users=after.users,
                better=better,
            )
        told = np.nanmean(after.items[:, 1]) / np.nanmean(before.items[:, 1]) - 1
        console.say(f"{shop.name}, {variant}, seed {seed}: precision@10 {told:+.1%}")
    with np.load(path) as kept:
        return (
            Found(kept["before_items"], kept["before_users"]),
            Found(kept["after_items"], kept["after_users"]),
            bool(kept["better"]),
        )


def _measured(shop: Shop, setting: Setting) -> tuple[Found, Found, bool]:
    split = splitter(shop.stored, SplitPlan(random_items=SHARE))(setting.seed)
    seen: list[Found] = []
    try:
        adapt(
            shop.target,
            setting,
            load=load_encoder,
            out=FOLDER / ("pair" if setting.aims.needs_text else "artifact"),
            cache=MAPS,
            source=shop.source,
            hold=set(shop.stored.catalogue.item_ids[split.cold]),
            watch=lambda study: seen.append(_found(study, shop, split, learned=bool(seen))),
        )
    except NotBetter as reason:
        console.say(f"{shop.name}: {reason}")
        return seen[0], seen[0], False
    return seen[0], seen[1], True


def _found(study: Study, shop: Shop, split: Split, *, learned: bool) -> Found:
    """What the photo tower finds as it is."""
    assert study.photo is not None
    catalogue, held = shop.stored.catalogue, study.cut.hold
    vectors = study.photo.vectors(np.arange(study.targets))
    place = catalogue.index(list(study.examples.ids[: study.targets]))
    items = np.full((len(catalogue), 3), np.nan)
    paths = [study.examples.categories[row] for row in held]
    known = [label is not None for label in category_labels(paths)]
    items[place[held[known]], :2] = same_category(vectors[held], paths)
    items[place[held], 2] = _title_recall(study, vectors, shared=learned)
    whole, present = np.zeros((len(catalogue), vectors.shape[1]), np.float32), place
    whole[place] = vectors
    embeddings = Embeddings(whole, np.isin(np.arange(len(catalogue)), present), "", "")
    users = np.full((len(split.truth.user_ids), 1), np.nan)
    users[cold_pool(split).task.user_index] = cold_ndcg(
        embeddings, Modality.IMAGE, catalogue, split
    )
    return Found(items, users)


def _title_recall(study: Study, photos: FloatMatrix, *, shared: bool) -> FloatArray:
    """(H,) whether each held-out title finds its photo among the first ten of the held-out ones.

    In the shared space where one was learned; else titles are those of the base's text encoder, and
    photos are mapped to them as the items that were learned from teach.
    """
    held, learned = study.cut.hold, study.cut.learn
    if shared and study.text is not None:
        titles, answers = study.text.vectors(held), photos[held]
    else:
        texts = [text or "" for text in study.examples.texts[: study.targets]]
        vectors = text_vectors(texts, encoder=load_encoder(MINILM), folder=MAPS)
        told = np.array([text != "" for text in texts])
        rows = learned[told[learned]]
        head = ridge_head(photos[rows], vectors[rows])
        centre = vectors[rows].mean(axis=0)
        titles = vectors[held] - centre
        answers = head(torch.from_numpy(photos[held])).detach().numpy() - centre
    ranks = own_ranks(titles, answers)
    return np.asarray(ranks < max(DEPTHS), dtype=np.float64)


def _row(shop: str, variant: str, cells: Sequence[tuple[Found, Found, bool]]) -> results.Row:
    """Means over seeds before and after, and the gains with intervals over items or users."""
    row: dict[str, str | int | float] = {
        "data": shop,
        "variant": variant,
        "seeds": len(cells),
        "better": sum(better for *_, better in cells),
    }
    for number, name in enumerate(METRICS):
        before, after = (
            np.stack([one.users if name == NDCG else one.items[:, [number]] for one in side])
            for side in ([first for first, *_ in cells], [last for _, last, _ in cells])
        )
        if np.isnan(before).all():
            row[name] = "–"
            continue
        start, end = float(seed_means(before)[0]), float(seed_means(after)[0])
        low, high = bootstrap_intervals(after - before, seed=0)[0] / start
        gain = end / start - 1
        row[name] = f"{start:.4f} → {end:.4f}, {gain:+.1%} ({low:+.1%} to {high:+.1%})"
    return row


def _shop(name: str, data: Path) -> Shop:
    """Ingest the data where that has not been done; no encoder runs."""
    home = Home((FOLDER / "stores" / name).resolve())
    if not home.items.exists():
        spec = resolved(DATA[name].format(data=data))
        source = open_source(spec, photos=home.photos, as_of=AS_OF)
        ingest(source, home=home, spec=spec, now=AS_OF, gate=gate)
    target, source_examples = of_home(home)
    if name == "ikea":
        source_examples = of_folder(data / "clothing_images")
    return Shop(name, read_stored(home), target, source_examples)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.adaptation", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the data sets")
    parser.add_argument("--shops", type=_names, default=tuple(DATA), help=", ".join(DATA))
    parser.add_argument(
        "--variants", type=_names, default=tuple(VARIANTS), help="; ".join(VARIANTS)
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--no-measuring", action="store_true", help="publish what was measured")
    return parser.parse_args()


def _names(given: str) -> tuple[str, ...]:
    """Separated by semicolons: names of variants have commas."""
    return tuple(part.strip() for part in given.split(";") if part.strip())


if __name__ == "__main__":
    main()
