"""Recommenders: a trained model over a snapshot of item vectors, and what it takes in."""

import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch

from coldstart_models.answering import Answering
from coldstart_models.artifacts import LATEST, check_contract, find_model, observe_features
from coldstart_models.calendar_terms import machine_time
from coldstart_models.candidates import served_rows
from coldstart_models.catching_up import Standing
from coldstart_models.data.catalogue import Catalogue, Embeddings
from coldstart_models.feature_rows import adaptation_rows, vector_rows
from coldstart_models.siamese.content_map import ContentMap
from coldstart_models.siamese.files import load_folder
from coldstart_models.siamese.inputs import Featurizer
from coldstart_models.siamese.learners.evidence import Evidence
from coldstart_models.siamese.learners.space import Space
from coldstart_models.siamese.network import MetaSiamese
from coldstart_models.siamese.packing import keep_block, pack, pack_deltas
from coldstart_models.siamese.population import Population
from coldstart_models.siamese.preparing import history_batch, to_vectors
from coldstart_models.siamese.sketch import LARGE, Sketch
from coldstart_models.siamese.togetherness import TOGETHER
from coldstart_models.snapshot import Snapshot
from coldstart_models.snapshot_changes import Taught, taken_up
from coldstart_models.snapshot_files import read_snapshot
from coldstart_models.user_history import UserHistory
from feature_repo.home import Home
from feature_repo.log_state import LogState, Position
from validation import tables


class Follower(Protocol):
    """What takes in the same listings and customers as a recommender, and forgets with it."""

    def is_new(self, item_id: str) -> bool:
        """Whether what first customers teach counts for the listing."""

    def add_listings(self, items: pd.DataFrame, image: Embeddings, text: Embeddings) -> object:
        """As of `Recommender`, as are the others."""

    def adapt(
        self, item_id: str, supporters: Sequence[UserHistory], *, moments: Sequence[float]
    ) -> Any: ...

    def remove_listings(self, item_ids: Collection[str]) -> None: ...

    def reload(self, home: Home) -> None: ...

    def forget_adaptations(self, item_ids: Collection[str] | None) -> None: ...

    def count_sales(self, log: LogState) -> None: ...

    def forget_people(self) -> None: ...


