"""Ranking for people: a trained model over a snapshot of item vectors."""

import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Protocol

import numpy as np
import pandas as pd
import torch

from coldstart_models.arranging import BEST_FIRST, Arrangement
from coldstart_models.artifacts import LATEST, check_contract, find_model, observe_features
from coldstart_models.calendar_terms import Calendar, CalendarTerms, machine_time
from coldstart_models.candidates import ALL, NEW, pool_rows
from coldstart_models.catching_up import Standing
from coldstart_models.cold_share import ServedListings
from coldstart_models.data.catalogue import Catalogue, Embeddings, IntArray
from coldstart_models.errors import UnknownItem
from coldstart_models.explaining import (
    AGE,
    AMONG_KNOWN,
    FIRST_CUSTOMERS,
    PACE,
    POPULARITY,
    SEASON,
    Contribution,
    Explanation,
    first_customer_contributions,
    sentence,
    strongest,
)
from coldstart_models.exploration.exploring import Turn
from coldstart_models.exploration.page import Field
from coldstart_models.feature_rows import adaptation_rows, vector_rows
from coldstart_models.person import Person
from coldstart_models.ranker import top_k
from coldstart_models.siamese.files import load_folder
from coldstart_models.siamese.inputs import Featurizer
from coldstart_models.siamese.learners.evidence import Evidence
from coldstart_models.siamese.learners.space import Space
from coldstart_models.siamese.packing import keep_block, pack, pack_deltas
from coldstart_models.siamese.personal import moved
from coldstart_models.siamese.places import shared_out
from coldstart_models.siamese.population import Population
from coldstart_models.siamese.scorer import SiameseScorer
from coldstart_models.siamese.sight import FloatArray
from coldstart_models.siamese.sketch import LARGE, MOST, Sketch
from coldstart_models.siamese.terms import Terms
from coldstart_models.siamese.togetherness import TOGETHER, Togetherness
from coldstart_models.siamese.training import MetaSiamese, history_batch, to_vectors
from coldstart_models.snapshot import Snapshot, microseconds
from coldstart_models.snapshot_changes import Taught, taken_up
from coldstart_models.snapshot_files import read_snapshot
from coldstart_models.user_history import UserHistory
from feature_repo.home import Home
from validation import tables

MOST_A_PLACE: Final = 10
"""Of very many listings, as many as this a place are scored exactly; at least `MOST`."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One recommended listing."""

    item_id: str
    score: float
    is_new: bool
    support: int
    """First customers its adaptation was learned from."""
    reason: str
    deviation: float | None = None
    """How unsure the score is: σ of `siamese.certainty`, a stranger's of `siamese.strangers`."""
    propensity: float = 1.0
    """With which the slot went to this listing, given those above it; 1 where nothing was drawn."""
    explored: bool = False
    """Whether the slot was given by the policy of exploration."""


class Follower(Protocol):
    """What takes in the same listings and customers as a recommender, and forgets with it."""

    def is_new(self, item_id: str) -> bool:
        """Whether what first customers teach counts for the listing."""

    def add_listings(self, items: pd.DataFrame, image: Embeddings, text: Embeddings) -> object:
        """As of `Recommender`, as are the others."""

    def adapt(
        self, item_id: str, supporters: Sequence[UserHistory], *, times: Sequence[datetime]
    ) -> Any: ...

    def remove_listings(self, item_ids: Collection[str]) -> None: ...

    def reload(self, home: Home) -> None: ...

    def forget_adaptations(self, item_ids: Collection[str] | None) -> None: ...

    def forget_people(self) -> None: ...


