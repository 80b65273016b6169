"""A person's scores: the sum of their terms, and what dates and customers add to it."""

from collections.abc import Callable
from datetime import datetime

import numpy as np
import numpy.typing as npt
import torch

from coldstart_models.calendar_terms import Calendar, CalendarTerms
from coldstart_models.candidates import ALL
from coldstart_models.data.catalogue import IntArray
from coldstart_models.person import Person
from coldstart_models.siamese.network import MetaSiamese
from coldstart_models.siamese.own_errors import CUSTOMERS
from coldstart_models.siamese.personal import moved
from coldstart_models.siamese.places import in_order_of, shared_out
from coldstart_models.siamese.population import Population
from coldstart_models.siamese.scorer import SiameseScorer
from coldstart_models.snapshot import Snapshot
from coldstart_models.user_history import UserHistory


class Scoring:
    """How one model scores listings of any snapshot. Safe to share between threads."""

    def __init__(
        self, network: MetaSiamese, population: Population, *, now: Callable[[], datetime]
    ) -> None:
        """Of a model; `now` tells the season of those that were trained with dates."""
        self.network, self.population = network.eval(), population
        self.calendar = Calendar(network.date_term, now=now)
        self.population_mean = torch.cat([population.mean[name] for name in network.scorer.widths])
        """(ΣD_m,) of the population's profiles."""
        self.selling_weight = float(network.selling_weight)
        """w of `siamese.selling`."""

    @property
    def scorer(self) -> SiameseScorer:
        return self.network.scorer

    def ranked(
        self,
        snapshot: Snapshot,
        history: UserHistory,
        rows: IntArray,
        *,
        pool: str,
        personal: float | None,
    ) -> npt.NDArray[np.float32]:
        """(C,) scores of rows."""
        person = Person.of(self.scorer, snapshot, history, rows)
        return self._ranked(snapshot, person, rows, pool=pool, personal=personal)

    def scored(
        self,
        snapshot: Snapshot,
        history: UserHistory,
        rows: IntArray,
        places: IntArray,
        *,
        pool: str,
        personal: float | None,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
        """(K,) scores of some places among rows, and how unsure they are."""
        person = Person.of(self.scorer, snapshot, history, rows)
        scores = self._ranked(snapshot, person, rows, pool=pool, personal=personal)[places]
        if person is None:
            return scores, self.stranger_deviations(snapshot, rows[places])
        return scores, self.deviations(person, places, personal=personal)

    def _ranked(
        self,
        snapshot: Snapshot,
        person: Person | None,
        rows: IntArray,
        *,
        pool: str,
        personal: float | None,
    ) -> npt.NDArray[np.float32]:
        """(C,) scores of rows; None is a stranger."""
        if person is None:
            return self.of_stranger(snapshot, rows, pool=pool)
        dated = self.calendar.terms(snapshot)
        return self.summed(person, dated, personal=personal, together=pool == ALL)

    @torch.inference_mode()
    def summed(
        self,
        person: Person,
        dated: CalendarTerms | None,
        *,
        personal: float | None,
        together: bool = False,
    ) -> npt.NDArray[np.float32]:
        """(C,) scores from their terms and what first customers, sales and, where allowed, dates
        add.

        Args:
            together: whether new listings and known items, where both are among the candidates,
                are ranked in one list (`siamese.places`); else each score is the item's own.
        """
        rows, terms = person.rows, person.terms
        scores = self.scorer.combine(terms.values, terms.exists, terms.prior, person.calibration)
        if dated is not None:
            scores += dated.total[torch.from_numpy(rows)]
        weight = float(self.scorer.prior_weight.detach())
        general = person.general()
        plain = moved(scores[0], general, weight, personal)
        lifted = self._lifted(person, scores[0])
        if lifted is None:
            return np.asarray(plain.numpy(), dtype=np.float32)
        summed = moved(lifted, general, weight, personal)
        if together:
            new = torch.from_numpy(person.snapshot.new[rows])
            summed = shared_out(plain[None], summed[None], new)[0]
        return np.asarray(summed.numpy(), dtype=np.float32)

    def sells(self, snapshot: Snapshot, rows: IntArray) -> torch.Tensor:
        """(C,) what selling now adds to the scores of rows; 0 of new listings."""
        return self.selling_weight * snapshot.selling[torch.from_numpy(rows)]

    def of_stranger(
        self, snapshot: Snapshot, rows: IntArray, *, pool: str
    ) -> npt.NDArray[np.float32]:
        """(C,) scores of rows for somebody of whom nothing is known: the expected popularity.

        Among ``all`` known items share these out among themselves by what sells now.
        """
        found = snapshot.prior[rows]
        if pool == ALL and self._counts(snapshot):
            known = np.flatnonzero(~snapshot.new[rows])
            known = known[np.argsort(-found[known], kind="stable")]
            had, sells = torch.from_numpy(found[known]), self.sells(snapshot, rows[known])
            found[known] = in_order_of(sells[None], had[None])[0].numpy()
        return found

    def stranger_deviations(self, snapshot: Snapshot, rows: IntArray) -> npt.NDArray[np.float64]:
        """(C,) how unsure the scores of `of_stranger` are."""
        return self.network.strangers.deviations(
            snapshot.popularity_away(rows), snapshot.support[rows]
        )

    def shares_out(self, snapshot: Snapshot, row: int) -> bool:
        """Whether a listing's place among new ones and known items may be another's of its kind."""
        if snapshot.new[row]:
            return len(snapshot.learned.rows) > 0
        return self._counts(snapshot)

    def _counts(self, snapshot: Snapshot) -> bool:
        """Whether selling now counts for known items."""
        return self.selling_weight > 0 and snapshot.sales is not None

    def _lifted(self, person: Person, scores: torch.Tensor) -> torch.Tensor | None:
        """(C,) scores with what customers add; None where they add nothing."""
        snapshot, rows, found = person.snapshot, person.rows, None
        if self._counts(snapshot) and not snapshot.new[rows].all():
            found = scores + self.sells(snapshot, rows)
        if len(snapshot.learned.rows):
            centred = person.past.centred(self.population_mean)
            added, held = snapshot.learned.added(rows, centred)
            found = scores.clone() if found is None else found
            found[torch.from_numpy(held)] += added
        return found

    @torch.inference_mode()
    def directions(self, person: Person, *, personal: float | None) -> npt.NDArray[np.float64]:
        """(C, T + 1): how the scores may move together, at a place of the control; what is each
        listing's own is left aside."""
        features = _weighed(person.terms.features(), personal)
        return self.network.certainty.directions(features).numpy().astype(np.float64)

    @torch.inference_mode()
    def deviations(
        self, person: Person, places: IntArray, *, personal: float | None
    ) -> npt.NDArray[np.float64]:
        """(K,) how unsure the scores of some of the candidates are: σ of `siamese.certainty`.

        A known item is taken as a new one with the most first customers that are told apart.
        """
        snapshot, rows = person.snapshot, person.rows[places]
        customers = np.where(snapshot.new[rows], snapshot.support[rows], CUSTOMERS[-1])
        certainty, share = self.network.certainty, 1.0 if personal is None else personal
        shared = certainty.shared(_weighed(person.terms.features(places), personal)).numpy()
        return np.asarray(np.hypot(shared, share * certainty.own_deviations(customers)))


def _weighed(features: torch.Tensor, personal: float | None) -> torch.Tensor:
    """(C, T + 1) what learned weights weigh in y_π = π t + (1 − π) g: that of g is given."""
    if personal is None:
        return features
    return torch.cat([personal * features[:, :-1], torch.zeros_like(features[:, -1:])], dim=1)
