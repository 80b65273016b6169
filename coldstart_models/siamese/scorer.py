"""The Siamese scorer: y = f(x_user, x_item) with one item tower on both sides.

Shapes: B users, H history events, C candidates, D_m width of modality m, T terms.

The tower maps an item's inputs to one vector a modality, z_m = unit(x_m + x_m A_m B_m), with
B_m = 0 at the start: the terms of an untrained tower are content-kNN's, and beside them stands
what people choose together. The factors of `together` have no correction: each episode fits its
own, on other axes. The user is the set of history items seen from the candidate. For each modality
two terms sum the similarities s_h = <z_m(h), z_m(c)> over the history:

    average  Σ_h p_h s_h                           p_h = ω_h
    nearest  1/τ log Σ_h ω_h exp(τ s_h)            (exp(τ s) is shared by all users: a matrix)
           = Σ_h p_h (s_h − 1/τ log(p_h / ω_h))    p_h ∝ ω_h exp(τ s_h)

where ω_h are the history's weights, a softmax of what is known of the event: recency, type,
pieces, price against the user's usual, and how often the item was chosen. Both are sums over the
history, so a score explains itself. Each term is standardised over a reference pool of candidates
for each user, weighted and added; a prior says how popular content like the candidate's has been.

Sources: late interaction after ColBERT (Khattab & Zaharia, SIGIR 2020); the nearest term is a
soft maximum as in multi-interest retrieval (Cen et al., KDD 2020).
"""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from coldstart_models.data.traits import TRAITS
from coldstart_models.siamese.togetherness import TOGETHER

AVERAGE: Final = "average"
NEAREST: Final = "nearest"
LARGEST_LOG_TEMPERATURE: Final = 4.0
"""exp(τ) must stay a float32 number."""
RANK: Final = 16
CANDIDATES_AT_ONCE: Final = 1_024
"""Bounds the (R, C) similarities of the nearest term that are held at once."""
DAY_US: Final = 86_400_000_000
INITIAL_WEIGHT: Final[dict[str, tuple[float, float]]] = {
    "photo": (0.2, 0.5),
    "text": (0.0, 0.8),
    "words": (0.0, 0.0),
    "spelling": (0.6, 0.0),
    "attributes": (0.2, 0.2),
    "together": (0.2, 1.7),
    "general": (0.0, 0.4),
    "general photo": (0.0, 0.3),
}
"""Weights of a modality's average and nearest term before training.

Between those that one gift shop's launches had told and those that past cold starts of several
shops agree on, which hold on a shop that is left out (docs/adr/0036). Training moves them where a
later launch agrees.
"""
INITIAL_TEMPERATURE: Final[dict[str, float]] = {
    "photo": 7.0,
    "text": 7.0,
    "words": 10.0,
    "spelling": 10.0,
    "attributes": 10.0,
    "together": 5.0,
    "general": 7.0,
    "general photo": 7.0,
}


@dataclass(frozen=True, slots=True)
class Vectors:
    """Tower outputs: modality → (N, D_m), and which rows have the modality (N,)."""

    values: dict[str, Tensor]
    present: dict[str, Tensor]

    def take(self, rows: Tensor) -> "Vectors":
        return Vectors(
            {name: values[rows] for name, values in self.values.items()},
            {name: present[rows] for name, present in self.present.items()},
        )

    def to(self, device: torch.device) -> "Vectors":
        """The same on a device."""
        return Vectors(
            {name: values.to(device) for name, values in self.values.items()},
            {name: present.to(device) for name, present in self.present.items()},
        )


@dataclass(frozen=True, slots=True)
class HistoryBatch:
    """B histories: which rows of the vectors, how long ago, what else is known of each event."""

    rows: Tensor
    """(B, H) row numbers, -1 pads."""
    age_days: Tensor
    """(B, H) days before the user's newest event; 0 where padded or undated."""
    traits: Tensor
    """(B, H, len(TRAITS)); 0 where padded or unknown."""

    @property
    def mask(self) -> Tensor:
        return self.rows >= 0

    def among(self, used: Tensor) -> "HistoryBatch":
        """The same events as rows of a selection; `used` is ascending and holds them all."""
        found = torch.searchsorted(used, self.rows.clamp_min(0))
        return HistoryBatch(torch.where(self.mask, found, self.rows), self.age_days, self.traits)

    def to(self, device: torch.device) -> "HistoryBatch":
        """The same on a device."""
        return HistoryBatch(self.rows.to(device), self.age_days.to(device), self.traits.to(device))


