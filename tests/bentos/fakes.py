"""Stand-ins at the seams: an online store in memory, and a recommender whose answers are known."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from coldstart_models.arranging import BEST_FIRST, Arrangement
from coldstart_models.catching_up import Standing
from coldstart_models.cold_share import ServedListings
from coldstart_models.errors import UnknownItem
from coldstart_models.explaining import Contribution, Explanation
from coldstart_models.exploration.exploring import Turn
from coldstart_models.exploration.page import Field
from coldstart_models.listing_encoders import ListingEncoders
from coldstart_models.recommendations import Recommendation, Scored
from coldstart_models.snapshot_changes import Taught
from coldstart_models.user_history import UserHistory
from feature_repo.encoders.encoder import Modality
from feature_repo.feature_tables import FEATURE_TABLES
from feature_repo.home import Home
from feature_repo.log_state import LogState, Position
from validation import tables

PRIOR = {"chair": 0.25, "lamp": 0.5, "sofa": 0.75}
CLICK = {
    "event_id": "e1",
    "user_id": "bob",
    "item_id": "sofa",
    "event_type": "click",
    "event_timestamp": "2026-02-01T10:00:00Z",
}
"""An event as it is sent."""


class MemoryStore:
    """What `feature_repo.store.Store` promises of online() and push(), kept in memory."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, dict[str, Any]]] = {}
        self.pushes: list[str] = []

    def registered(self) -> SimpleNamespace:
        return SimpleNamespace(services={"coldstart_v1": ()}, views=())

    def online(
        self, features: Sequence[str], entity_rows: Sequence[dict[str, str]], **_: Any
    ) -> list[dict[str, Any]]:
        answers = []
        for entity in entity_rows:
            answer: dict[str, Any] = dict(entity)
            for feature in features:
                view, column = feature.split(":")
                row = self.rows.get(view, {}).get(next(iter(entity.values())), {})
                answer[f"{view}__{column}"] = row.get(column)
            answers.append(answer)
        return answers

    holds_vectors = True
    """Also of listings that no test pushed."""

    def probe(self, item_ids: Sequence[str] = ()) -> bool:
        """It is always there."""
        return self.holds_vectors or not item_ids

    def wait_at_most(self, seconds: float) -> None:
        """It never waits."""

    def read_within(self, seconds: float) -> bool:
        """It cannot be told to hurry: its reads run on threads of their own."""
        return False

    def remove_online(self, views: Sequence[str], keys: Sequence[str]) -> None:
        for view in views:
            for key in keys:
                self.rows.get(view, {}).pop(key, None)

    def forget_deleted(self) -> list[str]:
        """Nothing is left of what was removed."""
        return []

    def push(self, view: str, frame: pd.DataFrame, *, now: datetime, to: str = "both") -> None:
        self.pushes.append(view)
        for row in frame.to_dict("records"):
            self.rows.setdefault(view, {})[row[FEATURE_TABLES[view].key]] = row


