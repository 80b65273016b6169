"""What every encoder is: photos or texts in, finite float32 rows out, with a name and a hash."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from feature_repo.errors import EncoderError

FloatMatrix = npt.NDArray[np.float32]


class Modality(StrEnum):
    """What an encoder reads."""

    IMAGE = "image"
    TEXT = "text"


class Encoder(Protocol):
    """A frozen model that turns a photo (`PIL.Image.Image`) or a text (`str`) into a vector."""

    id: str
    """Its name, as the embedding tables record it."""
    modality: Modality
    width: int
    """D, the length of every vector."""
    licence: str
    """Of the weights."""
    hash: str
    """sha256 over weights and preprocessing: vectors of equal hash are comparable."""
    space: str
    """The hash itself, or what a joint model's photo and text encoders share: their vectors are
    comparable with each other."""

    def prepare(self, content: Any) -> Any:
        """One photo or text as the model's input. Safe to call from several threads."""

    def forward(self, prepared: Sequence[Any]) -> FloatMatrix:
        """(N, D), finite, one row for each prepared input. Raises EncoderError otherwise."""

    def encode(self, batch: Sequence[Any]) -> FloatMatrix:
        """Prepare and forward: (N, D) for N photos or texts."""


class Stages(Protocol):
    """`forward` in three calls, so that a batch's copies overlap with another's computation.

    Encoders that can have them; `stages_of` gives them of any.
    """

    lag: int
    """Batches to launch before the first is fetched."""

    def stage(self, prepared: Sequence[Any]) -> Any:
        """Put a batch together and on its way to the device; not in the caller's thread."""

    def launch(self, staged: Any) -> Any:
        """Begin to compute it."""

    def fetch(self, launched: Any) -> FloatMatrix:
        """(N, D), finite, once it is there. Raises EncoderError otherwise."""


@dataclass(frozen=True, slots=True)
class _AtOnce:
    """The stages of an encoder that has none."""

    encoder: Encoder
    lag: int = 0

    def stage(self, prepared: Sequence[Any]) -> Any:
        return prepared

    def launch(self, staged: Any) -> Any:
        return self.encoder.forward(staged)

    def fetch(self, launched: Any) -> FloatMatrix:
        matrix: FloatMatrix = launched
        return matrix


def stages_of(encoder: Encoder) -> Stages:
    """The encoder's own stages, or `forward` as one."""
    if hasattr(encoder, "launch"):
        return cast(Stages, encoder)
    return cast(Stages, _AtOnce(encoder))


def checked(output: Any, *, encoder: str, count: int, width: int) -> FloatMatrix:
    """The output as (count, width) finite float32. Raises EncoderError saying what it was."""
    matrix = np.ascontiguousarray(output, dtype=np.float32)
    if matrix.shape != (count, width):
        raise EncoderError(
            f"encoder {encoder!r} returned shape {matrix.shape} for {count} inputs; "
            f"expected {(count, width)}"
        )
    broken = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
    if broken.size:
        raise EncoderError(
            f"encoder {encoder!r} returned values that are not finite for {broken.size} of "
            f"{count} inputs, first at position {broken[0]}"
        )
    return matrix