class Recommender:
    """One model on one state folder. Safe to share between threads."""

    def __init__(
        self,
        *,
        tag: str,
        featurizer: Featurizer,
        head: Togetherness,
        network: MetaSiamese,
        population: Population,
        snapshot: Snapshot,
        now: Callable[[], datetime] = machine_time,
    ) -> None:
        """Serve a model; `now` tells the season of those that were trained with dates."""
        self.tag = tag
        self._featurizer, self._head = featurizer, head
        self._network, self._population = network.eval(), population
        self._calendar = Calendar(network.date_term, now=now)
        self._space = Space.of(population)
        self._population_mean = torch.cat([population.mean[name] for name in network.scorer.widths])
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
        self._calendar.terms(snapshot)
        return snapshot

    @property
    def snapshot_version(self) -> str:
        return str(self._snapshot.version)

    @property
    def snapshot_model(self) -> str:
        """Tag of the model that made the snapshot's vectors."""
        return self._snapshot.model

    @property
    def snapshot_age(self) -> float:
        """Seconds since the snapshot took something in; never negative, whatever clocks do."""
        return time.monotonic() - self._snapshot.made_at

    @property
    def _scorer(self) -> SiameseScorer:
        return self._network.scorer

    @property
    def listings(self) -> ServedListings:
        """What is ranked now."""
        snapshot = self._snapshot
        return ServedListings(snapshot.item_ids, snapshot.new, snapshot.support)

    def lead(self, followers: Sequence[Follower]) -> None:
        """Let other models' recommenders take in the same listings and customers as this one."""
        self._followers = tuple(followers)

    def serves(self, item_id: str) -> bool:
        """Whether the listing can be recommended or scored."""
        return item_id in self._snapshot.position

    def knows(self, history: UserHistory) -> bool:
        """Whether any listing of the history is served: without one, nothing is personal."""
        return any(map(self._snapshot.position.__contains__, history.item_ids))

    def support(self, item_id: str) -> int:
        """First customers that the listing has learned from. Raises UnknownItem."""
        snapshot = self._snapshot
        return int(snapshot.support[self._rows(snapshot, [item_id])[0]])

    def is_new(self, item_id: str) -> bool:
        """Whether hardly anybody has chosen the item yet. Raises UnknownItem."""
        snapshot = self._snapshot
        return bool(snapshot.new[self._rows(snapshot, [item_id])[0]])

    def recommend(
        self,
        history: UserHistory,
        *,
        k: int = 10,
        pool: str = NEW,
        category: str | None = None,
        min_price: float | None = None,
        max_price: float | None = None,
        available: bool = True,
        exclude: Collection[str] = (),
        shown: Collection[str] = (),
        personal: float | None = None,
        turn: Turn | None = None,
        arrangement: Arrangement = BEST_FIRST,
    ) -> list[Recommendation]:
        """The k best listings for a person, best first unless arranged otherwise.

        Args:
            pool: ``new`` listings alone, or ``all``.
            category: a category path; listings in it and below it.
            min_price: listings without a price go.
            max_price: listings without a price stay.
            available: only what can be bought now.
            exclude: item ids to leave out.
            shown: item ids of the pages before: not shown again, and where ``all`` are ranked
                nobody takes the places that they had (`siamese.places`).
            personal: from 0, what sells in general, to 1, the person alone (see
                `siamese.personal`); by default as the model learned it.
            turn: gives some slots to new listings that are not the best, by a policy of
                exploration.
            arrangement: more different or newer listings sooner; scores stay what they are.

        Raises ConfigError for a `personal` outside 0 … 1.
        """
        snapshot = self._snapshot
        rows = pool_rows(
            snapshot,
            pool,
            category=category,
            min_price=min_price,
            max_price=max_price,
            available=available,
            exclude=exclude,
        )
        before = snapshot.rows_of(shown)
        left = np.setdiff1d(rows, before) if len(before) else rows
        if not len(left):
            return []
        dated = self._calendar.terms(snapshot)
        person = Person.of(
            self._scorer,
            snapshot,
            history,
            rows if pool == ALL else left,
            most=max(MOST, MOST_A_PLACE * k + len(before)),
            mean=self._population_mean,
            dated=None if dated is None else dated.total,
            personal=personal,
            together=pool == ALL,
        )
        if person is None:
            return self._most_popular(snapshot, left, k=k, arrangement=arrangement, turn=turn)
        scores = self._summed(person, dated, personal=personal, together=pool == ALL)
        if len(before):
            places = np.flatnonzero(~np.isin(person.rows, before))
            person, scores = person.among(places), scores[places]
        rows, terms = person.rows, person.terms
        order = arrangement.order(snapshot, rows, scores, k=k)
        order, propensities, explored = _page(
            turn,
            lambda: Field(
                snapshot.item_ids[rows],
                scores.astype(np.float64),
                self._directions(terms, personal=personal),
                snapshot.new[rows],
            ),
            order,
        )
        best, reached = rows[order], scores[order].tolist()
        told = self._sentences(person, best, order)
        weighed = _weighed(terms.features(order), personal)
        unsure = self._network.certainty.deviation(weighed).tolist()
        return [
            self._recommendation(
                snapshot,
                row,
                score,
                told[place],
                deviation=deviation,
                propensity=propensity,
                explored=place in explored,
            )
            for place, (row, score, deviation, propensity) in enumerate(
                zip(best.tolist(), reached, unsure, propensities.tolist(), strict=True)
            )
        ]

    def score(
        self,
        history: UserHistory,
        item_ids: Sequence[str],
        *,
        pool: str = NEW,
        personal: float | None = None,
    ) -> list[float]:
        """The person's score of each item, in order. Raises UnknownItem.

        Scores compare items for one person, standardised over the new listings; they say
        nothing across people. Without a usable history they are the expected popularity.

        Args:
            pool: ``new``, each item by itself; ``all``, as `recommend` ranks it among all that it
                chooses from without filters (see `siamese.places`).
        """
        snapshot = self._snapshot
        asked = self._rows(snapshot, item_ids)
        rows, places = asked, np.arange(len(asked))
        if pool == ALL:
            rows = np.union1d(_others(snapshot, pool, history, item_ids), asked)
            places = np.searchsorted(rows, asked)
        scores = self._ranked(snapshot, history, rows, pool=pool, personal=personal)
        return [float(value) for value in scores[places]]

    def place(
        self,
        history: UserHistory,
        item_id: str,
        *,
        pool: str = NEW,
        personal: float | None = None,
    ) -> tuple[int, int]:
        """Where a listing stands for the person, from 1, and among how many.

        It stands among what `recommend` chooses from: available, and not in the history, in which
        the listing itself may be.

        Raises UnknownItem where it is not served, or not of the pool.
        """
        snapshot = self._snapshot
        row = int(self._rows(snapshot, [item_id])[0])
        rows = _others(snapshot, pool, history, [item_id])
        if row not in rows:
            raise UnknownItem(f"item {item_id!r} is served, but not one of the {pool} listings")
        scores = self._ranked(snapshot, history, rows, pool=pool, personal=personal)
        ids, own = snapshot.item_ids[rows], scores[rows == row][0]
        before = (scores > own) | ((scores == own) & (ids < item_id))
        return int(before.sum()) + 1, len(rows)

    def explain(
        self,
        history: UserHistory,
        item_id: str,
        *,
        pool: str = NEW,
        personal: float | None = None,
    ) -> Explanation:
        """Take one score apart; arguments are those of `score`. Raises UnknownItem."""
        snapshot = self._snapshot
        row = int(self._rows(snapshot, [item_id])[0])
        person = Person.of(self._scorer, snapshot, history, np.array([row]))
        if person is None:
            popularity = float(snapshot.prior[row])
            part = Contribution(None, POPULARITY, popularity)
            return Explanation(item_id, popularity, (part,), sentence(_title(snapshot, row), []))
        parts = person.parts(np.array([0]))
        adapted = self._adapted(snapshot, person, row)
        general = float(person.general()[0])
        weight = float(self._scorer.prior_weight.detach())
        share = 1.0 if personal is None else personal
        prior = moved(weight * general, general, weight, personal)
        contributions = [Contribution(None, POPULARITY, prior)]
        if snapshot.biases[row]:
            contributions.append(Contribution(None, PACE, share * float(snapshot.biases[row])))
        dated = self._calendar.terms(snapshot)
        if dated is not None:
            for term, added in ((AGE, dated.age), (SEASON, dated.season)):
                if added[row]:
                    contributions.append(Contribution(None, term, share * float(added[row])))
        named = zip(self._scorer.widths, parts[:, 0], strict=True)
        for name, values in [*named, (FIRST_CUSTOMERS, adapted.numpy())]:
            contributions += [
                Contribution(chosen, name, share * float(value))
                for chosen, value in zip(person.item_ids, values, strict=True)
                if value != 0.0
            ]
        score = float(self._summed(person, dated, personal=personal)[0])
        if pool == ALL and snapshot.new[row] and len(snapshot.learned.rows):
            rows = np.union1d(_others(snapshot, pool, history, [item_id]), row)
            among = self._ranked(snapshot, history, rows, pool=pool, personal=personal)
            held = float(among[rows == row][0])
            contributions.append(Contribution(None, AMONG_KNOWN, held - score))
            score = held
        return Explanation(
            item_id,
            score,
            tuple(contributions),
            self._told(person, np.array([row]), parts)[0],
        )

    def similar(self, item_id: str, *, k: int = 10) -> list[tuple[str, float]]:
        """The k listings whose modalities are most alike on average, with the similarity."""
        snapshot = self._snapshot
        row = int(self._rows(snapshot, [item_id])[0])
        vectors = snapshot.vectors
        total, counted = np.zeros(len(snapshot.items), np.float32), np.zeros(len(snapshot.items))
        for name in self._scorer.widths:
            if bool(vectors.present[name][row]):
                known = vectors.present[name].numpy()
                total += (vectors.values[name] @ vectors.values[name][row]).numpy() * known
                counted += known
        alike = total / np.maximum(counted, 1.0)
        alike[row] = -np.inf
        best = top_k(alike[None, :].astype(np.float32), snapshot.item_ids, k + 1)[0]
        return [(str(snapshot.item_ids[i]), float(alike[i])) for i in best if i != row][:k]

    def popular(self, *, k: int = 10, pool: str = NEW) -> list[Recommendation]:
        """What to show somebody about whom nothing is known."""
        snapshot = self._snapshot
        return self._most_popular(snapshot, pool_rows(snapshot, pool), k=k)

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
            rows = pack(self._scorer.tower(to_vectors(inputs, factors)), prior)
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

    @property
    def leads(self) -> bool:
        """Whether other models' recommenders follow this one."""
        return bool(self._followers)

    @property
    def followers(self) -> tuple[Follower, ...]:
        """The other models' recommenders that follow this one."""
        return self._followers

    def take_up(self, stands: "Standing") -> Taught:
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
        self, item_id: str, supporters: Sequence[UserHistory], *, times: Sequence[datetime]
    ) -> pd.DataFrame:
        """Let a listing learn from its first customers; returns its `item_adaptation` row.

        Args:
            supporters: each customer's history before the choice.
            times: when each chose it, in order.
        """
        if len(supporters) != len(times):
            raise ValueError(f"{len(supporters)} supporters have {len(times)} times")
        with self._writing:
            snapshot = self._snapshot
            row = int(self._rows(snapshot, [item_id])[0])
            histories = snapshot.histories(supporters)
            with torch.inference_mode():
                profiles = self._scorer.profiles(snapshot.vectors, history_batch(histories))
                evidence = Evidence.of(
                    profiles,
                    torch.zeros(len(supporters), dtype=torch.long),
                    torch.tensor([microseconds(moment) for moment in times], dtype=torch.long),
                    listings=snapshot.vectors.take(torch.tensor([row])),
                    prior=torch.from_numpy(snapshot.prior[[row]]),
                    space=self._space,
                    pace=self._network.pace,
                )
                weights = self._network.learner.adapt(evidence)
                bias = weights.bias.numpy()
                delta = pack_deltas(self._space.deltas(weights.vectors), self._scorer.widths)
            self._snapshot = snapshot.with_delta(
                row, delta[0], float(bias[0]), support=len(supporters)
            )
        for follower in self._followers:
            follower.adapt(item_id, supporters, times=times)
        return adaptation_rows([item_id], delta, bias, [len(supporters)], tag=self.tag)

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

    def _rows(self, snapshot: Snapshot, item_ids: Sequence[str]) -> IntArray:
        unknown = [item_id for item_id in item_ids if item_id not in snapshot.position]
        if unknown:
            raise UnknownItem(
                f"{len(unknown)} of {len(item_ids)} items are not served: "
                f"{', '.join(map(str, unknown[:5]))}; add them by `coldstart listings`"
            )
        return np.array([snapshot.position[item_id] for item_id in item_ids], dtype=np.int64)

    def _ranked(
        self,
        snapshot: Snapshot,
        history: UserHistory,
        rows: IntArray,
        *,
        pool: str,
        personal: float | None,
    ) -> "np.typing.NDArray[np.float32]":
        """(C,) scores of rows; a stranger's are the expected popularity."""
        person = Person.of(self._scorer, snapshot, history, rows)
        if person is None:
            return snapshot.prior[rows]
        dated = self._calendar.terms(snapshot)
        return self._summed(person, dated, personal=personal, together=pool == ALL)

    @torch.inference_mode()
    def _summed(
        self,
        person: Person,
        dated: CalendarTerms | None,
        *,
        personal: float | None,
        together: bool = False,
    ) -> "np.typing.NDArray[np.float32]":
        """(C,) scores from their terms and what first customers and, where allowed, dates add.

        Args:
            together: whether new listings and known items, where both are among the candidates,
                are ranked in one list (`siamese.places`); else each score is the item's own.
        """
        rows, terms = person.rows, person.terms
        scores = self._scorer.combine(terms.values, terms.exists, terms.prior, person.calibration)
        if dated is not None:
            scores += dated.total[torch.from_numpy(rows)]
        weight = float(self._scorer.prior_weight.detach())
        general = person.general()
        plain = moved(scores[0], general, weight, personal)
        learned = person.snapshot.learned
        if not len(learned.rows):
            return np.asarray(plain.numpy(), dtype=np.float32)
        added, held = learned.added(rows, person.past.centred(self._population_mean))
        lifted = scores[0].clone()
        lifted[torch.from_numpy(held)] += added
        summed = moved(lifted, general, weight, personal)
        if together:
            new = torch.from_numpy(person.snapshot.new[rows])
            summed = shared_out(plain[None], summed[None], new)[0]
        return np.asarray(summed.numpy(), dtype=np.float32)

    @torch.inference_mode()
    def _directions(
        self, terms: Terms, *, personal: float | None
    ) -> "np.typing.NDArray[np.float64]":
        """(C, T + 1): how the scores may move together, at a place of the control."""
        features = _weighed(terms.features(), personal)
        return self._network.certainty.directions(features).numpy().astype(np.float64)

    @torch.inference_mode()
    def _adapted(self, snapshot: Snapshot, person: Person, row: int) -> torch.Tensor:
        """The first customers' part by history event."""
        return first_customer_contributions(
            self._scorer,
            snapshot.vectors,
            person.past.profiles,
            snapshot.delta(row),
            self._population,
        )

    def _sentences(self, person: Person, rows: IntArray, places: IntArray) -> list[str]:
        """Why each listing.

        Args:
            rows: (K,) of the listings.
            places: (K,) of the same among the person's candidates.
        """
        return self._told(person, rows, person.parts(places))

    def _told(self, person: Person, rows: IntArray, parts: FloatArray) -> list[str]:
        """Why each listing (K,), of what each event adds to it (M, K, H)."""
        snapshot = person.snapshot

        def title_of(event: int) -> str:
            return _title(snapshot, int(person.past_rows[event]))

        reasons = strongest(parts, list(self._scorer.widths), title_of)
        return [
            sentence(_title(snapshot, row), told)
            for row, told in zip(rows.tolist(), reasons, strict=True)
        ]

    def _most_popular(
        self,
        snapshot: Snapshot,
        rows: IntArray,
        *,
        k: int,
        arrangement: Arrangement = BEST_FIRST,
        turn: Turn | None = None,
    ) -> list[Recommendation]:
        """What content sells, as sure as `siamese.strangers` says; arguments of `recommend`."""
        prior, spread = snapshot.prior[rows], self._network.strangers
        mean, usual = map(float, snapshot.blocks.usual_prior)
        shared = spread.slope * (prior.astype(np.float64) - mean) / usual
        own = spread.own_deviations(snapshot.support[rows])
        order = arrangement.order(snapshot, rows, prior, k=k)
        order, propensities, explored = _page(
            turn,
            lambda: Field(
                snapshot.item_ids[rows],
                prior.astype(np.float64),
                shared[:, None],
                snapshot.new[rows],
                own,
            ),
            order,
        )
        return [
            self._recommendation(
                snapshot,
                int(rows[column]),
                float(prior[column]),
                sentence(_title(snapshot, int(rows[column])), []),
                deviation=float(np.hypot(shared[column], own[column])),
                propensity=float(propensities[place]),
                explored=place in explored,
            )
            for place, column in enumerate(order)
        ]

    def _recommendation(
        self,
        snapshot: Snapshot,
        row: int,
        score: float,
        reason: str,
        *,
        deviation: float | None = None,
        propensity: float = 1.0,
        explored: bool = False,
    ) -> Recommendation:
        return Recommendation(
            item_id=str(snapshot.item_ids[row]),
            score=score,
            is_new=bool(snapshot.new[row]),
            support=int(snapshot.support[row]),
            reason=reason,
            deviation=deviation,
            propensity=propensity,
            explored=explored,
        )


def _others(
    snapshot: Snapshot, pool: str, history: UserHistory, item_ids: Collection[str]
) -> IntArray:
    """Rows of what `recommend` chooses from, without filters; of the history only these items."""
    return pool_rows(snapshot, pool, exclude=set(history.item_ids).difference(item_ids))


def _weighed(features: torch.Tensor, personal: float | None) -> torch.Tensor:
    """(C, T + 1) what learned weights weigh in y_π = π t + (1 − π) g: that of g is given."""
    if personal is None:
        return features
    return torch.cat([personal * features[:, :-1], torch.zeros_like(features[:, -1:])], dim=1)


def _page(
    turn: Turn | None, field: Callable[[], Field], order: IntArray
) -> "tuple[IntArray, np.typing.NDArray[np.float64], frozenset[int]]":
    """(k,) columns from the top of the page, their propensities, and which places are explored."""
    if turn is None:
        return order, np.ones(len(order)), frozenset()
    page = turn.arrange(field(), order)
    return page.columns, page.propensities, frozenset(page.places)


def _title(snapshot: Snapshot, row: int) -> str:
    title = snapshot.titles[row]
    return str(title) if isinstance(title, str) and title else str(snapshot.item_ids[row])
