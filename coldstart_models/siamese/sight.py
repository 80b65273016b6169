"""One person beside many candidates, for requests: every product is made once.

`SiameseScorer.term_values` is the plain form, for batches of people. Here one person's events are
multiplied with the candidates once a modality, and averages, nearest terms and reasons all read
that product. The numbers are the same to rounding.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from coldstart_models.data.catalogue import IntArray
from coldstart_models.siamese.scorer import (
    LARGEST_LOG_TEMPERATURE,
    Profiles,
    SiameseScorer,
    Vectors,
)
from coldstart_models.siamese.similarities import Similarities


@dataclass(frozen=True, slots=True)
class Past:
    """The H chosen items of one person and what each weighs."""

    values: list[Tensor]
    """M × (H, D_m): their vectors."""
    weights: Tensor
    """(M, H): ω; zero throughout where no event's item has the modality."""
    known: list[bool]
    """M: whether any has."""

    @classmethod
    def of(
        cls,
        scorer: SiameseScorer,
        vectors: Vectors,
        rows: Tensor,
        *,
        age_days: Tensor,
        traits: Tensor,
    ) -> "Past":
        """Of distinct rows (H,) of the vectors, with each event's age (H,) and traits."""
        logits = traits @ scorer.trait_weights - scorer.recency * torch.log1p(age_days)
        usable = torch.stack([vectors.present[name][rows] for name in scorer.widths])
        any_usable = usable.any(dim=1, keepdim=True)
        masked = torch.where(usable | ~any_usable, logits, -torch.inf)
        weights = torch.softmax(masked, dim=1) * any_usable
        values = [vectors.values[name].index_select(0, rows) for name in scorer.widths]
        return cls(values, weights, any_usable[:, 0].tolist())

    def centred(self, mean: Tensor) -> Tensor:
        """(ΣD_m,): Σ_h ω_h z_h less the population's mean; zero where there is no such modality."""
        own = [
            weights @ values if known else torch.zeros(values.shape[1])
            for weights, values, known in zip(self.weights, self.values, self.known, strict=True)
        ]
        centred = torch.cat(own) - mean
        blocks = torch.split(centred, [len(one) for one in own])
        for block, known in zip(blocks, self.known, strict=True):
            if not known:
                block.zero_()
        return centred

    def profiles(self, scorer: SiameseScorer, rows: IntArray) -> Profiles:
        """The same as a batch of one, whose H events are these rows."""
        names, used = list(scorer.widths), torch.from_numpy(rows)
        return Profiles(
            values={
                name: (self.weights[place] @ self.values[place])[None]
                for place, name in enumerate(names)
            },
            present={name: torch.tensor([self.known[place]]) for place, name in enumerate(names)},
            weights={name: self.weights[place][None] for place, name in enumerate(names)},
            used=used,
            compact=torch.arange(len(used))[None],
        )


