"""Any stored model over today's listings, ready to serve: also one that was not trained last.

The feature tables hold the vectors of the model that was trained last, and those of the listings
that whichever model was served took in since. A model takes up what it made itself, and makes the
vectors of the rest, and of what was encoded anew since it was trained, from the stored embeddings,
as for new listings.
"""

import math
from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from coldstart_models.adapting import adapted_rows
from coldstart_models.artifacts import find_model
from coldstart_models.data.catalogue import load_catalogue
from coldstart_models.errors import ArtifactError
from coldstart_models.user_history import UserHistory
from feature_repo.event_log import event_log
from feature_repo.feature_tables import (
    CREATED_TIMESTAMP,
    ITEM_ADAPTATION,
    ITEM_IMAGE_EMBEDDING,
    ITEM_TEXT_EMBEDDING,
    ITEM_VECTOR,
)
from feature_repo.home import Home
from feature_repo.offline_tables import read_vectors
from validation import tables

if TYPE_CHECKING:
    from coldstart_models.recommending import Recommender
    from feature_repo.store import Store

AT_ONCE: Final = 2048
"""Listings whose vectors are made together; bounds the memory, and how long others wait."""


def load_served(home: Home, *, tag: str) -> "Recommender":
    """A recommender of the model over every listing of the catalogue that has features.

    Raises:
        ArtifactError: there is no such model, it cannot be read, or nothing is kept of the vectors
            that it made.
        ContractMismatch: it was trained on other features than the store holds.
    """
    from coldstart_models.recommending import Recommender

    stored = find_model(home, tag=tag)
    listed, foreign = _listings(home, ITEM_VECTOR.name, stored.tag)
    if not foreign:
        return Recommender.load(home, tag=stored.tag)
    if home.model_vectors(stored.tag).exists():
        recommender = Recommender.load(home, tag=stored.tag, kept=True)
        since = stored.contract.trained_at
        anew = _encoded_since(home, since)
        unknown = {one for one in listed if one in anew or not recommender.serves(one)}
        _encode(recommender, unknown, home=home)
        learned = _listings(home, ITEM_ADAPTATION.name, stored.tag)[1]
        _learn(recommender, learned | _chosen_since(home, since), home=home)
    else:
        recommender = Recommender.load(home, tag=stored.tag)
        _encode(recommender, foreign, home=home)
        _learn(recommender, _listings(home, ITEM_ADAPTATION.name, stored.tag)[1], home=home)
    return recommender


def examine(recommender: "Recommender") -> None:
    """Raise ArtifactError where the recommender cannot answer with finite scores."""
    best = recommender.popular(k=1, pool="all")
    if not best:
        raise ArtifactError(f"{recommender.tag} serves no listing; run `coldstart train`")
    moment = pd.Timestamp.now(tz="UTC").to_pydatetime()
    history = UserHistory((best[0].item_id,), (tables.CLICK,), (moment,))
    scores = [best[0].score, *recommender.score(history, [best[0].item_id])]
    if not all(math.isfinite(score) for score in scores):
        raise ArtifactError(
            f"{recommender.tag} scores {best[0].item_id!r} as {scores}, expected finite numbers; "
            "train again"
        )


def take_up_changes(
    item_ids: Collection[str], *, home: Home, store: "Store", recommender: "Recommender"
) -> tuple[list[pd.DataFrame], frozenset[str]]:
    """Serve listings as other processes left them; also processes that serve another model.

    Returns the items that are served now (canonical columns), and ids that are no more.
    """
    from coldstart_models.catching_up import catch_up

    found = catch_up(sorted(item_ids), home=home, store=store, recommender=recommender)
    gone = frozenset(item_id for stands in found for item_id in stands.gone)
    items = [stands.items for stands in found if len(stands.items)]
    left = set(item_ids) - gone - {one for frame in items for one in frame[tables.ITEM_ID]}
    foreign = left & _listings(home, ITEM_VECTOR.name, recommender.tag)[1] if left else left
    if foreign:
        items += _encode(recommender, foreign, home=home)
    elsewhere = frozenset[str]().union(*(stands.elsewhere for stands in found))
    _learn(recommender, elsewhere | foreign, home=home)
    return items, gone


def _listings(home: Home, view: str, tag: str) -> tuple[frozenset[str], frozenset[str]]:
    """All listings of the view, and those whose newest row is another model's."""
    stored = read_vectors(home, view)
    return frozenset(stored.item_ids), frozenset(stored.item_ids[stored.tags != tag])


def _encoded_since(home: Home, moment: datetime) -> frozenset[str]:
    """Listings whose photo or text was encoded after a moment: they are not what they were."""
    found = set[str]()
    for table in (ITEM_IMAGE_EMBEDDING, ITEM_TEXT_EMBEDDING):
        rows = pq.read_table(
            home.feature_table(table.name),
            columns=[tables.ITEM_ID],
            filters=pc.field(CREATED_TIMESTAMP) > pa.scalar(moment, tables.TIMESTAMP),
        )
        found.update(rows[tables.ITEM_ID].to_pylist())
    return frozenset(found)


def _chosen_since(home: Home, moment: datetime) -> frozenset[str]:
    """Listings that somebody chose in events that became known after a moment."""
    columns = [tables.ITEM_ID, tables.EVENT_TYPE, tables.EVENT_TIMESTAMP, tables.RECEIVED_AT]
    events = event_log(home).read(columns).to_pandas()
    known = events[tables.RECEIVED_AT].fillna(events[tables.EVENT_TIMESTAMP])
    positive = events[tables.EVENT_TYPE].isin(tables.POSITIVE_EVENT_TYPES)
    return frozenset(events.loc[positive & (known > moment), tables.ITEM_ID])


def _encode(
    recommender: "Recommender", item_ids: Collection[str], *, home: Home
) -> list[pd.DataFrame]:
    """Make the vectors of some listings, of their features as they are now; returns these."""
    catalogue = load_catalogue(home)
    rows = np.flatnonzero(pd.Index(catalogue.item_ids).isin(list(item_ids)))
    made = []
    for first in range(0, len(rows), AT_ONCE):
        some = catalogue.take(rows[first : first + AT_ONCE])
        recommender.add_listings(some.frame, some.image, some.text)
        made.append(some.frame)
    return made


def _learn(recommender: "Recommender", item_ids: frozenset[str], *, home: Home) -> None:
    """Let the new ones of the listings learn from the customers they have had."""
    adapted_rows(sorted(item_ids), home=home, recommender=recommender)