class CountingRecommender:
    """Scores an item by how often it stands in the history, plus its own fixed prior; times
    `personal`, where that is given.
    """

    tag = "coldstart-siamese:test"
    snapshot_version = "snapshot-1"
    snapshot_age = 0.0
    vectors_of: str | None = None
    """Tag of another model that made the snapshot's vectors."""

    @property
    def snapshot_model(self) -> str:
        return self.tag if self.vectors_of is None else self.vectors_of

    def __init__(self, prior: dict[str, float]) -> None:
        self.prior = dict(prior)
        self.adaptations: list[tuple[str, int]] = []
        self.asked: dict[str, Any] = {}
        self.ranked_in: list[str] = []
        """Of every score, the pool in which the items are ranked."""
        self.counts: list[Position] = []
        """Up to where of the log sales were counted, each time."""
        self.supporters: list[list[tuple[str, ...]]] = []
        self.moments: list[list[float]] = []

    def score(
        self,
        history: UserHistory,
        item_ids: Sequence[str],
        *,
        pool: str = "new",
        personal: float | None = None,
    ) -> list[float]:
        self.ranked_in.append(pool)
        unknown = [item_id for item_id in item_ids if item_id not in self.prior]
        if unknown:
            raise UnknownItem(f"{len(unknown)} unknown items: {', '.join(unknown)}")
        share = 1.0 if personal is None else personal
        return [share * (self.prior[item] + history.item_ids.count(item)) for item in item_ids]

    def scored(self, history: UserHistory, item_ids: Sequence[str], **how: Any) -> list[Scored]:
        scores = self.score(history, item_ids, **how)
        return [Scored(score, 0.25) for score in scores]

    def recommend(
        self,
        history: UserHistory,
        *,
        k: int,
        pool: str,
        category: str | None,
        max_price: float | None,
        exclude: Collection[str],
        shown: Collection[str] = (),
        min_price: float | None = None,
        available: bool = True,
        personal: float | None = None,
        turn: Turn | None = None,
        arrangement: Arrangement = BEST_FIRST,
    ) -> list[Recommendation]:
        self.asked = {"pool": pool, "category": category, "max_price": max_price}
        if min_price is not None or not available or arrangement != BEST_FIRST:
            self.asked |= {"min_price": min_price, "available": available}
            self.asked["arrangement"] = arrangement
        if personal is not None:
            self.asked["personal"] = personal
        left = [one for one in sorted(self.prior) if one not in exclude and one not in shown]
        scores = self.score(history, left, personal=personal)
        order = sorted(zip(left, scores, strict=True), key=lambda pair: (-pair[1], pair[0]))
        if turn is None or not history.item_ids:
            return [_recommendation(item_id, score) for item_id, score in order[:k]]
        ids, values = (
            np.array(part, dtype=kind)
            for part, kind in zip(zip(*order, strict=True), (object, float), strict=True)
        )
        field = Field(ids, values, np.eye(len(ids)), np.ones(len(ids), bool))
        page = turn.arrange(field, np.arange(min(k, len(ids))))
        return [
            replace(
                _recommendation(ids[column], values[column]),
                propensity=float(propensity),
                explored=place in page.places,
            )
            for place, (column, propensity) in enumerate(
                zip(page.columns, page.propensities, strict=True)
            )
        ]

    leads = False
    followers: Sequence[Any] = ()

    def take_up(self, stands: Standing) -> Taught:
        """As listings that were added here, which learned nothing."""
        self.remove_listings(stands.gone)
        for item_id in stands.items[tables.ITEM_ID]:
            self.prior.setdefault(item_id, 9.0)
        return Taught()

    def reload(self, home: Home) -> None:
        """Serve the whole catalogue."""
        listed = pq.read_table(home.items, columns=[tables.ITEM_ID])[tables.ITEM_ID].to_pylist()
        self.prior = {item_id: self.prior.get(item_id, 9.0) for item_id in listed}
        for follower in self.followers:
            follower.reload(home)

    def lead(self, followers: "Sequence[CountingRecommender]") -> None:
        self.followers = list(followers)

    def popular(self, *, k: int = 10, pool: str = "new") -> list[Recommendation]:
        return self.recommend(
            UserHistory((), (), ()), k=k, pool=pool, category=None, max_price=None, exclude=()
        )

    def explain(
        self,
        history: UserHistory,
        item_id: str,
        *,
        pool: str = "new",
        personal: float | None = None,
    ) -> Explanation:
        (score,) = self.score(history, [item_id], pool=pool, personal=personal)
        share = 1.0 if personal is None else personal
        seen = [Contribution(item, "same", share) for item in history.item_ids if item == item_id]
        parts = (Contribution(None, "prior", share * self.prior[item_id]), *seen)
        return Explanation(item_id, score, parts, f"You chose it {len(seen)} times.", 0.25)

    def similar(self, item_id: str, *, k: int = 10) -> list[tuple[str, float]]:
        self.score(UserHistory((), (), ()), [item_id])
        return [(other, 0.5) for other in sorted(self.prior) if other != item_id][:k]

    def place(
        self,
        history: UserHistory,
        item_id: str,
        *,
        pool: str = "new",
        personal: float | None = None,
    ) -> tuple[int, int]:
        (own,) = self.score(history, [item_id], personal=personal)
        scores = self.score(history, list(self.prior), personal=personal)
        return sum(score > own for score in scores) + 1, len(scores)

    def knows(self, history: UserHistory) -> bool:
        return any(item_id in self.prior for item_id in history.item_ids)

    def support(self, item_id: str) -> int:
        return sum(count for adapted, count in self.adaptations if adapted == item_id)

    @property
    def listings(self) -> ServedListings:
        ids = np.array(sorted(self.prior), dtype=object)
        support = np.array([self.support(one) for one in ids])
        return ServedListings(ids, np.ones(len(ids), bool), support)

    def is_new(self, item_id: str) -> bool:
        self.score(UserHistory((), (), ()), [item_id])
        return True

    def remove_listings(self, item_ids: Collection[str]) -> None:
        self.prior = {item: value for item, value in self.prior.items() if item not in item_ids}

    def forget_adaptations(self, item_ids: Collection[str] | None) -> None:
        kept = self.adaptations if item_ids is not None else []
        self.adaptations = [one for one in kept if one[0] not in (item_ids or ())]

    @property
    def counted(self) -> Position | None:
        return self.counts[-1] if self.counts else None

    def count_sales(self, log: LogState) -> None:
        self.counts.append(log.position)

    def forget_people(self) -> None:
        self.asked.clear()
        for follower in self.followers:
            follower.forget_people()

    def add_listings(self, items: pd.DataFrame, image: Any, text: Any) -> pd.DataFrame:
        for item_id in items[tables.ITEM_ID]:
            self.prior[item_id] = 9.0
        self.snapshot_version = f"snapshot-{len(self.prior)}"
        return pd.DataFrame(
            {
                tables.ITEM_ID: items[tables.ITEM_ID].to_numpy(dtype=object),
                "vector": [np.ones(2, np.float32)] * len(items),
                "model": self.tag,
                tables.EVENT_TIMESTAMP: items[tables.LISTED_AT].to_numpy(),
            }
        )

    def adapt(
        self, item_id: str, supporters: Sequence[UserHistory], *, moments: Sequence[float]
    ) -> pd.DataFrame:
        self.adaptations.append((item_id, len(supporters)))
        self.supporters.append([history.item_ids for history in supporters])
        self.moments.append(list(moments))
        return pd.DataFrame(
            {
                tables.ITEM_ID: [item_id],
                "delta": [np.zeros(2, np.float32)],
                "bias": np.float32(0.0),
                "support": len(supporters),
                "model": self.tag,
            }
        )


class ColourEncoder:
    """A photo's mean colour, or a text's length: tiny, real and exactly predictable."""

    licence = "none"
    hash = "0" * 64

    def __init__(self, modality: str) -> None:
        self.modality = Modality(modality)
        self.id = f"colour-{modality}"
        self.width = 3 if modality == "image" else 1

    def prepare(self, content: Any) -> Any:
        return content

    def forward(self, batch: Sequence[Any]) -> Any:
        if self.modality is Modality.IMAGE:
            return np.stack([np.asarray(photo, np.float32).mean(axis=(0, 1)) for photo in batch])
        return np.array([[len(text)] for text in batch], np.float32)


def _recommendation(item_id: str, score: float) -> Recommendation:
    return Recommendation(item_id, score, is_new=True, support=0, reason="like what you chose")


def colour_encoders() -> ListingEncoders:
    """What a service encodes new listings with, of colours and lengths alone."""
    return ListingEncoders(ColourEncoder("image"), ColourEncoder("text"))
