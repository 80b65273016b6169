"""A person as a snapshot knows them, beside the candidates of one request."""

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from coldstart_models.data.catalogue import IntArray
from coldstart_models.siamese.preparing import history_batch
from coldstart_models.siamese.scorer import Calibration, SiameseScorer
from coldstart_models.siamese.sight import FloatArray, Past, Sight, contributions
from coldstart_models.siamese.similarities import Similarities
from coldstart_models.siamese.sketch import LARGE
from coldstart_models.siamese.terms import Terms

if TYPE_CHECKING:
    from coldstart_models.blocks import Block
    from coldstart_models.snapshot import Snapshot
    from coldstart_models.user_history import UserHistory


@dataclass(frozen=True, slots=True)
class Met:
    """A person beside all items of a small catalogue: the same whatever is asked, until they or
    the snapshot change. Visitors come back for the next page, another category, the same page.
    """

    past_rows: IntArray
    past: Past
    sight: Sight
    calibration: Calibration

    @classmethod
    def of(
        cls,
        scorer: SiameseScorer,
        snapshot: "Snapshot",
        history: "UserHistory",
        similarities: Similarities,
    ) -> "Met | None":
        """None where the snapshot knows no item of the history."""
        met = _remembered(scorer, snapshot, history)
        if met is None:
            return None
        past_rows, past = met
        blocks = snapshot.blocks
        sight = Sight.of_known(scorer, past, blocks.whole.present, similarities)
        pool = sight.batch(torch.from_numpy(blocks.reference.rows))
        return cls(past_rows, past, sight, Calibration.beside(*pool, *blocks.usual_prior))


