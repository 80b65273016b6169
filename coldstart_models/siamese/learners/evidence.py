"""What first customers say of listings, as the numbers that every learner reads.

Sums over a listing's customers: their order says nothing, and a listing without any has zeros.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from coldstart_models.siamese.learners.space import Space
from coldstart_models.siamese.pace import Pace, spans
from coldstart_models.siamese.scorer import Profiles, Vectors


@dataclass(frozen=True, slots=True)
class Evidence:
    """C listings with their first customers; shapes as in `space`."""

    customers: Tensor
    """(C,): k, also of those about whom nothing is known."""
    known: Tensor
    """(C, M): how many of them have such a profile."""
    profile: Tensor
    """(C, M, R): mean of their ψ; zero where none is known."""
    square: Tensor
    """(C, M, R): mean of their ψ²."""
    content: Tensor
    """(C, M, R): the listing's own content in the same space, of unit mean square over axes."""
    variance: Tensor
    """(M, R): of the users along each axis before whitening."""
    pace: Tensor
    """(C, 2): z, how much faster than usual they came, all and the later half of them; 0 where
    nothing tells."""
    relative_span: Tensor
    """(C,): the span they came in over what is usual for as many; 1 where nothing tells."""
    crowd: Tensor
    """(C, M): <p̄, z_c>, how near the listing's content is to everybody's average profile."""
    prior: Tensor
    """(C,): log popularity that content leads to expect."""

    @classmethod
    def of(
        cls,
        supporters: Profiles,
        owner: Tensor,
        moments: Tensor,
        *,
        listings: Vectors,
        prior: Tensor,
        space: Space,
        pace: Pace,
    ) -> "Evidence":
        """
        Args:
            supporters: the profiles of P customers.
            owner: (P,) row of the listing each chose.
            moments: (P,) when, by the shop's clock (`data.shop_clock`).
            listings: the C listings.
            prior: (C,) log popularity that their content leads to expect.
        """
        content = of_unit_square(space.of_items(listings))
        count = len(content)
        present = torch.stack([supporters.present[name] for name in space.names], dim=1).float()
        known = torch.zeros(count, present.shape[1]).index_add(0, owner, present)
        whitened = space.of_users(supporters)
        number = known.clamp_min(1.0)[..., None]
        summed, squared = (
            torch.zeros_like(content).index_add(0, owner, each) / number
            for each in (whitened, whitened.square())
        )
        customers, span = spans(owner, moments, num_items=count)
        return cls(
            customers=customers,
            known=known,
            profile=summed,
            square=squared,
            content=content,
            variance=space.variance,
            pace=pace(customers, span),
            relative_span=pace.relative(customers, span),
            crowd=torch.stack(
                [listings.values[name] @ space.mean[name] for name in space.names], dim=1
            ),
            prior=prior,
        )

    def __len__(self) -> int:
        return len(self.customers)

    def without_timing(self) -> "Evidence":
        """As if only profiles were known: neither how many customers came nor when."""
        return replace(
            self,
            customers=torch.zeros_like(self.customers),
            pace=torch.zeros_like(self.pace),
            relative_span=torch.ones_like(self.relative_span),
        )


def of_unit_square(vectors: Tensor) -> Tensor:
    """Vectors (C, M, R) whose squares are 1 on average over axes; zero stays zero.

    Whitened, a single listing stands several deviations from the users' averages.
    """
    return vectors / vectors.square().mean(dim=2, keepdim=True).sqrt().clamp_min(1e-12)
