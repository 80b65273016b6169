"""Finding the few listings of very many that may be a person's best, before these are scored.

All of a listing's numbers count, in a byte each. It is not multiplied with every event of a past
but with those that are near its kind and with what the others come to there (`siamese.outlook`):
as many products however long the past is. What comes out best is then scored exactly. No index
skips any listing: filters hold as they do elsewhere, and a new listing is one row more.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from coldstart_models.data.catalogue import BoolArray, FloatMatrix, IntArray
from coldstart_models.siamese.outlook import Outlook
from coldstart_models.siamese.personal import moved
from coldstart_models.siamese.scorer import Calibration, SiameseScorer
from coldstart_models.siamese.shelves import Kinds, Shelves
from coldstart_models.siamese.sight import Past

LARGE: Final = 20_000
"""Candidates above which the best are looked for among sketches first."""
MOST: Final = 3_000
"""Candidates that are scored exactly, at least."""
SAMPLE: Final = 8_192
"""Items that kinds are told from."""
NEAR: Final = 6
"""Events that a listing is multiplied with one by one, those nearest to its kind."""
FEW: Final = 0.5
"""Share of the listings below which those that are asked for are picked out."""


@dataclass(frozen=True, slots=True)
class Sketch:
    """N items in a byte a number."""

    widths: dict[str, int]
    """Modality → D_m."""
    shelves: dict[str, Shelves]
    """Modality → its vectors."""
    prior: npt.NDArray[np.float32]
    """(N,) expected log popularity."""

    @classmethod
    @torch.inference_mode()
    def fit(cls, widths: dict[str, int], rows: FloatMatrix) -> "Sketch":
        """Of rows (N, ΣD_m + 1) of `item_vector`."""
        drawn = np.random.default_rng(0).permutation(len(rows))[:SAMPLE]
        sample = np.ascontiguousarray(rows[np.sort(drawn)])
        kinds = {
            name: Kinds.fit(values[values.any(dim=1)])
            for name, values in _blocks(sample, widths).items()
        }
        return cls._of(widths, kinds, rows)

    @classmethod
    def _of(cls, widths: dict[str, int], kinds: dict[str, Kinds], rows: FloatMatrix) -> "Sketch":
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # most is done outside of Python's lock
            shelves = pool.map(_shelved, kinds.values(), _blocks(rows, widths).values())
            prior = np.ascontiguousarray(rows[:, -1])
            return cls(widths, dict(zip(widths, shelves, strict=True)), prior)

    @torch.inference_mode()
    def of(self, rows: FloatMatrix) -> "Sketch":
        """Of other rows, by the same kinds."""
        return self._of(self.widths, {name: one.kinds for name, one in self.shelves.items()}, rows)

    @property
    def nbytes(self) -> int:
        return sum(one.nbytes for one in self.shelves.values()) + self.prior.nbytes

    @torch.inference_mode()
    def best(
        self,
        scorer: SiameseScorer,
        past: Past,
        calibration: Calibration,
        rows: IntArray,
        *,
        most: int,
        lifted: tuple[Tensor, IntArray],
        dated: Tensor | None = None,
        personal: float | None = None,
    ) -> IntArray:
        """The candidates among rows (C,), ascending, that may be the best, ascending.

        Args:
            lifted: (L,) what first customers add to scores, and to which of the C.
            dated: (N,) what dates add to scores.
            personal: π of `siamese.personal`.
        """
        weight = float(scorer.prior_weight.detach())
        general = calibration.popular(torch.from_numpy(self.prior[rows]))
        scores = self._seen(scorer, past, calibration, self._asked(rows))[torch.from_numpy(rows)]
        scores += weight * general
        scores[torch.from_numpy(lifted[1])] += lifted[0]
        if dated is not None:
            scores += dated[torch.from_numpy(rows)]
        summed = moved(scores, general, weight, personal).numpy()
        return np.sort(rows[np.argpartition(summed, -most)[-most:]])

    def _asked(self, rows: IntArray) -> BoolArray | None:
        """(N,) which are looked at; None: all, where picking some out saves nothing."""
        if len(rows) > FEW * len(self.prior):
            return None
        asked = np.zeros(len(self.prior), bool)
        asked[rows] = True
        return asked

    def _seen(
        self,
        scorer: SiameseScorer,
        past: Past,
        calibration: Calibration,
        asked: BoolArray | None,
        *,
        near: int = NEAR,
    ) -> Tensor:
        """(N,) what the person's past adds to the scores, of those that are asked."""
        found = torch.zeros(len(self.prior))
        for place, shelves in enumerate(self.shelves.values()):
            if past.known[place]:
                outlook = Outlook.of(
                    scorer,
                    past,
                    calibration,
                    place=place,
                    kinds=shelves.kinds,
                    near=near,
                )
                shelves.add(found, outlook.directions, outlook.part, asked=asked)
        return found

    @torch.inference_mode()
    def rearranged(
        self, stay: npt.NDArray[np.bool_], added: FloatMatrix, order: IntArray
    ) -> "Sketch":
        """Of the items that stay and of added rows of `item_vector`, in an order."""
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        old = np.full(len(stay), -1, np.int64)
        kept = int(stay.sum())
        old[stay] = place[:kept]
        blocks = _blocks(added, self.widths)
        shelves = {
            name: one.rearranged(old, blocks[name], place[kept:])
            for name, one in self.shelves.items()
        }
        prior = np.concatenate([self.prior[stay], added[:, -1]])[order]
        return Sketch(self.widths, shelves, prior)

    def where(self, stay: npt.NDArray[np.bool_]) -> "Sketch":
        """Of the items that stay."""
        none = np.empty((0, sum(self.widths.values()) + 1), np.float32)
        return self.rearranged(stay, none, np.arange(int(stay.sum())))


@torch.inference_mode()
def _shelved(kinds: Kinds, values: Tensor) -> Shelves:
    return Shelves.of(kinds, values)


def _blocks(rows: FloatMatrix, widths: dict[str, int]) -> dict[str, Tensor]:
    """Modality → (N, D_m), where the rows are."""
    parts = torch.split(torch.from_numpy(rows[:, :-1]), list(widths.values()), dim=1)
    return dict(zip(widths, parts, strict=True))
