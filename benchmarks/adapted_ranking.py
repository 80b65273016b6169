"""What photos that learned a shop add to the whole model: ``make bench-adapted_ranking``.

``ARGS='--data DIR'`` says where the data is. IKEA's photo encoder learns from the items that are
not cold, its last three blocks as well, by the variant of `benchmarks.adaptation` after which
content-kNN on photos gains the most. Then the cold items are ranked by the photos as they were and
as they became: by content-kNN on photos, by the Siamese scorer on photos alone, and by the Siamese
scorer with all that listings say. Seeds are measured once and kept in
``benchmarks/results/adapted_ranking``.
"""

import argparse
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from benchmarks import adaptation, results
from benchmarks.adaptation_cells import Load, Shop, embeddings_of
from benchmarks.choices import part_of
from benchmarks.grid import GRID, open_cut, photos_alone
from benchmarks.kept_results import kept, kept_path
from benchmarks.quality import QUALITY
from coldstart_models.commands import console
from coldstart_models.data.catalogue import Catalogue, Embeddings
from coldstart_models.data.pools import cold_pool
from coldstart_models.data.splits import Split
from coldstart_models.domain.adapted import adapt
from coldstart_models.domain.freedom import BLOCKS, Freedom
from coldstart_models.domain.setting import Setting
from coldstart_models.domain.study import Study
from coldstart_models.encoder_comparison import cold_ndcg
from coldstart_models.errors import NotBetter
from coldstart_models.metrics import NDCG, USER_METRICS, user_metrics
from coldstart_models.siamese.ranker import SiameseRanker
from feature_repo.encoders.encoder import Modality
from feature_repo.encoders.registry import load_encoder

NAME: Final = "adapted_ranking"
FOLDER: Final = results.FOLDER / NAME
SHOP: Final = "ikea"
USUAL: Final = ("pairs, clip",)
KNN: Final = "content-knn on photos"
PHOTOS: Final = "siamese on photos alone"
WHOLE: Final = "siamese"
RANKED_BY: Final = (KNN, PHOTOS, WHOLE)
CODE: Final = (
    "benchmarks.adaptation_cells",
    "coldstart_models.domain.adapted",
    "coldstart_models.encoder_comparison",
    "coldstart_models.siamese.ranker",
)
"""What a seed's numbers depend on."""
Quality = dict[str, list[float]]
"""Ranked by what → NDCG@10 of each user of the cold pool."""


def main() -> None:
    """Measure what is missing, and publish."""
    options = _options()
    logging.basicConfig(level=logging.ERROR)
    torch.set_num_threads(1)
    data = options.data
    shop = adaptation.shop_of(
        SHOP,
        adaptation.DATA[SHOP].format(data=data),
        elsewhere=data / adaptation.CLOTHING,
    )
    (cut,) = (cut for cut in GRID if cut.name == SHOP)
    opened = open_cut(cut, data=data, stores=options.stores)
    rows = []
    for variant in options.variants:
        setting = replace(adaptation.VARIANTS[variant], freedom=Freedom(blocks=BLOCKS))
        found = []
        for seed in range(options.seeds):
            one = replace(setting, seed=seed)
            path = kept_path(
                FOLDER / "seeds",
                f"{SHOP}-{seed}-{variant.replace(', ', '-')}",
                asked=[repr(one)],
                fingerprint=[shop.fingerprint, *opened.fingerprint],
                modules=CODE,
            )
            split = opened.split_of(seed)
            measure = partial(measured, shop, opened.catalogue, split, one, load=load_encoder)
            found.append(kept(path, measure))
            console.say(f"{SHOP}, {variant}, seed {seed}: measured")
        rows += rows_of(variant, found, users=opened.split_of(0).training.num_users)
    results.publish(
        NAME,
        title="NDCG@10 of cold items by photos before → after adaptation",
        rows=rows,
        data=SHOP,
        blocks_that_learn=BLOCKS,
    )


def measured(
    shop: Shop, catalogue: Catalogue, split: Split, setting: Setting, *, load: Load
) -> dict[str, Any]:
    """A seed: the cold items ranked by the photos as the base has them, and as they became.

    Where nothing better than the base was found, it stays, and nothing changes.

    Args:
        catalogue: the shop's, with the embeddings of its texts.
    """
    seen: list[Embeddings] = []

    def watch(study: Study) -> None:
        assert study.photo is not None
        rows = np.arange(study.targets)
        if not seen:
            with study.at_full_width():
                seen.append(embeddings_of(study, study.photo.vectors(rows), catalogue))
        seen.append(embeddings_of(study, study.photo.vectors(rows), catalogue))

    better = True
    try:
        adapt(
            shop.target,
            setting,
            load=load,
            out=FOLDER / "artifact",
            cache=adaptation.FOLDER / "maps",
            source=shop.source if setting.aims.needs_source else None,
            hold=set(catalogue.item_ids[split.cold]),
            watch=watch,
        )
    except NotBetter as reason:
        console.say(f"{shop.name}: {reason}")
        better = False
    before = quality(replace(catalogue, image=seen[0]), split, seed=setting.seed)
    after = before
    if better:
        after = quality(replace(catalogue, image=seen[-1]), split, seed=setting.seed)
    users = cold_pool(split).task.user_index.tolist()
    return {"better": better, "users": users, "before": before, "after": after}


def quality(catalogue: Catalogue, split: Split, *, seed: int) -> Quality:
    """NDCG@10 of each user by every one of RANKED_BY."""
    pool, found = cold_pool(split), {}
    found[KNN] = cold_ndcg(catalogue.image, Modality.IMAGE, catalogue, split)[:, 0].tolist()
    for name, seen in ((PHOTOS, photos_alone(catalogue)), (WHOLE, catalogue)):
        ranker = SiameseRanker(meta=False, dates=False, by_time=not split.seeded)
        ranker.fit(split.training_set(seen), seed=seed)
        ids = catalogue.item_ids[pool.task.candidates]
        metrics = user_metrics(ranker.score(pool.task), pool.chosen.toarray(), ids)
        found[name] = metrics.values[:, USER_METRICS.index(NDCG)].tolist()
    return found


def rows_of(
    variant: str, seeds: Sequence[Mapping[str, Any]], *, users: int
) -> list[dict[str, str | int]]:
    """A row for what ranks: means over seeds and users, and the gain with its 95 % interval."""
    rows: list[dict[str, str | int]] = []
    for ranked_by in RANKED_BY:
        before, after = np.full((2, len(seeds), users, 1), np.nan)
        for seed, one in enumerate(seeds):
            before[seed, one["users"], 0] = one["before"][ranked_by]
            after[seed, one["users"], 0] = one["after"][ranked_by]
        rows.append(
            {
                "variant": variant,
                "seeds": len(seeds),
                "kept": sum(one["better"] for one in seeds),
                "ranked by": ranked_by,
                "ndcg@10": adaptation.gained(before, after),
            }
        )
    return rows


def _options() -> argparse.Namespace:
    known = adaptation.VARIANTS
    parser = argparse.ArgumentParser(prog=f"benchmarks.{NAME}", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the data sets")
    parser.add_argument(
        "--variants", type=part_of(known, ";"), default=USUAL, help="; ".join(known)
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--stores", type=Path, default=QUALITY / "stores", help="encoded data")
    return parser.parse_args()


if __name__ == "__main__":
    main()
