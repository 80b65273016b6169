"""What a comparison of encoders found, ready for JSON."""

from dataclasses import asdict, dataclass, field
from typing import Any

from coldstart_models.data.pools import Skipped


@dataclass(frozen=True, slots=True)
class Measured:
    """A mean with its 95 % bootstrap interval over queries or users."""

    value: float
    low: float
    high: float
    count: int
    """Queries or users."""


@dataclass(frozen=True, slots=True)
class EncoderRow:
    """One encoder on the sample."""

    encoder: str
    modality: str
    width: int
    licence: str
    hash: str
    items: int
    """Of the sample, those whose photo (or text) is there and could be encoded."""
    items_per_second: float
    measured: dict[str, Measured]
    """Metric → value, without those that could not be had."""


@dataclass(frozen=True, slots=True)
class PairRow:
    """How often a title finds its photo by an image and a text encoder."""

    image: str
    text: str
    shared_space: bool
    """Whether they are halves of one joint model; otherwise a map between them was learned."""
    candidates: int
    """Photos among which a title looks for its own."""
    measured: dict[str, Measured]


@dataclass
class Comparison:
    """What was found, encoder by encoder."""

    sources: list[str]
    items: int
    """In the catalogue."""
    sample: int
    split: str | None = None
    """How the log was cut for the ranking of cold items."""
    encoders: list[EncoderRow] = field(default_factory=list)
    pairs: list[PairRow] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)
