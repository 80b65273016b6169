"""An encoder that learns: what is free of it, and a linear head to the vectors it will return.

Shapes: N rows, B numbers of the base's output, D of a vector.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from coldstart_models.data.catalogue import FloatMatrix, IntArray
from validation.alignment import PENALTY, ridge

AT_ONCE: Final = 256
"""Rows that are computed together where nothing is learned."""
MOST_KEPT: Final = 2**30
"""Bytes of prepared photos and texts that are kept in memory."""
PENALTIES: Final = (0.1, 0.3, 1.0, 3.0)
"""Of ridge regressions that are chosen from, as shares of the features' mean variance."""
WEIGHTS: Final = (0.5, 1.0, 2.0, 4.0)
"""Of what a photo foretells of its title, beside what its vector was."""


class Inputs(Protocol):
    """What a tower's free part is given, by row and view."""

    @property
    def views(self) -> int:
        """Of a row, the row itself the first."""

    def batch(self, rows: IntArray, views: IntArray) -> Any:
        """On the device: the named view of each row."""


@dataclass(frozen=True, slots=True)
class StoredInputs:
    """Numbers that were computed before: feature maps, or an encoder's vectors."""

    parts: tuple[npt.NDArray[np.floating], ...]
    """(N, V, …) each, their rows numbered one part after the other; V may differ."""
    device: torch.device

    @property
    def views(self) -> int:
        return int(self.parts[0].shape[1])

    def batch(self, rows: IntArray, views: IntArray) -> Tensor:
        """(R, …) float32. A part with fewer views gives those it has."""
        found = np.empty((len(rows), *self.parts[0].shape[2:]), np.float32)
        first = 0
        for part in self.parts:
            here = (rows >= first) & (rows < first + len(part))
            found[here] = part[rows[here] - first, views[here] % part.shape[1]]
            first += len(part)
        return torch.from_numpy(found).to(self.device)


@dataclass(slots=True)
class WholeInputs:
    """Photos or texts as the encoder prepares them, for an encoder that is computed as a whole.

    The first MOST_KEPT bytes of them stay in memory, and others are prepared when they are asked
    for: a photo of 224 pixels is 600 kB for most encoders.
    """

    encoder: Any
    counts: Sequence[int]
    """(N,) views of each row."""
    prepare: Callable[[int, int], Any]
    """Row and view → what the encoder stages; called from several threads."""
    kept: dict[tuple[int, int], Any] = field(default_factory=dict)
    kept_bytes: int = 0

    @property
    def views(self) -> int:
        return self.counts[0]

    def batch(self, rows: IntArray, views: IntArray) -> Any:
        """As the encoder stages them. A row with fewer views gives those it has."""
        asked = [
            (int(row), int(view) % self.counts[row]) for row, view in zip(rows, views, strict=True)
        ]
        missing = [one for one in dict.fromkeys(asked) if one not in self.kept]
        with ThreadPoolExecutor() as pool:
            made = dict(
                zip(missing, pool.map(lambda one: self.prepare(*one), missing), strict=True)
            )
        chosen = [made[one] if one in made else self.kept[one] for one in asked]
        for one, value in made.items():
            size = int(getattr(value, "nbytes", sys.getsizeof(value)))
            if self.kept_bytes + size <= MOST_KEPT:
                self.kept[one] = value
                self.kept_bytes += size
        return self.encoder.stage(chosen).ready()


