"""Encoders side by side on the shop's own catalogue: speed, and what their vectors find."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import product
from typing import Final

import numpy as np

from coldstart_models.catalogue_sample import encoded, sampled
from coldstart_models.data.catalogue import Catalogue, Embeddings
from coldstart_models.data.pools import Skipped, cold_pool
from coldstart_models.data.splits import Split
from coldstart_models.encoder_comparison_result import (
    Comparison,
    EncoderRow,
    Measured,
    PairRow,
)
from coldstart_models.errors import NotEnoughData
from coldstart_models.metrics import (
    FEWEST,
    NDCG,
    USER_METRICS,
    FloatArray,
    bootstrap_intervals,
    user_metrics,
)
from coldstart_models.peers.content import Space
from coldstart_models.peers.neighbours import ContentNeighbours
from coldstart_models.progress import StepProgress
from coldstart_models.retrieval import DEPTHS, same_category, title_to_photo
from feature_repo.encoders.encoder import Encoder, Modality
from feature_repo.errors import EncoderError
from feature_repo.home import Home
from validation import tables
from validation.alignment import ENOUGH, FOLDS

MAX_USERS: Final = 5_000
"""Users whose rankings are measured; of more an evenly spread part."""
SPACES: Final = {Modality.IMAGE: Space.IMAGE, Modality.TEXT: Space.TEXT}
RANKING: Final = f"{NDCG} of cold items"
PRECISION: Final = tuple(f"precision@{depth}" for depth in DEPTHS)
RECALL: Final = tuple(f"recall@{depth}" for depth in DEPTHS)


@dataclass(frozen=True, slots=True)
class _Encoded:
    """What is kept of an encoder that is no longer in memory."""

    name: str
    modality: Modality
    space: str
    embeddings: Embeddings


def compare(
    names: Sequence[str],
    *,
    home: Home,
    now: datetime,
    load: Callable[[str], Encoder],
    cut: Callable[[Catalogue], Split],
    sample: int,
    progress: StepProgress | None = None,
) -> Comparison:
    """Encode a sample of the catalogue by each encoder and measure what its vectors are good for.

    One encoder is in memory at a time; one that cannot be loaded is left out, and it says why.

    Args:
        load: name → encoder.
        cut: the sample → a split of its log, on which content-kNN ranks the cold items.
        sample: how many items.

    Raises:
        ConfigError: the log cannot be cut so.
        NotEnoughData: nothing was ingested, or no encoder can be loaded.
    """
    catalogue, total = sampled(home, sample)
    found = Comparison(sorted(set(catalogue.frame[tables.SOURCE])), total, len(catalogue))
    split: Split | None = None
    try:
        split = cut(catalogue)
        found.split = split.name
    except NotEnoughData as reason:
        found.skipped.append(Skipped(RANKING, str(reason)))
    kept = []
    for name in dict.fromkeys(names):
        try:
            encoder = load(name)
        except EncoderError as reason:
            found.skipped.append(Skipped(name, str(reason)))
            continue
        told = progress(name) if progress else None
        embeddings, speed = encoded(catalogue.frame, encoder, now=now, progress=told)
        kept.append(_Encoded(name, encoder.modality, encoder.space, embeddings))
        measured = _measured(kept[-1], catalogue, split, found.skipped)
        found.encoders.append(_row(name, encoder, embeddings, speed, measured))
        del encoder  # before the next one is loaded
    if not kept:
        raise NotEnoughData(f"no encoder can be loaded: {found.skipped[-1].reason}")
    by_modality = [[one for one in kept if one.modality is modality] for modality in Modality]
    for image, text in product(*by_modality):
        _add_pair(image, text, found)
    return found


def _row(
    name: str,
    encoder: Encoder,
    embeddings: Embeddings,
    speed: float,
    measured: dict[str, Measured],
) -> EncoderRow:
    return EncoderRow(
        encoder=name,
        modality=str(encoder.modality),
        width=encoder.width,
        licence=encoder.licence,
        hash=encoder.hash,
        items=int(embeddings.present.sum()),
        items_per_second=round(speed, 1),
        measured=measured,
    )


def _measured(
    one: _Encoded, catalogue: Catalogue, split: Split | None, skipped: list[Skipped]
) -> dict[str, Measured]:
    """Same-category precision and the ranking of cold items; what cannot be had is skipped."""
    known = np.flatnonzero(one.embeddings.present)
    categories = catalogue.frame[tables.CATEGORY].iloc[known].tolist()
    precision = same_category(one.embeddings.vectors[known], categories)
    measured = _means(precision, PRECISION)
    if not measured:
        reason = "no category has five items with this content in the sample"
        skipped.append(Skipped(f"precision of {one.name}", reason))
    if split is not None:
        try:
            measured |= _means(cold_ndcg(one.embeddings, one.modality, catalogue, split), (NDCG,))
        except NotEnoughData as reason:
            skipped.append(Skipped(f"{RANKING} by {one.name}", str(reason)))
    return measured


def cold_ndcg(
    embeddings: Embeddings, modality: Modality, catalogue: Catalogue, split: Split
) -> FloatArray:
    """(U, 1) NDCG@10 of each user by content-kNN on these embeddings of the catalogue alone."""
    if modality is Modality.IMAGE:
        seen = replace(catalogue, image=embeddings)
    else:
        seen = replace(catalogue, text=embeddings)
    ranker = ContentNeighbours(
        str(modality), spaces=(SPACES[modality],), max_members=1, by_time=not split.seeded
    )
    ranker.fit(split.training_set(seen), seed=0)
    pool = cold_pool(split)
    users = np.arange(0, len(pool.task.user_index), -(-len(pool.task.user_index) // MAX_USERS))
    task = pool.task.of_users(users)
    ids = catalogue.item_ids[task.candidates]
    metrics = user_metrics(ranker.score(task), pool.chosen[users].toarray(), ids)
    return metrics.values[:, [USER_METRICS.index(NDCG)]]


def _add_pair(image: _Encoded, text: _Encoded, found: Comparison) -> None:
    both = np.flatnonzero(image.embeddings.present & text.embeddings.present)
    if len(both) < ENOUGH:
        reason = f"{len(both)} items of the sample have a photo and a text; {ENOUGH} are needed"
        found.skipped.append(Skipped(f"title → photo by {image.name} and {text.name}", reason))
        return
    shared = image.space == text.space
    hits = title_to_photo(
        image.embeddings.vectors[both], text.embeddings.vectors[both], shared=shared
    )
    candidates = len(both) // FOLDS
    row = PairRow(image.name, text.name, shared, candidates, _means(hits, RECALL))
    found.pairs.append(row)


def _means(values: FloatArray, names: Sequence[str]) -> dict[str, Measured]:
    """Each column's mean and interval, from (Q, M); nothing of queries too few for one."""
    if len(values) < FEWEST:
        return {}
    bounds = bootstrap_intervals(values[None], seed=0)
    return {
        name: Measured(float(column.mean()), float(low), float(high), len(column))
        for name, column, (low, high) in zip(names, values.T, bounds, strict=True)
    }
