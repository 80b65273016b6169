"""Watermarks, badges and logos: what stands at the same place on many different photos.

The gradients of a mark agree over photos whose own do not (Dekel et al., On the effectiveness of
visible watermarks, CVPR 2017, sec. 3.1, who take the median of the gradients). Here the gradient is
the mixed one, d2/dxdy: it is nothing along upright and level edges, which photos of a shop share by
nature (frames, letterboxes, pieces cropped alike), and strong at what letters are made of. Its
sign at a place is tested over the photos, which is the median's test.

Measured on half of 2,343 photos of a furniture shop (LIKENESS was chosen on the other half, what
comes before it on draws from all) and on 581 photos of the generated marketplace: none of 16,640
drawn of either into batches of 40, 120 and 256 without a mark was told of. With words in grey,
black and white over batches of 256 (nine each, at an opacity of 0.2, 0.4 and 0.6; not saved again),
the share of the marked photos that were told:

    of the batch marked   furniture shop      generated           false, of unmarked ones
    all                   0.77, 0.82, 0.87    0.84, 0.97, 0.94
    half                  0.74, 0.85, 0.86    0.84, 0.94, 0.95    1 of 6,912
    a fifth               0.41, 0.60, 0.80    0.00, 0.11, 0.00    0 of 11,070
    a tenth               0.00, 0.22, 0.31    0.00, 0.00, 0.00    0 of 12,420

Most of what is missed of a fifth or a tenth is whole batches.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from validation.pixels import SIDE, Pixels

BLOCK: Final = 16
COPY_BITS: Final = 10
"""Differing bits of two fingerprints up to which photos have one vote between them."""
FEWEST_PHOTOS: Final = 32
"""Different photos below which chance agrees as well."""
FEWEST_MARKED: Final = 8
VISIBLE: Final = 3
"""Gradient that counts, in steps of two grey values; noise of compression is less."""
STEEPEST: Final = 20
"""To which a row's gradients are cut, so that they fit in a byte when subtracted."""
UNUSUAL: Final = 4.0
"""Standard deviations of the signs' sum from which a place agrees."""
FEWEST_PLACES: Final = 30
"""Places of the grid that must agree to be a mark."""
LIKENESS: Final = 0.4
"""Cosine of a photo's signs and the mark's from which the photo bears it."""
SHARED: Final = 0.5
"""Mean sign, over the photos that bear the mark, of the places that it is made of."""

Truths = npt.NDArray[np.bool_]
Signs = npt.NDArray[np.int8]
"""(N, SIDE - 1, SIDE - 1) of -1, 0 and 1."""


def marked(pixels: Pixels, prints: Sequence[int | None]) -> Truths:
    """(N,) which photos bear a mark that others of them have at the same place.

    A photo of a different brightness at the mark shows it the other way round; that counts.

    Args:
        pixels: small grey copies of N photos that came together.
        prints: their fingerprints; photos without one have no vote, and no mark.
    """
    nobody = np.zeros(len(pixels), dtype=bool)
    voting = _different(prints)
    if len(voting) < FEWEST_PHOTOS:
        return nobody
    signs = _signs(pixels)
    mark = _agreed(signs[voting])
    if np.count_nonzero(mark) < FEWEST_PLACES:
        return nobody
    for _ in range(2):  # again with all that the photos found share, which is more of the mark
        likeness = _likeness(signs, mark)
        bearing = np.abs(likeness) >= LIKENESS
        if np.count_nonzero(bearing[voting]) < FEWEST_MARKED:
            return nobody
        turned = np.sign(likeness[bearing])
        shared = np.tensordot(turned, signs[bearing], axes=1) / len(turned)
        mark = np.where(np.abs(shared) >= SHARED, np.sign(shared), 0)
    return bearing


def _different(prints: Sequence[int | None]) -> npt.NDArray[np.int64]:
    """Rows of one photo for each picture."""
    rows = np.array([row for row, code in enumerate(prints) if code is not None], dtype=np.int64)
    codes = np.array([prints[row] for row in rows], dtype=np.uint64)
    near = np.bitwise_count(codes[:, None] ^ codes) <= COPY_BITS
    different: npt.NDArray[np.int64] = rows[~np.tril(near, -1).any(axis=1)]
    return different


def _signs(pixels: Pixels) -> Signs:
    signs = np.empty((len(pixels), SIDE - 1, SIDE - 1), np.int8)
    for start in range(0, len(pixels), BLOCK):  # what is between fits in the processor's cache
        halved = (pixels[start : start + BLOCK] >> 1).view(np.int8)
        across = halved[:, :, 1:] - halved[:, :, :-1]
        np.clip(across, -STEEPEST, STEEPEST, out=across)
        mixed = across[:, 1:] - across[:, :-1]
        up, down = mixed >= VISIBLE, mixed <= -VISIBLE
        np.subtract(up.view(np.int8), down.view(np.int8), out=signs[start : start + BLOCK])
    return signs


def _agreed(signs: Signs) -> npt.NDArray[np.float64]:
    """(SIDE - 1, SIDE - 1) the sign where it agrees over photos more than chance has it, else 0.

    What agreement is usual is taken from the places themselves, of which a mark has few: drawn
    or cropped alike, photos agree a little everywhere.
    """
    counted = np.abs(signs).sum(axis=0, dtype=np.int32) + UNUSUAL
    sums = signs.sum(axis=0, dtype=np.int32) / np.sqrt(counted)
    usual = max(1.0, float(np.quantile(np.abs(sums), 0.9)) / 1.645)
    agreed: npt.NDArray[np.float64] = np.where(np.abs(sums) >= UNUSUAL * usual, np.sign(sums), 0)
    return agreed


def _likeness(signs: Signs, mark: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(N,) cosine of each photo's signs and the mark's, at the mark."""
    there = mark != 0
    seen = signs[:, there]
    sizes = np.abs(seen).sum(axis=1, dtype=np.int32) * np.count_nonzero(there)
    likeness: npt.NDArray[np.float64] = (seen @ mark[there]) / np.sqrt(np.maximum(sizes, 1))
    return likeness
