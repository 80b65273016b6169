"""What ranking reads at request time: every item's vector in one process, versioned.

A snapshot never changes; a push makes the next one, so a request sees one state from its
start to its end.
"""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from coldstart_models.blocks import Blocks, Learned
from coldstart_models.data.catalogue import BoolArray, FloatMatrix, IntArray
from coldstart_models.data.interactions import Histories, UserEvents, stack_histories
from coldstart_models.data.splits import HOME_DOMAIN
from coldstart_models.data.traits import event_traits
from coldstart_models.sales import Sales
from coldstart_models.siamese.packing import unpack, unpack_deltas
from coldstart_models.siamese.scorer import Vectors
from coldstart_models.siamese.sketch import Sketch
from coldstart_models.user_history import UserHistory
from feature_repo.feature_tables import HISTORY_LENGTH
from validation import tables
from validation.prices import spelled_levels

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
REFERENCE_SIZE: Final = 512
"""Items, or more but not twice as many, of the pool that each user's terms are standardised
over."""
REFERENCE_LEAST: Final = 64
"""New listings from which on they alone are that pool."""

ITEM_COLUMNS: Final = (
    tables.ITEM_ID,
    tables.TITLE,
    tables.CATEGORY,
    tables.PRICE,
    tables.AVAILABLE,
    tables.DOMAIN,
    tables.LISTED_AT,
)


