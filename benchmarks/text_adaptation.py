"""A text encoder before and after it learned a catalogue: ``make bench-text_adaptation``.

As `benchmarks.adaptation` does for photos, a fifth of the items is cold: neither learned from, nor
chosen by. On them is measured how many of a listing's nearest by text are of its category, and how
well content-kNN on texts alone ranks them, by MiniLM as it serves and by what it became. From
categories (``labels``) it learns by itself; from photos (``titles`` in closed form, ``pairs`` by
contrast) as the second half of a pair, without categories.

Heads alone are learned, on vectors that are computed once; ``--lora 8`` lets low-rank changes of
the encoder's linear layers learn as well, and is told in a table of its own. Cells (data, seed,
variant) are measured once and kept in ``benchmarks/results/text_adaptation``.
"""

import argparse
from dataclasses import asdict, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import adaptation, results
from benchmarks.adaptation_cells import SHARE, Cell, Found, Load, Shop, embeddings_of
from benchmarks.choices import part_of
from benchmarks.kept_results import kept, kept_path
from coldstart_models.benchmark_run import SplitPlan, splitter
from coldstart_models.commands import console
from coldstart_models.data.catalogue import FloatMatrix
from coldstart_models.data.pools import cold_pool
from coldstart_models.data.splits import Split
from coldstart_models.domain.adapted import adapt
from coldstart_models.domain.aims import CROSS_ENTROPY, Aims
from coldstart_models.domain.freedom import Freedom
from coldstart_models.domain.setting import Setting
from coldstart_models.domain.study import Study
from coldstart_models.encoder_comparison import cold_ndcg
from coldstart_models.errors import NotBetter
from coldstart_models.metrics import NDCG
from coldstart_models.retrieval import category_labels, same_category, unit
from feature_repo.encoders.encoder import Modality
from feature_repo.encoders.registry import EFFICIENTNET_LITE0, MINILM, load_encoder

NAME: Final = "text_adaptation"
FOLDER: Final = results.FOLDER / NAME
MAPS: Final = adaptation.FOLDER / "maps"
"""Of photos and texts, which the benchmark of photos computes as well."""
METRICS: Final = ("precision@1", "precision@10", NDCG)
DATA: Final = {
    **adaptation.DATA,
    "amazon-2018": "table:{data}/amazon18_industrial_and_scientific",
    "amazon-2023": "table:{data}/amazon23_beauty_health_handmade",
}
PHOTOGRAPHED: Final = tuple(adaptation.DATA)
"""Those whose listings have photos to learn pairs from."""
VARIANTS: Final = {
    "labels": Setting(base=MINILM, aims=Aims(objectives=("labels",))),
    "labels, cross-entropy": Setting(
        base=MINILM, aims=Aims(objectives=("labels",), supervision=CROSS_ENTROPY)
    ),
    "titles": Setting(base=EFFICIENTNET_LITE0, text=MINILM, aims=Aims(objectives=("titles",))),
    "pairs, clip": Setting(base=EFFICIENTNET_LITE0, text=MINILM, aims=Aims(objectives=("pairs",))),
}
"""Name → setting; only labels see categories of the home, and the others its photos."""
Side = dict[str, list[float]]


def main() -> None:
    """Measure what is missing, and publish."""
    options = _options()
    rows = []
    for name in options.shops:
        shop = adaptation.shop_of(name, DATA[name].format(data=options.data))
        for variant in options.variants:
            setting = VARIANTS[variant]
            if setting.aims.needs_text and name not in PHOTOGRAPHED:
                continue
            found = [
                _result(shop, variant, with_lora(setting, options.lora, seed), options)
                for seed in range(options.seeds)
            ]
            cells = [as_cell(one, shop) for one in found if one is not None]
            if cells:
                rows.append(adaptation.row_of(name, variant, cells, metrics=METRICS))
    if not rows:
        raise SystemExit("nothing was measured yet; leave out --no-measuring")
    results.publish(
        f"{NAME}_lora_{options.lora}" if options.lora else NAME,
        title="A text encoder before → after adaptation, on held-out items",
        rows=rows,
        base=MINILM,
        held_out=SHARE,
        rank_of_changes=options.lora,
    )


@cache
def _hash(name: str) -> str:
    """Of an encoder, which is not kept: adapting changes it."""
    return load_encoder(name).hash


def with_lora(setting: Setting, rank: int, seed: int) -> Setting:
    """The setting with a seed; where there is a loss to descend, with changes of so high a rank."""
    freedom = Freedom(rank=rank if setting.aims.learns else 0)
    if setting.text is None:
        return replace(setting, seed=seed, freedom=freedom)
    return replace(setting, seed=seed, text_freedom=freedom)


