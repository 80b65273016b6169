"""One modality of very many listings, by what they are like, in a byte a number.

Listings that are near each other are of one kind and lie side by side, so that what holds for a
kind is worked out once and multiplied with its listings in one go.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import torch
from torch import Tensor

from coldstart_models.data.catalogue import BoolArray, IntArray

KINDS: Final = 256
"""At most; fewer of a small sample."""
MEMBERS: Final = 16
"""Listings of the sample a kind, on average at least."""
AXES: Final = 48
"""Leading axes on which a listing's kind is told."""
ROUNDS: Final = 10
"""Of k-means."""
BLOCK: Final = 2_048
"""Listings multiplied together: their numbers stay in the processor's cache."""
SIDE_BY_SIDE: Final = 16_384
"""Listings whose products are made something of together."""
LARGEST: Final = 127
"""Of a byte with a sign."""


@dataclass(frozen=True)
class Kinds:
    """K kinds of a modality's vectors, by k-means on its leading axes."""

    axes: Tensor
    """(D, A) orthonormal columns."""
    centres: Tensor
    """(K, D): a kind's mean vector."""

    @classmethod
    def fit(cls, sample: Tensor) -> "Kinds":
        """Of a sample (S, D) of listings that have the modality, in any order; none: one kind."""
        if not len(sample):
            return cls(torch.eye(sample.shape[1])[:, -AXES:], torch.zeros(1, sample.shape[1]))
        _, found = torch.linalg.eigh(sample.T @ sample)
        axes = found[:, -AXES:].contiguous()
        count = max(1, min(KINDS, len(sample) // MEMBERS))
        kinds = cls(axes, sample[torch.linspace(0, len(sample) - 1, count).long()])
        for _ in range(ROUNDS):
            kinds = cls(axes, _means(sample, kinds.of(sample), count))
        return kinds

    def of(self, values: Tensor) -> Tensor:
        """(N,) number of each vector's kind."""
        return torch.from_numpy(self._distances(values).numpy().argmin(axis=1))

    def near(self, values: Tensor, count: int) -> Tensor:
        """(N, K) which kinds are the nearest few of each vector, its own among them."""
        distances = self._distances(values)
        nearest = distances.topk(min(count, len(self.centres)), dim=1, largest=False).indices
        return torch.zeros(distances.shape, dtype=torch.bool).scatter_(1, nearest, True)

    @cached_property
    def _turned(self) -> tuple[Tensor, Tensor]:
        """(K,) and (A, K): what is added to, and multiplied with, a vector's leading axes."""
        centres = self.centres @ self.axes
        return centres.square().sum(dim=1), (-2 * centres.T).contiguous()

    def _distances(self, values: Tensor) -> Tensor:
        """(N, K), less what a vector's distances to all kinds share."""
        squares, turned = self._turned
        return torch.addmm(squares, values @ self.axes, turned)


def _means(values: Tensor, kind: Tensor, count: int) -> Tensor:
    """(K', D) of the kinds that have a member."""
    sums = torch.zeros(count, values.shape[1]).index_add_(0, kind, values)
    members = torch.bincount(kind, minlength=count)
    return (sums / members[:, None].clamp_min(1))[members > 0]


@dataclass(frozen=True, slots=True)
class Shelves:
    """P of N listings, those that have the modality, kind by kind."""

    kinds: Kinds
    first: IntArray
    """(K + 1,) where each kind begins, and the end."""
    listings: IntArray
    """(P,) rows of the listings."""
    numbers: Tensor
    """(P, D) int8: vectors, each over its own `scales`."""
    scales: Tensor
    """(P,)"""

    @classmethod
    def of(cls, kinds: Kinds, values: Tensor) -> "Shelves":
        """Of vectors (N, D); one of zeros is of a listing without the modality."""
        numbers = torch.empty(values.shape, dtype=torch.int8)
        scales, kind = torch.empty(len(values)), np.empty(len(values), np.int16)
        for first in range(0, len(values), BLOCK):
            run = slice(first, first + BLOCK)
            block = values[run].contiguous()
            scales[run] = block.abs().amax(dim=1) / LARGEST
            numbers[run] = (block / scales[run].clamp_min(1e-30)[:, None]).round_()
            kind[run] = kinds.of(block).numpy()
        kind[(scales == 0).numpy()] = absent = len(kinds.centres)
        order = np.argsort(kind, kind="stable")
        first_of = np.searchsorted(kind[order], np.arange(absent + 1))
        order = order[: first_of[-1]]
        at = torch.from_numpy(order)
        return cls(kinds, first_of, order, numbers[at], scales[at])

    @property
    def nbytes(self) -> int:
        return sum(one.nbytes for one in (self.numbers, self.scales, self.listings))

    def add(
        self,
        scores: Tensor,
        directions: Tensor,
        part: Callable[[Tensor, Tensor], Tensor],
        *,
        asked: BoolArray | None = None,
    ) -> None:
        """Add to the scores (N,) what a function makes of each listing's products.

        Args:
            directions: (K, C, D): what a kind's listings are multiplied with.
            part: of products (C, n) of listings side by side, and (K,) how many of them are of
                each kind: (n,). It may write into the products.
            asked: (N,) which listings; None: all.
        """
        at = None if asked is None else np.flatnonzero(asked[self.listings])
        first = self.first if at is None else np.searchsorted(at, self.first)
        places = None if at is None else torch.from_numpy(at)
        found, floats = torch.empty(int(first[-1])), torch.empty(BLOCK, directions.shape[2])
        products = torch.empty(directions.shape[1], SIDE_BY_SIDE)
        for begin in range(0, len(found), SIDE_BY_SIDE):
            end = min(begin + SIDE_BY_SIDE, len(found))
            bounds = np.clip(first, begin, end)
            for kind in np.flatnonzero(np.diff(bounds)).tolist():
                for start in range(int(bounds[kind]), int(bounds[kind + 1]), BLOCK):
                    run = slice(start, min(start + BLOCK, int(bounds[kind + 1])))
                    values = floats[: run.stop - start]
                    values.copy_(self.numbers[run if places is None else places[run]])
                    to = slice(start - begin, run.stop - begin)
                    torch.mm(directions[kind], values.T, out=products[:, to])
            own = slice(begin, end) if places is None else places[begin:end]
            scaled = products[:, : end - begin].mul_(self.scales[own])
            found[begin:end] = part(scaled, torch.from_numpy(np.diff(bounds)))
        listings = self.listings if at is None else self.listings[at]
        scores.numpy()[listings] += found.numpy()

    def rearranged(self, place: IntArray, added: Tensor, at: IntArray) -> "Shelves":
        """Of the listings that stay and of added ones.

        Args:
            place: (N,) row that each listing gets, -1 where it goes.
            added: (L, D) vectors.
            at: (L,) their rows.
        """
        new, stay = Shelves.of(self.kinds, added), place[self.listings] >= 0
        numbers = np.arange(len(self.first) - 1, dtype=np.int16)
        kept_kind = np.repeat(numbers, np.diff(self.first))[stay]
        kind = np.concatenate([kept_kind, np.repeat(numbers, np.diff(new.first))])
        order = np.argsort(kind, kind="stable")
        to = np.empty(len(order), np.int64)
        to[order] = np.arange(len(order))
        old_to, new_to = (torch.from_numpy(part) for part in np.split(to, [len(kept_kind)]))
        kept = torch.from_numpy(np.flatnonzero(stay))

        def both(stored: Tensor, arriving: Tensor) -> Tensor:
            merged = torch.empty((len(order), *stored.shape[1:]), dtype=stored.dtype)
            merged[old_to] = stored if len(kept) == len(stored) else stored[kept]
            merged[new_to] = arriving
            return merged

        rows = np.concatenate([place[self.listings[stay]], at[new.listings]])
        return Shelves(
            self.kinds,
            np.searchsorted(kind[order], np.arange(len(self.first))),
            rows[order],
            both(self.numbers, new.numbers),
            both(self.scales, new.scales),
        )
