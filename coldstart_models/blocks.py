"""Candidates as contiguous blocks, copied once a snapshot and not once a request."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from coldstart_models.data.catalogue import IntArray
from coldstart_models.recent import Recent
from coldstart_models.siamese.scorer import Vectors, spread_of
from coldstart_models.siamese.sight import stacked
from coldstart_models.siamese.similarities import Similarities

if TYPE_CHECKING:
    from coldstart_models.person import Met
    from coldstart_models.snapshot import Snapshot

LARGEST_COPY: Final = 20_000
"""New listings up to which their vectors are held a second time, side by side."""
PEOPLE: Final = 256
"""Kept from request to request: of 1,600 items, some 100 kB each."""
FILLED: Final = 0.5
"""A block serves a request whose candidates are at least this share of it."""


@dataclass(frozen=True)
class Block:
    """Some rows of a snapshot, their vectors side by side."""

    rows: IntArray
    """(C,) ascending."""
    vectors: Vectors

    @cached_property
    def present(self) -> Tensor:
        """(M, C): which of them have each modality."""
        return stacked(self.vectors, self.vectors.values)

    def columns(self, rows: IntArray) -> IntArray:
        """Where rows of the block stand in it. All must be there; see `holds`."""
        return np.searchsorted(self.rows, rows)

    def holds(self, rows: IntArray) -> bool:
        """Whether every row, ascending, is in the block."""
        if len(rows) > len(self.rows):
            return False
        place = np.minimum(self.columns(rows), max(len(self.rows) - 1, 0))
        return bool((self.rows[place] == rows).all())


@dataclass(frozen=True, slots=True)
class Learned:
    """What first customers taught, of the new listings that have any; a listing that is known by
    now is ranked by all of its customers."""

    rows: IntArray
    """(L,) ascending."""
    deltas: Tensor
    """(L, ΣD_m)"""
    biases: Tensor
    """(L,)"""

    @classmethod
    def of(cls, snapshot: "Snapshot") -> "Learned":
        """From the new rows with support."""
        rows = np.flatnonzero(snapshot.new & (snapshot.support > 0))
        deltas, biases = snapshot.deltas[rows], snapshot.biases[rows]
        return cls(rows, torch.from_numpy(deltas), torch.from_numpy(biases))

    def added(self, rows: IntArray, centred: Tensor) -> tuple[Tensor, IntArray]:
        """(H,) what is added to scores, and to which H of the candidates' places.

        Args:
            rows: (C,) of the candidates.
            centred: (ΣD_m,) the person's profile less the population's.
        """
        place = np.minimum(np.searchsorted(self.rows, rows), max(len(self.rows) - 1, 0))
        held = np.flatnonzero(self.rows[place] == rows) if len(self.rows) else place[:0]
        if not len(held):
            return torch.zeros(0), held
        at = torch.from_numpy(place[held])
        if 2 * len(held) >= len(self.rows):
            return (self.deltas @ centred + self.biases)[at], held
        return self.deltas[at] @ centred + self.biases[at], held


class Blocks:
    """The blocks of one snapshot, made when first asked for."""

    def __init__(
        self,
        vectors: Vectors,
        prior: npt.NDArray[np.float32],
        *,
        reference: IntArray,
        new: IntArray,
    ) -> None:
        """Of N items; `reference` and `new` are rows, ascending."""
        self._vectors, self._new = vectors, new
        self._reference, self._prior = reference, prior

    @cached_property
    def whole(self) -> Block:
        return Block(np.arange(len(self._prior)), self._vectors)

    @cached_property
    def similarities(self) -> Similarities | None:
        """What is kept of a small catalogue from request to request; None of a large one."""
        return Similarities.of(self._vectors)

    @cached_property
    def people(self) -> "Recent[Met | None]":
        """Who asked of late, as a small catalogue knows them."""
        return Recent(PEOPLE)

    @cached_property
    def reference(self) -> Block:
        """What each person's terms are standardised over."""
        return self._taken(self._reference)

    @cached_property
    def usual_prior(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation of the reference pool's expected log popularity."""
        prior = torch.from_numpy(self._prior[self._reference])
        return prior.mean(), spread_of(prior)

    @cached_property
    def new(self) -> Block | None:
        """The new listings that are recommended, unless they are many."""
        return self._taken(self._new) if len(self._new) <= LARGEST_COPY else None

    def around(self, rows: IntArray) -> Block:
        """A block that holds the rows, ascending; with others only where that saves a copy."""
        if len(rows) >= FILLED * len(self._prior):
            return self.whole
        new = self.new
        if new is not None and len(rows) >= FILLED * len(new.rows) and new.holds(rows):
            return new
        return self._taken(rows)

    def _taken(self, rows: IntArray) -> Block:
        return Block(rows, self._vectors.take(torch.from_numpy(rows)))
