"""Losses that bring together what belongs together, on vectors at unit length.

Shapes: B examples of a batch, D numbers of a vector.
"""

import math
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

CLIP: Final = "clip"
SIGLIP: Final = "siglip"
LARGEST_SCALE: Final = 100.0
"""CLIP's limit of 1/temperature."""


class ClipLoss(nn.Module):
    """Each photo finds its title among the batch's, and each title its photo.

        L = − 1/2B Σ_i [ log softmax_j(τ x_i·y_j)_i + log softmax_j(τ y_i·x_j)_i ]

    with τ learned. Radford et al., "CLIP" (ICML 2021), figure 3. Where listings share a title,
    each is right for the others: `same` spreads the target over them.
    """

    def __init__(self, *, scale: float = 20.0) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))

    def forward(self, photos: Tensor, titles: Tensor, same: Tensor | None = None) -> Tensor:
        """The loss of photos (B, D) and their titles (B, D); `same` (B, B) bool."""
        logits = self.log_scale.exp().clamp(max=LARGEST_SCALE) * photos @ titles.T
        target = torch.eye(len(photos), device=photos.device) if same is None else same.float()
        target = target / target.sum(1, keepdim=True)
        return 0.5 * (
            functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)
        )


class SiglipLoss(nn.Module):
    """Each of the batch's B² pairs is right or wrong by itself.

        L = − 1/B Σ_ij log σ( z_ij (τ x_i·y_j + b) ),  z_ii = 1, else −1

    with τ and b learned. Zhai et al., "SigLIP" (ICCV 2023), section 3.2. Small batches do well with
    it: it has no sum over the batch to normalise by. `same` as in :class:`ClipLoss`.
    """

    def __init__(self, *, scale: float = 10.0, bias: float = -10.0) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))
        self.bias = nn.Parameter(torch.tensor(bias))

    def forward(self, photos: Tensor, titles: Tensor, same: Tensor | None = None) -> Tensor:
        """The loss of photos (B, D) and their titles (B, D); `same` (B, B) bool."""
        logits = self.log_scale.exp().clamp(max=LARGEST_SCALE) * photos @ titles.T + self.bias
        right = torch.eye(len(photos), device=photos.device) if same is None else same.float()
        return -functional.logsigmoid((2 * right - 1) * logits).sum() / len(photos)


CONTRASTS: Final = {CLIP: ClipLoss, SIGLIP: SiglipLoss}


def supervised_contrast(vectors: Tensor, labels: Tensor, *, temperature: float = 0.1) -> Tensor:
    """Examples of one label are near each other, and far from the batch's others.

        L = mean_i − 1/|P_i| Σ_{p ∈ P_i} log softmax_{a ≠ i}(x_i·x_a / T)_p

    with P_i the others of i's label; an example whose label nobody shares in the batch does not
    count. Khosla et al., "Supervised Contrastive Learning" (NeurIPS 2020), equation 2.

    Args:
        vectors: (B, D).
        labels: (B,) int; negative where an example has none, and is only told apart.
    """
    positive = (labels[:, None] == labels[None]) & (labels >= 0)[:, None]
    return positives_contrast(vectors, positive, temperature=temperature)


def positives_contrast(vectors: Tensor, positive: Tensor, *, temperature: float) -> Tensor:
    """:func:`supervised_contrast` with who belongs together as a (B, B) bool, its diagonal aside.

    0 where nobody belongs to another.

    With one positive each, another view of the same photo, it is NT-Xent: Chen et al., "SimCLR"
    (ICML 2020), equation 1.
    """
    itself = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    logits = (vectors @ vectors.T / temperature).masked_fill(itself, -math.inf)
    positive = positive & ~itself
    log_share = functional.log_softmax(logits, dim=1).masked_fill(~positive, 0.0)
    count = positive.sum(1)
    counted = count > 0
    if not counted.any():
        return vectors.sum() * 0.0
    return -(log_share.sum(1)[counted] / count[counted]).mean()