@dataclass(frozen=True, slots=True)
class Profiles:
    """B users in the tower's space."""

    values: dict[str, Tensor]
    """Modality → (B, D_m): Σ_h ω_h z_h."""
    present: dict[str, Tensor]
    """Modality → (B,)"""
    weights: dict[str, Tensor]
    """Modality → (B, H): ω."""
    used: Tensor
    """(R,) the distinct rows that the histories point to."""
    compact: Tensor
    """(B, H) positions in `used`; padding points to 0 with ω = 0."""


def history_present(weights: Tensor) -> Tensor:
    """(B,): users with at least one usable event."""
    return weights.sum(dim=1) > 0


class SiameseScorer(nn.Module):
    """Scores candidates for users; see the module's docstring for the formula."""

    def __init__(self, widths: dict[str, int], *, generator: torch.Generator) -> None:
        """One low-rank correction a modality of the given width; `generator` draws A_m."""
        super().__init__()
        self.widths = dict(widths)
        self.down = nn.ParameterDict()
        self.up = nn.ParameterDict()
        for name, width in self.widths.items():
            if name == TOGETHER:
                continue
            scale = width**-0.5
            self.down[name] = nn.Parameter(torch.randn(width, RANK, generator=generator) * scale)
            self.up[name] = nn.Parameter(torch.zeros(RANK, width))
        weights = [weight for name in self.widths for weight in INITIAL_WEIGHT[name]]
        self.term_weights = nn.Parameter(torch.tensor(weights))
        self.log_temperature = nn.Parameter(
            torch.tensor([INITIAL_TEMPERATURE[name] for name in self.widths]).log()
        )
        self.prior_weight = nn.Parameter(torch.tensor(0.05))
        self.recency = nn.Parameter(torch.tensor(0.0))
        self.trait_weights = nn.Parameter(torch.zeros(len(TRAITS)))

    @property
    def terms(self) -> list[tuple[str, str]]:
        """(modality, kind) of each of the T terms, in the order of their weights."""
        return [(name, kind) for name in self.widths for kind in (AVERAGE, NEAREST)]

    def tower(self, inputs: Vectors) -> Vectors:
        """x_m → z_m for every modality, keeping each row's own length."""
        values = {}
        for name, raw in inputs.values.items():
            if name not in self.down:
                values[name] = raw
                continue
            moved = raw + raw @ self.down[name] @ self.up[name]
            length = raw.norm(dim=1, keepdim=True)
            values[name] = moved * length / moved.norm(dim=1, keepdim=True).clamp_min(1e-8)
        return Vectors(values, inputs.present)

    def history_weights(self, history: HistoryBatch, present: Tensor) -> Tensor:
        """ω (B, H): softmax of recency and traits over the events whose item has the modality."""
        usable = history.mask & present[history.rows.clamp_min(0)]
        logits = history.traits @ self.trait_weights - self.recency * torch.log1p(history.age_days)
        logits = logits.masked_fill(~usable, -torch.inf)
        none = ~usable.any(dim=1, keepdim=True)
        return torch.softmax(logits.masked_fill(none, 0.0), dim=1) * ~none

    def profiles(self, vectors: Vectors, history: HistoryBatch) -> "Profiles":
        """Each user's weighted average of the history's tower outputs, a modality at a time."""
        used, compact = torch.unique(history.rows.clamp_min(0), return_inverse=True)
        values, weights, present = {}, {}, {}
        for name in self.widths:
            weights[name] = self.history_weights(history, vectors.present[name])
            values[name] = functional.embedding_bag(
                compact,
                vectors.values[name][used],
                per_sample_weights=weights[name],
                mode="sum",
            )
            present[name] = history_present(weights[name])
        return Profiles(values, present, weights, used, compact)

    def temperature(self, name: str) -> Tensor:
        """τ of a modality's nearest term."""
        position = list(self.widths).index(name)
        return self.log_temperature[position].clamp_max(LARGEST_LOG_TEMPERATURE).exp()

    @property
    def temperatures(self) -> Tensor:
        """(M,): τ of all, as they are now."""
        return self.log_temperature.detach().clamp_max(LARGEST_LOG_TEMPERATURE).exp()

    def term_values(
        self, vectors: Vectors, profiles: "Profiles", candidates: Vectors
    ) -> tuple[Tensor, Tensor]:
        """Raw terms (B, C, T) and where they exist (B, C, T)."""
        values, exists = [], []
        for name in self.widths:
            average = (profiles.values[name] @ candidates.values[name].T).float()
            temperature = self.temperature(name)
            events = vectors.values[name][profiles.used]  # (R, D)
            mixed = [
                functional.embedding_bag(
                    profiles.compact,
                    (temperature * (events @ some.T).float()).exp(),
                    per_sample_weights=profiles.weights[name],
                    mode="sum",
                )
                for some in torch.split(candidates.values[name], CANDIDATES_AT_ONCE)
            ]
            nearest = torch.cat(mixed, dim=1).clamp_min(1e-30).log() / temperature  # (B, C)
            there = profiles.present[name][:, None] & candidates.present[name]
            values += [average, nearest]
            exists += [there, there]
        return torch.stack(values, dim=2), torch.stack(exists, dim=2)

    def forward(
        self,
        vectors: Vectors,
        profiles: "Profiles",
        candidates: Vectors,
        prior: Tensor,
        *,
        calibration: "Calibration | None" = None,
    ) -> Tensor:
        """(B, C) scores; without a calibration the candidates are their own reference pool.

        Args:
            vectors: tower outputs that the histories' rows point into.
            profiles: B users.
            candidates: tower outputs of the C candidates.
            prior: (C,) expected log popularity from content.
            calibration: mean and deviation of each user's terms over a reference pool.
        """
        values, exists = self.term_values(vectors, profiles, candidates)
        if calibration is None:
            calibration = Calibration.of(values, exists, prior)
        return self.combine(values, exists, prior, calibration)

    def combine(
        self, values: Tensor, exists: Tensor, prior: Tensor, calibration: "Calibration"
    ) -> Tensor:
        """Standardise, weight and add the terms; a missing one adds nothing."""
        scores = (calibration.standard(values, exists) * self.term_weights).sum(dim=2)
        return scores + self.prior_weight * calibration.popular(prior)

    def features(
        self,
        vectors: Vectors,
        profiles: "Profiles",
        candidates: Vectors,
        prior: Tensor,
    ) -> Tensor:
        """(B, C, T + 1): what the weights weigh, of candidates that are their own reference pool.

        The arguments are those of a score.
        """
        values, exists = self.term_values(vectors, profiles, candidates)
        return Calibration.of(values, exists, prior).features(values, exists, prior)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Mean and deviation of each user's terms over a reference pool, and of the prior."""

    mean: Tensor
    """(B, 1, T)"""
    deviation: Tensor
    """(B, 1, T)"""
    prior_mean: Tensor
    prior_deviation: Tensor

    @classmethod
    def of(cls, values: Tensor, exists: Tensor, prior: Tensor) -> "Calibration":
        """From raw terms (B, C, T) over the pool; where a term is missing it does not count."""
        return cls.beside(values, exists, prior.mean(), spread_of(prior))

    @classmethod
    def beside(
        cls, values: Tensor, exists: Tensor, prior_mean: Tensor, prior_deviation: Tensor
    ) -> "Calibration":
        """The same of a pool whose prior is summed up already."""
        weight = exists.to(values.dtype)
        count = weight.sum(dim=1, keepdim=True).clamp_min(1.0)
        mean = (values * weight).sum(dim=1, keepdim=True) / count
        variance = ((values - mean).square() * weight).sum(dim=1, keepdim=True) / count
        deviation = variance.clamp_min(1e-12).sqrt()
        deviation = torch.where(deviation > 1e-5, deviation, torch.ones_like(deviation))
        return cls(mean, deviation, prior_mean, prior_deviation)

    def standard(self, values: Tensor, exists: Tensor) -> Tensor:
        """(B, C, T) from raw terms, 0 where one is missing."""
        return (values - self.mean) / self.deviation * exists

    def popular(self, prior: Tensor) -> Tensor:
        """(C,) expected log popularity of candidates, standardised over the pool."""
        return (prior - self.prior_mean) / self.prior_deviation

    def features(self, values: Tensor, exists: Tensor, prior: Tensor) -> Tensor:
        """(B, C, T + 1): the standardised terms and then the prior."""
        popular = self.popular(prior).expand(len(values), -1)
        return torch.cat([self.standard(values, exists), popular[:, :, None]], dim=2)


def spread_of(prior: Tensor) -> Tensor:
    """The deviation of (C,) expected log popularities, 1 where they are all alike."""
    spread = prior.std(correction=0)
    return torch.where(spread > 1e-5, spread, torch.ones_like(spread))