@dataclass(frozen=True, slots=True)
class Sight:
    """What a person's past is to C candidates."""

    similar: Callable[[Tensor], Tensor]
    """Columns (K,) of candidates → (M, K, H): s_h; zero where the past has no such modality."""
    values: Tensor
    """(T, C): raw terms, in the order of `SiameseScorer.terms`,"""
    exists: Tensor
    """(T, C) and where they exist."""

    @classmethod
    def of(cls, scorer: SiameseScorer, past: Past, candidates: Vectors) -> "Sight":
        """Of candidates that are laid out in one block each modality."""
        size = len(candidates.present[next(iter(scorer.widths))])
        temperatures = scorer.log_temperature.clamp_max(LARGEST_LOG_TEMPERATURE).exp().tolist()
        values = torch.zeros(len(past.values), 2, size)
        similar: list[Tensor | None] = []
        for place, name in enumerate(scorer.widths):
            if not past.known[place]:
                similar.append(None)
                continue
            found = past.values[place] @ candidates.values[name].T  # (H, C)
            mixed = past.weights[place] @ (found * temperatures[place]).exp_()
            values[place, 0] = past.weights[place] @ found
            values[place, 1] = _nearest(mixed, temperatures[place])
            similar.append(found)
        return cls(
            partial(_columns_of, similar), values.flatten(0, 1), _exists(scorer, past, candidates)
        )

    @classmethod
    def of_known(
        cls,
        scorer: SiameseScorer,
        past: Past,
        candidates: Vectors,
        similarities: Similarities,
        rows: Tensor,
    ) -> "Sight":
        """Of all items of a small catalogue, whose products are kept.

        Args:
            rows: (H,) of the past's events.
        """
        similarities.require(scorer, rows)
        temperatures = scorer.log_temperature.clamp_max(LARGEST_LOG_TEMPERATURE).exp().tolist()
        values = torch.zeros(len(past.values), 2, similarities.plain.shape[2])
        events = rows[None]
        for place, known in enumerate(past.known):
            if not known:
                continue
            weights = past.weights[place][None]
            for kind, products in enumerate((similarities.plain, similarities.mixed)):
                values[place, kind] = functional.embedding_bag(
                    events, products[place], per_sample_weights=weights, mode="sum"
                )[0]
            values[place, 1] = _nearest(values[place, 1], temperatures[place])

        def similar(columns: Tensor) -> Tensor:
            return similarities.plain[:, rows[None, :], columns[:, None]]

        return cls(similar, values.flatten(0, 1), _exists(scorer, past, candidates))

    def batch(self, columns: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Values and existence of all or of some candidates as a batch of one: (1, C, T)."""
        if columns is None:
            return self.values.T[None], self.exists.T[None]
        values, exists = (of.index_select(1, columns).T[None] for of in (self.values, self.exists))
        return values, exists


def _nearest(mixed: Tensor, temperature: float) -> Tensor:
    """1/τ log Σ_h ω_h exp(τ s_h) of the sum."""
    return mixed.clamp_min(1e-30).log_().div_(temperature)


def _exists(scorer: SiameseScorer, past: Past, candidates: Vectors) -> Tensor:
    """(T, C)"""
    there = torch.stack([candidates.present[name] for name in scorer.widths])
    there &= torch.tensor(past.known)[:, None]
    return there.repeat_interleave(2, dim=0)


def _columns_of(similar: list[Tensor | None], columns: Tensor) -> Tensor:
    """(M, K, H) of M × (H, C)."""
    size = next(one.shape[0] for one in similar if one is not None)
    nothing = torch.zeros(len(columns), size)
    return torch.stack(
        [nothing if one is None else one.index_select(1, columns).T for one in similar]
    )


def contributions(
    scorer: SiameseScorer,
    similar: Tensor,
    weights: Tensor,
    present: Tensor,
    *,
    mean: Tensor,
    deviation: Tensor,
) -> Tensor:
    """(M, C, H): what each event adds to the score of each candidate, by modality.

    `explaining.history_contributions` tells the formula.

    Args:
        similar: (M, C, H) similarities.
        weights: (M, H) ω.
        present: (M, C) which candidates have the modality.
        mean: (T,) of the terms over the reference pool,
        deviation: (T,) and their deviation.
    """
    temperature = scorer.log_temperature.clamp_max(LARGEST_LOG_TEMPERATURE).exp()[:, None, None]
    centre, scale = (of.reshape(-1, 2, 1, 1) for of in (mean, deviation))
    factor = scorer.term_weights.reshape(-1, 2, 1, 1) / scale
    share = weights[:, None, :]
    counted = (weights > 0).any(dim=1)
    logs = torch.where(weights > 0, weights.clamp_min(1e-12).log(), -torch.inf)
    logs = torch.where(counted[:, None], logs, 0.0)[:, None, :]
    logits = temperature * similar + logs
    ahead = logits.logsumexp(dim=2, keepdim=True) / temperature
    ahead = ahead - (share * similar).sum(dim=2, keepdim=True)
    nearest = share * (similar - centre[:, 1]) + functional.softmax(logits, dim=2) * ahead
    parts = share * (similar - centre[:, 0]) * factor[:, 0] + nearest * factor[:, 1]
    return parts * (present & counted[:, None])[:, :, None]