@dataclass(frozen=True)
class Snapshot:
    """N items in ascending id."""

    version: int
    items: pd.DataFrame
    """ITEM_COLUMNS, in order of the vectors."""
    rows: FloatMatrix
    """(N, D) rows of `item_vector`."""
    widths: dict[str, int]
    new: BoolArray
    """(N,): listings nobody or hardly anybody has chosen yet."""
    deltas: FloatMatrix
    """(N, D - 1) rows of `item_adaptation`; zero without support, and there they take no memory."""
    biases: npt.NDArray[np.float32]
    """(N,) of `item_adaptation`: added to a listing's every score."""
    support: IntArray
    """(N,): how many first customers each delta was learned from."""
    model: str = ""
    """Tag of the model that made the vectors."""
    made_at: float = field(init=False, default_factory=time.monotonic)
    """In seconds of this process's monotonic clock."""
    sketch: Sketch | None = None
    """Of a large catalogue, to find the best by."""
    sales: Sales | None = None
    """How often each was chosen of late; None where nobody counted."""

    def warm(self) -> None:
        """Make now what the first request would wait for."""
        for name in ("position", "titles", "prices", "available", "target", "categories"):
            getattr(self, name)
        _ = self.vectors, self.blocks.reference, self.blocks.new, self.learned, self.selling

    @cached_property
    def item_ids(self) -> npt.NDArray[np.object_]:
        return self.items[tables.ITEM_ID].to_numpy(dtype=object)

    @cached_property
    def titles(self) -> npt.NDArray[np.object_]:
        return self.items[tables.TITLE].to_numpy(dtype=object)

    @cached_property
    def position(self) -> dict[str, int]:
        return {item_id: index for index, item_id in enumerate(self.item_ids)}

    def rows_of(self, item_ids: Collection[str]) -> IntArray:
        """(K,) rows of the ids that are known."""
        known = [self.position[item_id] for item_id in item_ids if item_id in self.position]
        return np.array(known, dtype=np.int64)

    @cached_property
    def _unpacked(self) -> tuple[Vectors, npt.NDArray[np.float32]]:
        return unpack(self.rows, self.widths)

    @property
    def vectors(self) -> Vectors:
        return self._unpacked[0]

    @property
    def prior(self) -> npt.NDArray[np.float32]:
        """(N,) expected log popularity from content."""
        return self._unpacked[1]

    @cached_property
    def blocks(self) -> Blocks:
        """Candidates as requests read them."""
        offered = np.flatnonzero(self.new & self.target)
        return Blocks(self.vectors, self.prior, reference=self.reference, new=offered)

    def popularity_away(self, rows: IntArray) -> npt.NDArray[np.float64]:
        """(C,) how far the expected popularity of rows is from the new listings' mean, in their
        deviations."""
        mean, usual = map(float, self.blocks.usual_prior)
        return np.asarray((self.prior[rows].astype(np.float64) - mean) / usual)

    @cached_property
    def learned(self) -> Learned:
        """What first customers taught, of the listings that have any."""
        return Learned.of(self)

    @cached_property
    def selling(self) -> torch.Tensor:
        """(N,): how well known items sell now, standardised (`siamese.selling`); 0 of new ones."""
        if self.sales is None:
            return torch.zeros(len(self.items))
        return torch.from_numpy(self.sales.recent.standing(~self.new))

    def delta(self, item_index: int) -> dict[str, torch.Tensor]:
        """What first customers taught of one listing, modality → (D_m,)."""
        row = unpack_deltas(self.deltas[[item_index]], self.widths)
        return {name: values[0] for name, values in row.items()}

    @cached_property
    def available(self) -> BoolArray:
        sold_out = self.items[tables.AVAILABLE].eq(False).fillna(False)
        return ~sold_out.to_numpy(bool)

    @cached_property
    def prices(self) -> npt.NDArray[np.float64]:
        """(N,); NaN where unknown."""
        prices = self.items[tables.PRICE].to_numpy(dtype=np.float64, na_value=np.nan)
        return np.asarray(prices)

    @cached_property
    def listed_days(self) -> npt.NDArray[np.float64]:
        """(N,) days since 1970 when each was listed; NaN where unknown."""
        if tables.LISTED_AT not in self.items:
            return np.full(len(self.items), np.nan)
        listed = pd.to_datetime(self.items[tables.LISTED_AT], utc=True)
        days = (listed - EPOCH) / pd.Timedelta(days=1)
        return np.asarray(days.to_numpy(np.float64), np.float64)

    @cached_property
    def categories(self) -> tuple[IntArray, list[tuple[str, ...]]]:
        """(N,) the number of each item's category, and each category's levels in one spelling."""
        numbers, paths = pd.factorize(self.items[tables.CATEGORY], use_na_sentinel=False)
        return numbers, [spelled_levels(path) for path in paths]

    @cached_property
    def target(self) -> BoolArray:
        """(N,): what is recommended: the home department where there is one, else everything.

        A listing that names no department is recommended too.
        """
        domains = self.items[tables.DOMAIN]
        home = (domains == HOME_DOMAIN).to_numpy(bool)
        everything = np.ones(len(domains), bool)
        return home | domains.isna().to_numpy(bool) if home.any() else everything

    @cached_property
    def reference(self) -> IntArray:
        """Rows, ascending, of an evenly spread sample of the new listings.

        Few listings do not tell what is usual: others fill them up, as evenly spread.
        """
        pool = np.flatnonzero(self.new & self.target)
        others = np.setdiff1d(np.arange(len(self.items)), pool, assume_unique=True)
        if (lacking := REFERENCE_LEAST - len(pool)) > 0 and len(others):
            filled = others[:: -(-len(others) // lacking)]
            return np.union1d(pool, filled)
        return pool[:: max(1, len(pool) // REFERENCE_SIZE)]

    def histories(self, given: Sequence[UserHistory]) -> Histories:
        """Histories as rows of the snapshot: distinct known items, each at its latest event."""
        return stack_histories([self._known_events(history) for history in given])

    def _known_events(self, history: UserHistory) -> UserEvents:
        """The newest HISTORY_LENGTH events on items of the snapshot."""
        known = [place for place, one in enumerate(history.item_ids) if one in self.position]
        known = known[-HISTORY_LENGTH:]
        rows = np.array([self.position[history.item_ids[place]] for place in known], np.int64)
        paid = np.array([history.price(place) for place in known], np.float64)
        traits = event_traits(
            [history.event_types[place] for place in known],
            [history.quantity(place) for place in known],
            np.where(np.isnan(paid), self.prices[rows], paid),
        )
        times = [microseconds(history.timestamps[place]) for place in known]
        return rows, np.array(times, np.int64), traits

    def with_items(self, items: pd.DataFrame, rows: FloatMatrix) -> "Snapshot":
        """The next version, in which these listings are new.

        One with a known id takes its place, and keeps how new it is and what it has learned.
        """
        known = pd.Index(self.item_ids).get_indexer(pd.Index(items[tables.ITEM_ID]))
        arriving = known < 0

        def learned(values: npt.NDArray[Any], otherwise: Any) -> npt.NDArray[Any]:
            found = np.full(len(known), otherwise, values.dtype)
            found[~arriving] = values[known[~arriving]]
            return found

        stay = np.ones(len(self.items), bool)
        stay[known[~arriving]] = False
        together = pd.concat(
            [self.items[stay], items.reindex(columns=list(ITEM_COLUMNS))], ignore_index=True
        )
        order = np.argsort(together[tables.ITEM_ID].to_numpy(dtype=str), kind="stable")

        def both(stored: npt.NDArray[Any], added: npt.NDArray[Any]) -> npt.NDArray[Any]:
            return np.ascontiguousarray(np.concatenate([stored[stay], added])[order])

        came_from = np.concatenate([np.flatnonzero(stay), known])[order]
        support = both(self.support, learned(self.support, 0))
        return Snapshot(
            version=self.version + 1,
            items=together.iloc[order].reset_index(drop=True),
            rows=both(self.rows, rows),
            widths=self.widths,
            new=both(self.new, learned(self.new, True)),
            deltas=self._deltas(came_from, support),
            biases=both(self.biases, learned(self.biases, 0)),
            support=support,
            model=self.model,
            sketch=self.sketch and self.sketch.rearranged(stay, rows, order),
            sales=self.sales and self.sales.moved(came_from),
        )

    def without_items(self, item_ids: Collection[str]) -> "Snapshot":
        """The next version, in which these listings are not; unknown ids are left out."""
        stay = ~pd.Index(self.item_ids).isin(list(item_ids))
        return Snapshot(
            version=self.version + 1,
            items=self.items[stay].reset_index(drop=True),
            rows=self.rows[stay],
            widths=self.widths,
            new=self.new[stay],
            deltas=self._deltas(np.flatnonzero(stay), self.support[stay]),
            biases=self.biases[stay],
            support=self.support[stay],
            model=self.model,
            sketch=self.sketch and self.sketch.where(stay),
            sales=self.sales and self.sales.where(stay),
        )

    def with_delta(
        self, item_index: int, delta: "npt.NDArray[np.float32]", bias: float, *, support: int
    ) -> "Snapshot":
        """The next version, in which one listing has learned from its first customers."""
        deltas, biases, supports = self._deltas(), self.biases.copy(), self.support.copy()
        deltas[item_index], biases[item_index], supports[item_index] = delta, bias, support
        return self._with_learned(deltas, biases, supports)

    def with_lessons(
        self,
        rows: IntArray,
        deltas: FloatMatrix,
        biases: "npt.NDArray[np.float32]",
        support: IntArray,
    ) -> "Snapshot":
        """The next version, in which the listings of some rows have learned just this."""
        all_deltas, all_biases = self._deltas(), self.biases.copy()
        all_support = self.support.copy()
        all_deltas[rows], all_biases[rows], all_support[rows] = deltas, biases, support
        return self._with_learned(all_deltas, all_biases, all_support)

    def without_deltas(self, item_ids: Collection[str] | None) -> "Snapshot":
        """The next version, in which some listings, None: all, have learned from nobody."""
        ids = pd.Index(self.item_ids)
        known = np.ones(len(ids), bool) if item_ids is None else ids.isin(list(item_ids))
        support = np.where(known, 0, self.support)
        return self._with_learned(
            self._deltas(support=support), np.where(known, np.float32(0), self.biases), support
        )

    def _deltas(
        self, came_from: IntArray | None = None, support: IntArray | None = None
    ) -> FloatMatrix:
        """A copy of the deltas in which listings that learned nothing take no memory.

        Args:
            came_from: (N',) old row of each listing, -1 of one that is new here; None: all as
                they are.
            support: (N',) of the copy; None: as it is.
        """
        support = self.support if support is None else support
        taught = np.flatnonzero(support)
        deltas = np.zeros((len(support), self.deltas.shape[1]), np.float32)
        deltas[taught] = self.deltas[taught if came_from is None else came_from[taught]]
        return deltas

    def with_sales(self, sales: Sales) -> "Snapshot":
        """The next version, in which choices are counted up to a later moment."""
        return self._changed("selling", sales=sales)

    def _with_learned(
        self, deltas: FloatMatrix, biases: "npt.NDArray[np.float32]", supports: IntArray
    ) -> "Snapshot":
        return self._changed("learned", deltas=deltas, biases=biases, support=supports)

    def _changed(self, derivative: str, **changes: Any) -> "Snapshot":
        """The next version with other fields, and what was derived of these derived anew.

        What was derived of the items and their vectors holds on.
        """
        later = replace(self, version=self.version + 1, **changes)
        stale = {one.name for one in fields(self)} | {derivative}
        derived = vars(self).copy()  # requests derive more meanwhile
        vars(later).update({name: kept for name, kept in derived.items() if name not in stale})
        return later


def microseconds(moment: datetime) -> int:
    """Since 1970, UTC."""
    return int((moment - EPOCH) // MICROSECOND)
