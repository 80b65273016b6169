"""Tower outputs as the rows of the `item_vector` feature view, and back.

A row holds every modality's block in the order of the model's widths, then one number: the
expected log popularity. A block of zeros says that the item has no such modality.
"""

from typing import Final

import numpy as np
import torch

from coldstart_models.data.catalogue import FloatMatrix
from coldstart_models.siamese.scorer import Vectors

COPIED_BYTES: Final = 512 * 1024**2
"""Rows up to which a second copy, a modality at a time, is worth its memory."""
AT_ONCE: Final = 65_536
"""Rows looked at together; bounds the memory."""


def packed_width(widths: dict[str, int]) -> int:
    """Length of one row."""
    return sum(widths.values()) + 1


def pack(vectors: Vectors, prior: "np.typing.NDArray[np.float32]") -> FloatMatrix:
    """(N, ΣD_m + 1) rows."""
    blocks = [values.numpy() for values in vectors.values.values()]
    return np.ascontiguousarray(np.hstack([*blocks, prior[:, None]]), dtype=np.float32)


def unpack(
    rows: FloatMatrix, widths: dict[str, int]
) -> tuple[Vectors, "np.typing.NDArray[np.float32]"]:
    """The vectors with their masks, and the prior (N,).

    Of very many rows the blocks stay where they are, in a file where the rows are mapped from one.
    """
    values, present, start = {}, {}, 0
    for name, width in widths.items():
        block = rows[:, start : start + width]
        if rows.nbytes <= COPIED_BYTES:
            block = np.ascontiguousarray(block)
        values[name] = torch.from_numpy(block)
        parts = (block[first : first + AT_ONCE] for first in range(0, len(rows), AT_ONCE))
        known = [np.any(part != 0, axis=1) for part in parts]
        present[name] = torch.from_numpy(np.concatenate(known) if known else np.zeros(0, bool))
        start += width
    return Vectors(values, present), np.ascontiguousarray(rows[:, -1])


def keep_block(
    rows: FloatMatrix, stored: FloatMatrix, *, name: str, widths: dict[str, int]
) -> FloatMatrix:
    """(N, ΣD_m + 1) rows with one modality's block of the stored ones, where these have it."""
    names = list(widths)
    start = sum(widths[one] for one in names[: names.index(name)])
    block = slice(start, start + widths[name])
    both = rows.copy()
    has = np.any(stored[:, block] != 0, axis=1)
    both[has, block] = stored[has, block]
    return both


def pack_deltas(deltas: dict[str, torch.Tensor], widths: dict[str, int]) -> FloatMatrix:
    """(C, ΣD_m) rows of the `item_adaptation` view."""
    return np.hstack([deltas[name].numpy() for name in widths])


def unpack_deltas(rows: FloatMatrix, widths: dict[str, int]) -> dict[str, torch.Tensor]:
    """Modality → (C, D_m)."""
    bounds = np.cumsum([0, *widths.values()])
    return {
        name: torch.from_numpy(np.ascontiguousarray(rows[:, start:end]))
        for name, start, end in zip(widths, bounds[:-1], bounds[1:], strict=True)
    }
