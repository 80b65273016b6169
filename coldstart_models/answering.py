"""What a model answers about people and listings, of a snapshot of the vectors it made."""

import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Final

import numpy as np

from coldstart_models.arranging import BEST_FIRST, Arrangement
from coldstart_models.calendar_terms import machine_time
from coldstart_models.candidates import ALL, NEW, pool_rows, served_rows, unfiltered_rows
from coldstart_models.cold_share import ServedListings
from coldstart_models.errors import UnknownItem
from coldstart_models.explaining import Explanation, explained, sentences
from coldstart_models.exploration.exploring import Turn
from coldstart_models.exploration.page import Field
from coldstart_models.person import Person
from coldstart_models.ranker import top_k
from coldstart_models.recommendations import Recommendation, Scored, most_popular, page
from coldstart_models.scoring import Scoring
from coldstart_models.siamese.network import MetaSiamese
from coldstart_models.siamese.personal import require_place
from coldstart_models.siamese.population import Population
from coldstart_models.siamese.sketch import MOST
from coldstart_models.snapshot import Snapshot
from coldstart_models.user_history import UserHistory

MOST_A_PLACE: Final = 10
"""Of very many listings, as many as this a place are scored exactly; at least `MOST`."""


class Answering:
    """One model over the snapshot that it serves now. Nothing that is asked changes it."""

    def __init__(
        self,
        *,
        tag: str,
        network: MetaSiamese,
        population: Population,
        snapshot: Snapshot,
        now: Callable[[], datetime] = machine_time,
    ) -> None:
        """Answer by a model; `now` tells the season of those that were trained with dates."""
        self.tag = tag
        self._scoring = Scoring(network, population, now=now)
        self._snapshot = snapshot

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
    def listings(self) -> ServedListings:
        """What is ranked now."""
        snapshot = self._snapshot
        return ServedListings(snapshot.item_ids, snapshot.new, snapshot.support)

    def serves(self, item_id: str) -> bool:
        """Whether the listing can be recommended or scored."""
        return item_id in self._snapshot.position

    def knows(self, history: UserHistory) -> bool:
        """Whether any listing of the history is served: without one, nothing is personal."""
        return any(map(self._snapshot.position.__contains__, history.item_ids))

    def support(self, item_id: str) -> int:
        """First customers that the listing has learned from. Raises UnknownItem."""
        snapshot = self._snapshot
        return int(snapshot.support[served_rows(snapshot, [item_id])[0]])

    def is_new(self, item_id: str) -> bool:
        """Whether hardly anybody has chosen the item yet. Raises UnknownItem."""
        snapshot = self._snapshot
        return bool(snapshot.new[served_rows(snapshot, [item_id])[0]])

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
        require_place(personal)
        snapshot, scoring = self._snapshot, self._scoring
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
        dated = scoring.calendar.terms(snapshot)
        person = Person.of(
            scoring.scorer,
            snapshot,
            history,
            rows if pool == ALL else left,
            most=max(MOST, MOST_A_PLACE * k + len(before)),
            mean=scoring.population_mean,
            dated=None if dated is None else dated.total,
            personal=personal,
            together=pool == ALL,
        )
        if person is None:
            scores = scoring.of_stranger(snapshot, rows, pool=pool)
            return most_popular(
                snapshot,
                left,
                scores[np.searchsorted(rows, left)],
                spread=scoring.network.strangers,
                k=k,
                arrangement=arrangement,
                turn=turn,
            )
        scores = scoring.summed(person, dated, personal=personal, together=pool == ALL)
        if len(before):
            places = np.flatnonzero(~np.isin(person.rows, before))
            person, scores = person.among(places), scores[places]
        rows = person.rows
        order = arrangement.order(snapshot, rows, scores, k=k)
        order, propensities, explored = page(
            turn,
            lambda: Field(
                snapshot.item_ids[rows],
                scores.astype(np.float64),
                scoring.directions(person, personal=personal),
                snapshot.new[rows],
            ),
            order,
        )
        best, reached = rows[order], scores[order].tolist()
        told = sentences(person, order, personal=personal)
        unsure = scoring.deviations(person, order, personal=personal).tolist()
        return [
            Recommendation.of(
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
        """The person's score of each item, as `scored` tells it. Raises UnknownItem."""
        told = self.scored(history, item_ids, pool=pool, personal=personal)
        return [one.score for one in told]

    def scored(
        self,
        history: UserHistory,
        item_ids: Sequence[str],
        *,
        pool: str = NEW,
        personal: float | None = None,
    ) -> list[Scored]:
        """The person's score of each item, in order, and how unsure it is. Raises UnknownItem.

        Scores compare items for one person, standardised over the new listings; they say
        nothing across people. Without a usable history they are the expected popularity.

        Args:
            pool: ``new``, each item by itself; ``all``, as `recommend` ranks it among all that it
                chooses from without filters (see `siamese.places`).
        """
        snapshot = self._snapshot
        asked = served_rows(snapshot, item_ids)
        rows, places = asked, np.arange(len(asked))
        if pool == ALL:
            rows = np.union1d(unfiltered_rows(snapshot, pool, history, item_ids), asked)
            places = np.searchsorted(rows, asked)
        scores, unsure = self._scoring.scored(
            snapshot, history, rows, places, pool=pool, personal=personal
        )
        return list(map(Scored, scores.tolist(), unsure.tolist()))

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
        row = int(served_rows(snapshot, [item_id])[0])
        rows = unfiltered_rows(snapshot, pool, history, [item_id])
        if row not in rows:
            raise UnknownItem(f"item {item_id!r} is served, but not one of the {pool} listings")
        scores = self._scoring.ranked(snapshot, history, rows, pool=pool, personal=personal)
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
        row = int(served_rows(snapshot, [item_id])[0])
        return explained(self._scoring, snapshot, history, row, pool=pool, personal=personal)

    def similar(self, item_id: str, *, k: int = 10) -> list[tuple[str, float]]:
        """The k listings whose modalities are most alike on average, with the similarity."""
        snapshot = self._snapshot
        row = int(served_rows(snapshot, [item_id])[0])
        vectors = snapshot.vectors
        total, counted = np.zeros(len(snapshot.items), np.float32), np.zeros(len(snapshot.items))
        for name in self._scoring.scorer.widths:
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
        rows, spread = pool_rows(snapshot, pool), self._scoring.network.strangers
        scores = self._scoring.of_stranger(snapshot, rows, pool=pool)
        return most_popular(snapshot, rows, scores, spread=spread, k=k)
