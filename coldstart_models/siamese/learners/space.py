"""Where learners work: users' profiles, centred and whitened on their leading axes.

Shapes: B users, M modalities, R axes a modality, D_m width of modality m.

    ψ_u = Λ^(-1/2) Eᵀ (p_u − p̄)          E, Λ the leading eigenpairs of the users' covariance

A vector v of a listing there is the delta δ = E Λ^(-1/2) v of its modality, so that
<p_u − p̄, δ> = <ψ_u, v>. Axes are in falling order of variance and their signs mean nothing: what is
learned of an axis holds for its place in the order, whichever fit of the factors it comes from.
"""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from coldstart_models.siamese.population import Population
from coldstart_models.siamese.scorer import Profiles, Vectors

AXES: Final = 48
"""R; a narrower modality, or one that users vary less in, fills its last axes with zeros."""
LEAST: Final = 1e-4
"""Share of a modality's variance below which an axis is left out: whitened, it would be noise."""


@dataclass(frozen=True, slots=True)
class Space:
    """The users' leading axes, a modality at a time."""

    names: tuple[str, ...]
    mean: dict[str, Tensor]
    """Modality → (D_m,): p̄."""
    axes: dict[str, Tensor]
    """Modality → (D_m, R): E Λ^(-1/2); zero columns where there is no axis."""
    variance: Tensor
    """(M, R): Λ; zero where there is no axis."""

    @classmethod
    def of(cls, population: Population) -> "Space":
        """The leading axes of a population."""
        axes, variances = {}, []
        for name, covariance in population.covariance.items():
            found, variance = _leading(covariance)
            axes[name] = found
            variances.append(variance)
        return cls(tuple(axes), population.mean, axes, torch.stack(variances))

    def of_users(self, users: Profiles) -> Tensor:
        """(B, M, R): ψ; zero where a user has no such profile."""
        return self._whitened(users.values, users.present)

    def of_items(self, items: Vectors) -> Tensor:
        """(C, M, R): listings' own content, as if each were somebody's whole history."""
        return self._whitened(items.values, items.present)

    def deltas(self, vectors: Tensor) -> dict[str, Tensor]:
        """Modality → (C, D_m): vectors (C, M, R) as what is added to profiles' products."""
        return {
            name: vectors[:, place] @ self.axes[name].T for place, name in enumerate(self.names)
        }

    def _whitened(self, values: dict[str, Tensor], present: dict[str, Tensor]) -> Tensor:
        blocks = [
            ((values[name] - self.mean[name]) @ self.axes[name]) * present[name][:, None]
            for name in self.names
        ]
        return torch.stack(blocks, dim=1)


def _leading(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """E Λ^(-1/2) (D, AXES) and Λ (AXES,) of a covariance (D, D)."""
    variance, vectors = torch.linalg.eigh(covariance.double())
    rank = min(AXES, len(variance))
    variance, vectors = variance.flip(0)[:rank], vectors.flip(1)[:, :rank]
    kept = variance > LEAST * variance.clamp_min(0).sum().clamp_min(1e-30)
    scaled = vectors * torch.where(kept, variance.clamp_min(1e-30).rsqrt(), 0.0)
    axes = torch.zeros(len(covariance), AXES)
    lengths = torch.zeros(AXES)
    axes[:, :rank], lengths[:rank] = scaled.float(), torch.where(kept, variance, 0.0).float()
    return axes, lengths