@dataclass(frozen=True)
class Person:
    """A user seen by the scorer, with the reference pool's calibration."""

    scorer: SiameseScorer
    snapshot: "Snapshot"
    rows: IntArray
    """(C,) of the candidates."""
    past_rows: IntArray
    """(H,) of the history events that the snapshot knows."""
    past: Past
    sight: Sight
    columns: Tensor | None
    """(C,) of the candidates in what is seen; None where they are all of it."""
    present: Tensor
    """(M, C') which of what is seen has which modality."""
    calibration: Calibration
    prior: Tensor
    """(C,) expected log popularity of the candidates."""

    @classmethod
    @torch.inference_mode()
    def of(
        cls,
        scorer: SiameseScorer,
        snapshot: "Snapshot",
        history: "UserHistory",
        rows: IntArray,
        *,
        most: int | None = None,
        mean: Tensor | None = None,
        dated: Tensor | None = None,
        personal: float | None = None,
        together: bool = False,
    ) -> "Person | None":
        """None where the snapshot knows no item of the history.

        Args:
            rows: (C,) of the candidates.
            most: of very many candidates, ascending, keep so many that may be the best.
            mean: (ΣD_m,) of the population's profiles, to keep whom first customers lifted.
            dated: (N,) what dates add to the scores, likewise.
            personal: π of `siamese.personal`, by which the best are kept.
            together: whether they are ranked as `siamese.places` says: kept is which new listing
                may take a place, and whose place it may be. What sells now orders known items
                that are kept, and keeps none.
        """
        similarities = snapshot.blocks.similarities
        if similarities is None:
            return cls._among_many(
                scorer,
                snapshot,
                history,
                rows,
                most=most,
                mean=mean,
                dated=dated,
                personal=personal,
                together=together,
            )
        met = snapshot.blocks.people.get(
            (scorer, history.key), lambda: Met.of(scorer, snapshot, history, similarities)
        )
        if met is None:
            return None
        return cls(
            scorer=scorer,
            snapshot=snapshot,
            rows=rows,
            past_rows=met.past_rows,
            past=met.past,
            sight=met.sight,
            columns=_columns(snapshot.blocks.whole, rows),
            present=snapshot.blocks.whole.present,
            calibration=met.calibration,
            prior=torch.from_numpy(snapshot.prior[rows]),
        )

    @classmethod
    def _among_many(
        cls,
        scorer: SiameseScorer,
        snapshot: "Snapshot",
        history: "UserHistory",
        rows: IntArray,
        *,
        most: int | None,
        mean: Tensor | None,
        dated: Tensor | None,
        personal: float | None,
        together: bool,
    ) -> "Person | None":
        """As `of`, where the products of all items would be too many to keep."""
        remembered = _remembered(scorer, snapshot, history)
        if remembered is None:
            return None
        past_rows, past = remembered
        blocks = snapshot.blocks
        reference, prior = blocks.reference, blocks.usual_prior
        if most is not None and len(rows) > max(LARGE, most) and snapshot.sketch is not None:
            seen = Calibration.beside(*Sight.of(scorer, past, reference.vectors).batch(), *prior)
            best = partial(
                snapshot.sketch.best,
                scorer,
                past,
                seen,
                most=most,
                dated=dated,
                personal=personal,
            )
            unlifted = torch.zeros(0), rows[:0]
            centred = None if mean is None else past.centred(mean)
            if centred is None:
                rows = best(rows, lifted=unlifted)
            elif together and not snapshot.new[rows].all():
                new = rows[snapshot.new[rows]]
                if len(new) > most:
                    new = best(new, lifted=snapshot.learned.added(new, centred))
                rows = np.union1d(best(rows, lifted=unlifted), new)
            else:
                rows = best(rows, lifted=snapshot.learned.added(rows, centred))
        ascending = rows if _ascends(rows) else np.unique(rows)
        block = blocks.around(ascending)
        sight = Sight.of(scorer, past, block.vectors)
        if block is blocks.whole:
            pool = sight.batch(torch.from_numpy(reference.rows))
        elif block.holds(reference.rows):
            pool = sight.batch(torch.from_numpy(block.columns(reference.rows)))
        else:
            pool = Sight.of(scorer, past, reference.vectors).batch()
        return cls(
            scorer=scorer,
            snapshot=snapshot,
            rows=rows,
            past_rows=past_rows,
            past=past,
            sight=sight,
            columns=_columns(block, rows),
            present=block.present,
            calibration=Calibration.beside(*pool, *prior),
            prior=torch.from_numpy(snapshot.prior[rows]),
        )

    def among(self, places: IntArray) -> "Person":
        """The same person beside some of the candidates, by their places (K,)."""
        at = torch.from_numpy(places)
        columns = at if self.columns is None else self.columns[at]
        return replace(self, rows=self.rows[places], columns=columns, prior=self.prior[at])

    @cached_property
    def item_ids(self) -> tuple[str, ...]:
        """Of the H events."""
        return tuple(str(self.snapshot.item_ids[row]) for row in self.past_rows)

    @cached_property
    def terms(self) -> Terms:
        """What the candidates' scores are made of."""
        values, exists = self.sight.batch(self.columns)
        return Terms(values, exists, self.prior, self.calibration)

    @torch.inference_mode()
    def general(self) -> Tensor:
        """(C,) expected popularity of the candidates, standardised over the reference pool."""
        return self.calibration.popular(self.prior)

    @torch.inference_mode()
    def parts(self, places: IntArray) -> FloatArray:
        """(M, K, H): the history's parts in the score of some of the candidates, by modality."""
        at = torch.from_numpy(places)
        columns = at if self.columns is None else self.columns[at]
        return contributions(
            self.scorer,
            self.sight.similar(columns),
            self.past.weights,
            self.present[:, columns],
            mean=self.calibration.mean[0, 0],
            deviation=self.calibration.deviation[0, 0],
        )


def _remembered(
    scorer: SiameseScorer, snapshot: "Snapshot", history: "UserHistory"
) -> tuple[IntArray, Past] | None:
    """(H,) rows of what the snapshot knows of a history, and what each weighs; None of nothing."""
    histories = snapshot.histories([history])
    if not histories.mask.any():
        return None
    batch = history_batch(histories)
    past = Past.of(
        scorer,
        snapshot.vectors,
        batch.rows[0],
        age_days=batch.age_days[0],
        traits=batch.traits[0],
        present=snapshot.blocks.whole.present,
    )
    return histories.item_index[0], past


def _columns(block: "Block", rows: IntArray) -> Tensor | None:
    """(C,) of the rows in a block; None where they are all of it, in its order."""
    if len(rows) == len(block.rows) and _ascends(rows):
        return None
    return torch.from_numpy(block.columns(rows))


def _ascends(rows: IntArray) -> bool:
    return bool((rows[1:] > rows[:-1]).all())