def _result(
    shop: Shop, variant: str, setting: Setting, options: argparse.Namespace
) -> dict[str, Any] | None:
    """Measured now or before; None where it is not to be measured now."""
    path = kept_path(
        FOLDER / "cells",
        f"{shop.name}-{setting.seed}-{variant.replace(', ', '-')}",
        asked=[repr(setting), SHARE],
        fingerprint=[shop.fingerprint, *(_hash(name) for name in (setting.base, MINILM))],
        modules=[f"benchmarks.{NAME}"],
    )
    if options.no_measuring and not path.exists():
        return None
    found = kept(path, partial(measured, shop, setting, out=FOLDER, maps=MAPS, load=load_encoder))
    gain = np.mean(found["after"]["precision@10"]) / np.mean(found["whole"]["precision@10"]) - 1
    told = "" if found["better"] else " (the base is kept)"
    console.say(f"{shop.name}, {variant}, seed {setting.seed}: precision@10 {gain:+.1%}{told}")
    return found


def measured(shop: Shop, setting: Setting, *, out: Path, maps: Path, load: Load) -> dict[str, Any]:
    """What the text encoder finds as it serves, where learning starts, and after it.

    Args:
        out: for the artifact.
        maps: for vectors that are computed once.
    """
    split = splitter(shop.stored, SplitPlan(random_items=SHARE))(setting.seed)
    seen: list[Side] = []

    def watch(study: Study) -> None:
        assert study.text is not None
        rows = np.arange(study.targets)
        if not seen:
            seen.append(_side(study, unit(study.text.all_features(rows)), shop, split))
        seen.append(_side(study, study.text.vectors(rows), shop, split))

    told = {"seed": setting.seed, "setting": asdict(setting)}
    try:
        adapt(
            shop.target,
            setting,
            load=load,
            out=out / ("pair" if setting.aims.needs_text else "artifact"),
            cache=maps,
            hold=set(shop.stored.catalogue.item_ids[split.cold]),
            watch=watch,
        )
    except NotBetter as reason:
        console.say(f"{shop.name}: {reason}")
        whole, start = seen
        return told | {"better": False, "whole": whole, "start": start, "after": whole}
    whole, start, after = seen
    return told | {"better": True, "whole": whole, "start": start, "after": after}


def _side(study: Study, vectors: FloatMatrix, shop: Shop, split: Split) -> Side:
    """Of the held-out items with a category, and of users, what these vectors find."""
    catalogue, held = shop.stored.catalogue, study.cut.hold
    place = catalogue.index(list(study.examples.ids[: study.targets]))
    paths = [study.examples.categories[row] for row in held]
    known = [label is not None for label in category_labels(paths)]
    precision = np.asarray(same_category(vectors[held], paths), np.float64)
    users = cold_pool(split).task.user_index
    ndcg = cold_ndcg(embeddings_of(study, vectors, catalogue), Modality.TEXT, catalogue, split)
    return {
        "items": place[held[known]].tolist(),
        "precision@1": precision[:, 0].tolist(),
        "precision@10": precision[:, 1].tolist(),
        "users": users[:: -(-len(users) // len(ndcg))].tolist(),
        NDCG: ndcg[:, 0].tolist(),
    }


def as_cell(result: dict[str, Any], shop: Shop) -> Cell:
    """A kept result as the arrays that rows are made of."""
    items, users = len(shop.stored.catalogue), _users(shop)
    whole, start, after = (
        found_of(result[side], items=items, users=users) for side in ("whole", "start", "after")
    )
    return Cell(whole, start, after, better=result["better"])


def found_of(side: Side, *, items: int, users: int) -> Found:
    """NaN where nothing was measured; no title is looked for by a photo."""
    precision, ndcg = np.full((items, 3), np.nan), np.full((users, 1), np.nan)
    rows = np.asarray(side["items"], np.int64)
    precision[rows, 0], precision[rows, 1] = side["precision@1"], side["precision@10"]
    ndcg[np.asarray(side["users"], np.int64), 0] = side[NDCG]
    return Found(precision, ndcg)


def _users(shop: Shop) -> int:
    """Of the log that splits number them by."""
    return len(splitter(shop.stored, SplitPlan(random_items=SHARE))(0).truth.user_ids)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"benchmarks.{NAME}", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the data sets")
    parser.add_argument(
        "--shops", type=part_of(DATA, ";"), default=tuple(DATA), help="; ".join(DATA)
    )
    parser.add_argument(
        "--variants", type=part_of(VARIANTS, ";"), default=tuple(VARIANTS), help="; ".join(VARIANTS)
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--lora", type=int, default=0, help="rank of changes to linear layers")
    parser.add_argument("--no-measuring", action="store_true", help="publish what was measured")
    return parser.parse_args()


if __name__ == "__main__":
    main()
