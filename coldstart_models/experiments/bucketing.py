"""Who sees which variant: decided by a hash, so nothing is stored and every process agrees.

A unit (a user id, or a session id where nobody is signed in) and the experiment's salt give two
numbers in [0, 1): by the first the unit is in the experiment or not, by the second it gets its
variant. They are independent, so that taking in more units moves nobody from one variant to
another; and another salt deals anew, so that experiments do not inherit each other's groups.
"""

import hashlib
from dataclasses import dataclass
from itertools import accumulate

from coldstart_models.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Variant:
    """One arm of an experiment. What is None is as the service does without an experiment."""

    name: str
    weight: float = 1.0
    """Its share of the experiment, beside the other variants' weights."""
    model: str | None = None
    """A model's tag."""
    policy: str | None = None
    """A policy of exploration, or `off`."""
    personal: float | None = None
    """The blend between what sells in general (0) and the person alone (1)."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """An A/B test; the first variant is what the others are compared with."""

    name: str
    variants: tuple[Variant, ...]
    salt: str
    share: float = 1.0
    """Of the units that take part."""

    def __post_init__(self) -> None:
        names = [variant.name for variant in self.variants]
        if len(names) < 2 or len(set(names)) != len(names):
            raise ConfigError(
                f"experiment {self.name!r} has the variants {', '.join(names) or 'none'}; "
                "expected at least two of different names"
            )
        if not 0.0 < self.share <= 1.0:
            raise ConfigError(
                f"experiment {self.name!r} takes a share of {self.share}, expected (0, 1]"
            )
        if any(variant.weight <= 0 for variant in self.variants):
            raise ConfigError(f"a weight in experiment {self.name!r} is not above 0")

    @property
    def shares(self) -> dict[str, float]:
        """Variant → the share of the experiment's units that it is to get."""
        total = sum(variant.weight for variant in self.variants)
        return {variant.name: variant.weight / total for variant in self.variants}

    def variant_of(self, unit: str) -> Variant | None:
        """The unit's variant; None where it takes no part."""
        if fraction(unit, f"{self.salt}/share") >= self.share:
            return None
        place = fraction(unit, f"{self.salt}/variant")
        bounds = accumulate(self.shares.values())
        chosen = (
            variant for variant, bound in zip(self.variants, bounds, strict=True) if place < bound
        )
        return next(chosen, self.variants[-1])


def fraction(unit: str, salt: str) -> float:
    """A number in [0, 1) that unit and salt decide, evenly spread over units."""
    digest = hashlib.blake2b(f"{salt}\x1f{unit}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53