class Tower(nn.Module):
    """The free part of an encoder and its head."""

    def __init__(
        self,
        inputs: Inputs,
        free: nn.Module,
        *,
        compute: Callable[[Any], Tensor] | None = None,
        device: torch.device,
    ) -> None:
        """`compute` runs a batch through `free`; by default `free` is called itself."""
        super().__init__()
        self.inputs, self.free, self.device = inputs, free, device
        self._compute = compute or free
        self.head: nn.Linear | None = None

    @property
    def learns(self) -> bool:
        """Whether anything but the head is learned."""
        return any(parameter.requires_grad for parameter in self.free.parameters())

    def features(self, rows: IntArray, views: IntArray | None = None) -> Tensor:
        """(R, B) the base's output; of the photo itself where no view is named."""
        chosen = np.zeros(len(rows), np.int64) if views is None else views
        output: Tensor = self._compute(self.inputs.batch(rows, chosen))
        return output.flatten(1).float()

    def project(self, features: Tensor) -> Tensor:
        """(R, B) to (R, D)"""
        found: Tensor = features if self.head is None else self.head(features)
        return found

    def forward(self, rows: IntArray, views: IntArray | None = None) -> Tensor:
        """(R, D)"""
        return self.project(self.features(rows, views))

    def all_features(self, rows: IntArray, *, view: int = 0) -> FloatMatrix:
        """(R, B) of any number of rows, without gradients."""
        return self._all(rows, view, self.features)

    def vectors(self, rows: IntArray, *, view: int = 0) -> FloatMatrix:
        """(R, D) of any number of rows, without gradients."""
        return self._all(rows, view, self)

    def _all(
        self, rows: IntArray, view: int, compute: Callable[[IntArray, IntArray], Tensor]
    ) -> FloatMatrix:
        parts = []
        with torch.no_grad():
            for first in range(0, len(rows), AT_ONCE):
                chosen = rows[first : first + AT_ONCE]
                parts.append(compute(chosen, np.full(len(chosen), view)).float().cpu().numpy())
        return np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)


def centred_head(features: FloatMatrix) -> nn.Linear:
    """All numbers of the features (N, B), less their means."""
    mean = torch.from_numpy(features).double().mean(0)
    return _linear(torch.eye(len(mean)), -mean)


def plain_head(width: int) -> nn.Linear:
    """The features as they are."""
    return _linear(torch.eye(width), torch.zeros(width))


def principal_head(features: FloatMatrix, *, width: int) -> nn.Linear:
    """The head to start from: centred principal components, which keep angles and distances.

    Of B ≤ `width` numbers all are kept, and only centred and turned.
    """
    values = torch.from_numpy(features).double()
    mean = values.mean(0)
    _, axes = torch.linalg.eigh((values - mean).T @ (values - mean))
    kept = axes.flip(1)[:, : min(width, values.shape[1])].T  # (D, B), widest first
    return _linear(kept, -(kept @ mean))


def ridge_head(
    features: FloatMatrix, targets: FloatMatrix, *, penalty: float = PENALTY
) -> nn.Linear:
    """The head that maps features (N, B) to targets (N, D) best, as `alignment.ridge` does."""
    mean, aim, weights = map(torch.from_numpy, ridge(features, targets, penalty=penalty))
    return _linear(weights.T, aim - mean @ weights)


def foretelling_heads(
    photos: FloatMatrix, titles: FloatMatrix, *, width: int
) -> Iterator[tuple[nn.Linear, nn.Linear]]:
    """Heads of photos (N, B) and titles (N, T) to one space of D0 + T numbers, to choose from.

    A photo's vector is what it was (its D0 ≤ `width` principal components, of mean length 1) and
    what its features foretell of its title's vector by ridge regression (of mean length w); a
    title's is what it foretells of its photo's components and its own centred vector (both of mean
    length 1). One pair for each of PENALTIES and of WEIGHTS.
    """
    of_photos, of_titles = torch.from_numpy(photos), torch.from_numpy(titles)
    components = _of_length(principal_head(photos, width=width), 1.0, of_photos)
    foretold = ridge_head(titles, components(of_photos).detach().numpy())
    own = _of_length(centred_head(titles), 1.0, of_titles)
    title = _beside(_of_length(foretold, 1.0, of_titles), own)
    targets = own(of_titles).detach().numpy()
    for penalty in PENALTIES:
        foretold = ridge_head(photos, targets, penalty=penalty)
        for weight in WEIGHTS:
            yield _beside(components, _of_length(foretold, weight, of_photos)), title


def _beside(*heads: nn.Linear) -> nn.Linear:
    """One head that gives what all of them give, one after the other."""
    return _linear(
        torch.cat([head.weight.detach() for head in heads]),
        torch.cat([head.bias.detach() for head in heads]),
    )


def _of_length(head: nn.Linear, length: float, inputs: Tensor) -> nn.Linear:
    """The head scaled, so that the mean length of what it makes of the inputs is as asked."""
    scale = length / head(inputs).detach().norm(dim=1).mean().clamp_min(1e-9)
    return _linear(head.weight.detach() * scale, head.bias.detach() * scale)


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    return layer
