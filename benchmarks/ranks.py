"""The models' ranks by NDCG@10, of a run's cells or of what stands on the page."""

from collections.abc import Collection, Mapping
from typing import Final

import numpy as np
from scipy import stats

from benchmarks.grid import CONSTANT, SIAMESE
from benchmarks.peers.registry import PUBLISHED
from benchmarks.standings import models_in_order
from benchmarks.tables import table
from coldstart_models.metrics import NDCG
from coldstart_models.models import ORACLE, RANDOM

NULLS: Final = (RANDOM, CONSTANT, ORACLE)
"""Ends of the scale: no contestants."""
HEAD: Final = f"Rank by {NDCG}, of the models that every cut has, ours once:"
MODEL: Final = "model"
MEAN: Final = "mean rank"


def contested(models: Mapping[str, Collection[str]]) -> list[str]:
    """Cuts on which a Siamese model and a published peer have been measured.

    Args:
        models: cut → those that were measured there.
    """
    return [
        cut for cut, names in models.items() if set(SIAMESE) & {*names} and {*PUBLISHED} & {*names}
    ]


def ranked(models: Mapping[str, Collection[str]]) -> list[str]:
    """Models that every contested cut has; none where that is a single one.

    Of ours one is ranked, so that two that are alike take no two places.
    """
    cuts = contested(models)
    everywhere = set.intersection(*({*models[cut]} for cut in cuts)) if cuts else set()
    names = [one for one in models_in_order() if one in everywhere - {*NULLS, *SIAMESE[1:]}]
    return names if len(names) > 1 else []


def published(means: Mapping[str, Mapping[str, float]]) -> str:
    """The ranks and their mean over cuts, best first.

    Args:
        means: cut → model → NDCG@10, the same models on each; with none there are no ranks.
    """
    names = [*next(iter(means.values()), ())]
    if not names:
        return ""
    values = np.array([[of_cut[name] for name in names] for of_cut in means.values()])
    ranks = stats.rankdata(-values, axis=1)
    mean = dict(zip(names, ranks.mean(axis=0), strict=True))
    body = [
        [f"`{name}`", f"{mean[name]:.2f}", *(f"{rank:g}" for rank in ranks[:, names.index(name)])]
        for name in sorted(names, key=lambda name: (mean[name], name))
    ]
    return f"{HEAD}\n\n{table([MODEL, MEAN, *(f'`{cut}`' for cut in means)], body)}"