class Recommender(Answering):
    """One model on one state folder, which takes in listings and customers as they come.

    Safe to share between threads.
    """

    def __init__(
        self,
        *,
        tag: str,
        featurizer: Featurizer,
        head: ContentMap,
        network: MetaSiamese,
        population: Population,
        snapshot: Snapshot,
        now: Callable[[], datetime] = machine_time,
    ) -> None:
        """Serve a model; `now` tells the season of those that were trained with dates."""
        super().__init__(
            tag=tag, network=network, population=population, snapshot=snapshot, now=now
        )
        self._featurizer, self._head = featurizer, head
        self._space = Space.of(population)
        self._snapshot = self._sketched(snapshot)
        self._writing = threading.Lock()
        self._followers: tuple[Follower, ...] = ()

    @classmethod
    def load(cls, home: Home, *, tag: str = LATEST, kept: bool = False) -> "Recommender":
        """Load a model and the vectors it made.

        Args:
            kept: take the vectors that training kept beside the store (`Home.model_vectors`).

        Raises:
            ArtifactError: there is no such model, it is corrupt, or there are no vectors of it.
            ContractMismatch: the features are not those it was trained on.
        """
        stored = find_model(home, tag=tag)
        stored.require_whole()
        check_contract(stored.contract, observe_features(home))
        featurizer, head, network, population = load_folder(stored.path)
        snapshot = read_snapshot(home, tag=stored.tag, widths=network.scorer.widths, kept=kept)
        return cls(
            tag=stored.tag,
            featurizer=featurizer,
            head=head,
            network=network,
            population=population,
            snapshot=snapshot,
        )

    def _sketched(self, snapshot: Snapshot) -> Snapshot:
        """With a sketch of each listing, where there are very many."""
        if len(snapshot.items) > LARGE:
            snapshot = replace(snapshot, sketch=Sketch.fit(snapshot.widths, snapshot.rows))
        return self._warm(snapshot)

    def _warm(self, snapshot: Snapshot) -> Snapshot:
        """Ready before it is served: no request makes what all of them need."""
        snapshot.warm()
        self._scoring.calendar.terms(snapshot)
        return snapshot

    def lead(self, followers: Sequence[Follower]) -> None:
        """Let other models' recommenders take in the same listings and customers as this one."""
        self._followers = tuple(followers)

    @property
    def leads(self) -> bool:
        """Whether other models' recommenders follow this one."""
        return bool(self._followers)

    @property
    def followers(self) -> tuple[Follower, ...]:
        """The other models' recommenders that follow this one."""
        return self._followers

    def add_listings(
        self, items: pd.DataFrame, image: Embeddings, text: Embeddings
    ) -> pd.DataFrame:
        """Make listings recommendable at once; returns their `item_vector` rows.

        What goes together with a listing is predicted of its content; one that people have chosen
        long since keeps what they taught.

        Args:
            items: canonical items in ascending `item_id`.
            image: their photos' embeddings, in order.
            text: their texts' embeddings, in order.
        """
        ids = items[tables.ITEM_ID].to_numpy(dtype=object)
        inputs = self._featurizer(Catalogue(ids, items.reset_index(drop=True), image, text))
        factors, prior = self._head.predict(inputs)
        with torch.inference_mode():
            rows = pack(self._scoring.scorer.tower(to_vectors(inputs, factors)), prior)
        with self._writing:
            snapshot = self._snapshot
            places = pd.Index(snapshot.item_ids).get_indexer(pd.Index(ids))
            chosen = (places >= 0) & ~snapshot.new[places]
            rows[chosen] = keep_block(
                rows[chosen], snapshot.rows[places[chosen]], name=TOGETHER, widths=snapshot.widths
            )
            self._snapshot = self._warm(snapshot.with_items(items, rows))
        for follower in self._followers:
            follower.add_listings(items, image, text)
        return vector_rows(ids, rows, tag=self.tag)

    def take_up(self, stands: Standing) -> Taught:
        """Serve listings as another process left them; what is known already changes nothing.

        Returns which of them have another lesson: what followers learn of it, the log tells.
        """
        with self._writing:
            later, changed, taught = taken_up(self._snapshot, stands)
            self._snapshot = self._warm(later)
        places = np.flatnonzero(changed)
        for follower in self._followers:
            follower.remove_listings(stands.gone)
            if len(places):
                image, text = (one.take(places) for one in (stands.image, stands.text))
                follower.add_listings(stands.items.iloc[places].reset_index(drop=True), image, text)
            if taught.forgot:
                follower.forget_adaptations(taught.forgot)
        return taught

    def reload(self, home: Home) -> None:
        """Take the vectors up from the store again, where too much changed to say what."""
        from coldstart_models.served_recommender import load_served

        fresh = load_served(home, tag=self.tag)._snapshot
        with self._writing:
            later = replace(fresh, version=self._snapshot.version + 1)
            self._snapshot = self._sketched(later)
        for follower in self._followers:
            follower.reload(home)

    def adapt(
        self, item_id: str, supporters: Sequence[UserHistory], *, moments: Sequence[float]
    ) -> pd.DataFrame:
        """Let a listing learn from its first customers; returns its `item_adaptation` row.

        Args:
            supporters: each customer's history before the choice.
            moments: when each chose it by the shop's clock (`log_clock`), in order.
        """
        if len(supporters) != len(moments):
            raise ValueError(f"{len(supporters)} supporters have {len(moments)} moments")
        scorer, network = self._scoring.scorer, self._scoring.network
        with self._writing:
            snapshot = self._snapshot
            row = int(served_rows(snapshot, [item_id])[0])
            histories = snapshot.histories(supporters)
            with torch.inference_mode():
                profiles = scorer.profiles(snapshot.vectors, history_batch(histories))
                evidence = Evidence.of(
                    profiles,
                    torch.zeros(len(supporters), dtype=torch.long),
                    torch.tensor(moments, dtype=torch.float64),
                    listings=snapshot.vectors.take(torch.tensor([row])),
                    prior=torch.from_numpy(snapshot.prior[[row]]),
                    space=self._space,
                    pace=network.pace,
                )
                weights = network.learner.adapt(evidence)
                bias = weights.bias.numpy()
                delta = pack_deltas(self._space.deltas(weights.vectors), scorer.widths)
            self._snapshot = snapshot.with_delta(
                row, delta[0], float(bias[0]), support=len(supporters)
            )
        for follower in self._followers:
            follower.adapt(item_id, supporters, moments=moments)
        return adaptation_rows([item_id], delta, bias, [len(supporters)], tag=self.tag)

    @property
    def counted(self) -> Position | None:
        """Up to where of the log choices are counted."""
        sales = self._snapshot.sales
        return None if sales is None else sales.position

    def count_sales(self, log: LogState) -> None:
        """Rank known items by what the log says that they sell by now."""
        with self._writing:
            snapshot = self._snapshot
            if snapshot.sales is not None:
                sales = snapshot.sales.caught_up(log, snapshot.item_ids)
                if sales is not snapshot.sales:
                    self._snapshot = self._warm(snapshot.with_sales(sales))
        for follower in self._followers:
            follower.count_sales(log)

    def remove_listings(self, item_ids: Collection[str]) -> None:
        """Recommend and score these no more; unknown ids are left out."""
        with self._writing:
            known = [item_id for item_id in item_ids if item_id in self._snapshot.position]
            if known:
                self._snapshot = self._warm(self._snapshot.without_items(known))
        for follower in self._followers:
            follower.remove_listings(item_ids)

    def forget_adaptations(self, item_ids: Collection[str] | None) -> None:
        """Let listings, None: all, forget their first customers; unknown ids are left out."""
        with self._writing:
            self._snapshot = self._snapshot.without_deltas(item_ids)
        for follower in self._followers:
            follower.forget_adaptations(item_ids)

    def forget_people(self) -> None:
        """Keep nothing of who asked."""
        self._snapshot.blocks.people.clear()
        for follower in self._followers:
            follower.forget_people()
