"""The users as a whole: whom a listing's first customers are compared with."""

from dataclasses import dataclass

import torch
from torch import Tensor

from coldstart_models.siamese.scorer import Profiles


@dataclass(frozen=True, slots=True)
class Population:
    """The users' profiles in sum."""

    mean: dict[str, Tensor]
    """Modality → (D_m,)"""
    covariance: dict[str, Tensor]
    """Modality → (D_m, D_m)"""

    @classmethod
    def of(cls, profiles: Profiles) -> "Population":
        """From a sample of users; those without a modality do not count in it."""
        mean, covariance = {}, {}
        for name, values in profiles.values.items():
            known = values[profiles.present[name]]
            width = values.shape[1]
            if len(known) < 2:
                mean[name], covariance[name] = torch.zeros(width), torch.eye(width)
                continue
            mean[name] = known.mean(dim=0)
            centred = known - mean[name]
            covariance[name] = centred.T @ centred / len(known)
        return cls(mean, covariance)
