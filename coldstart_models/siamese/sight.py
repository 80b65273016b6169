"""One person beside many candidates, for requests: every product is made once.

`SiameseScorer.term_values` is the plain form, for batches of people. Here one person's events are
multiplied with the candidates once a modality, and averages, nearest terms and reasons all read
that product. The numbers are the same to rounding.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from coldstart_models.siamese.scorer import Profiles, SiameseScorer, Vectors
from coldstart_models.siamese.similarities import Similarities

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Past:
    """The H chosen items of one person and what each weighs."""

    vectors: Vectors
    """Of all items,"""
    rows: Tensor
    """(H,) and the rows of the chosen ones."""
    names: tuple[str, ...]
    """M modalities,"""
    weights: Tensor
    """(M, H) ω in each; zero throughout where no event's item has the modality."""
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
        present: Tensor | None = None,
    ) -> "Past":
        """Of distinct rows (H,) of the vectors, with each event's age (H,) and traits.

        Args:
            present: (M, N) the vectors' masks, where they are stacked already.
        """
        logits = traits @ scorer.trait_weights - scorer.recency * torch.log1p(age_days)
        there = stacked(vectors, scorer.widths) if present is None else present
        usable = there.index_select(1, rows)
        any_usable = usable.any(dim=1, keepdim=True)
        masked = torch.where(usable | ~any_usable, logits, -torch.inf)
        weights = torch.softmax(masked, dim=1) * any_usable
        return cls(vectors, rows, tuple(scorer.widths), weights, any_usable[:, 0].tolist())

    @cached_property
    def values(self) -> list[Tensor]:
        """M × (H, D_m): the chosen items' vectors."""
        return [self.vectors.values[name].index_select(0, self.rows) for name in self.names]

    @cached_property
    def average(self) -> Tensor:
        """(ΣD_m,): Σ_h ω_h z_h of all modalities."""
        return torch.cat(
            [
                _summed(self.vectors.values[name], self.rows, weights)
                for name, weights in zip(self.names, self.weights, strict=True)
            ]
        )

    @cached_property
    def _averages(self) -> tuple[Tensor, ...]:
        """M × (D_m,): the average, a modality at a time."""
        return torch.split(
            self.average, [self.vectors.values[name].shape[1] for name in self.names]
        )

    def centred(self, mean: Tensor) -> Tensor:
        """(ΣD_m,): Σ_h ω_h z_h less the population's mean; zero where there is no such modality."""
        centred = self.average - mean
        if not all(self.known):
            blocks = torch.split(centred, [len(one) for one in self._averages])
            for block, known in zip(blocks, self.known, strict=True):
                if not known:
                    block.zero_()
        return centred

    @property
    def profiles(self) -> Profiles:
        """The same as a batch of one."""
        return Profiles(
            values={name: one[None] for name, one in zip(self.names, self._averages, strict=True)},
            present={
                name: torch.tensor([known])
                for name, known in zip(self.names, self.known, strict=True)
            },
            weights={
                name: weights[None] for name, weights in zip(self.names, self.weights, strict=True)
            },
            used=self.rows,
            compact=torch.arange(len(self.rows))[None],
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
        present = stacked(candidates, past.names)
        temperatures = scorer.temperatures.tolist()
        values = torch.zeros(len(past.names), 2, present.shape[1])
        similar: list[Tensor | None] = []
        for place, name in enumerate(past.names):
            if not past.known[place]:
                similar.append(None)
                continue
            found = past.values[place] @ candidates.values[name].T  # (H, C)
            mixed = past.weights[place] @ (found * temperatures[place]).exp_()
            values[place, 0] = past.weights[place] @ found
            values[place, 1] = _nearest(mixed, temperatures[place])
            similar.append(found)
        return cls(partial(_columns_of, similar), values.flatten(0, 1), _exists(past, present))

    @classmethod
    def of_known(
        cls, scorer: SiameseScorer, past: Past, present: Tensor, similarities: Similarities
    ) -> "Sight":
        """Of all items of a small catalogue, whose products are kept.

        Args:
            present: (M, N) which items have a modality.
        """
        similarities.require(scorer, past.rows)
        values = similarities.summed(past.rows, past.weights)
        _nearest(values[1::2], scorer.temperatures[:, None])

        def similar(columns: Tensor) -> Tensor:
            return similarities.plain[:, past.rows[None, :], columns[:, None]]

        return cls(similar, values, _exists(past, present))

    def batch(self, columns: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Values and existence of all or of some candidates as a batch of one: (1, C, T)."""
        if columns is None:
            return self.values.T[None], self.exists.T[None]
        values, exists = (of.index_select(1, columns).T[None] for of in (self.values, self.exists))
        return values, exists


def stacked(vectors: Vectors, names: Iterable[str]) -> Tensor:
    """(M, N): which rows have each modality."""
    return torch.stack([vectors.present[name] for name in names])


def _summed(values: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    """(D,): Σ_h ω_h z_h of rows (H,) of the values."""
    if not values.is_contiguous():  # of which `embedding_bag` would copy every row
        return weights @ values.index_select(0, rows)
    return functional.embedding_bag(
        rows[None], values, per_sample_weights=weights[None], mode="sum"
    )[0]


def _nearest(mixed: Tensor, temperature: Tensor | float) -> Tensor:
    """1/τ log Σ_h ω_h exp(τ s_h) of the sum, in its place."""
    return mixed.clamp_min_(1e-30).log_().div_(temperature)


def _exists(past: Past, present: Tensor) -> Tensor:
    """(T, C)"""
    there = present if all(past.known) else present & torch.tensor(past.known)[:, None]
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
) -> FloatArray:
    """(M, C, H): what each event adds to the score of each candidate, by modality.

    An average is a sum over the history, Σ_h ω_h s_h. A nearest term v is that sum and what the
    nearest events are ahead of it, v − Σ_h ω_h s_h ≥ 0, which is theirs by their shares p_h:

        Σ_h ω_h (s_h − μ) / σ  +  Σ_h p_h (v − Σ_j ω_j s_j) / σ

    So where the term counts for a candidate (its weight is positive), an event that is more like it
    never counts less, be v above the mean μ or below.

    Args:
        similar: (M, C, H) similarities.
        weights: (M, H) ω.
        present: (M, C) which candidates have the modality.
        mean: (T,) of the terms over the reference pool,
        deviation: (T,) and their deviation.
    """
    s, own = similar.numpy(), weights.numpy()  # for few candidates NumPy takes half of the time
    temperature = scorer.temperatures.numpy()[:, None, None]
    centre, scale = (of.numpy().reshape(-1, 2, 1, 1) for of in (mean, deviation))
    factor = scorer.term_weights.detach().numpy().reshape(-1, 2, 1, 1) / scale
    counted = np.asarray(own.any(axis=1))
    with np.errstate(divide="ignore"):
        logs = np.log(own, where=counted[:, None], out=np.zeros_like(own))
    logits = temperature * s + logs[:, None, :]
    top = logits.max(axis=2, keepdims=True)
    grown = np.exp(logits - top)
    total = grown.sum(axis=2, keepdims=True)
    share = own[:, None, :]
    ahead = (np.log(total) + top) / temperature - (share * s).sum(axis=2, keepdims=True)
    parts = share * (s * factor.sum(axis=1) - (centre * factor).sum(axis=1))
    parts += grown * (ahead * factor[:, 1] / total)
    parts *= (present.numpy() & counted[:, None])[:, :, None]
    return np.asarray(parts, np.float32)
