"""What learning did, check by check."""

from collections.abc import Mapping
from dataclasses import dataclass

from coldstart_models.siamese.curves import Curves


@dataclass(frozen=True, slots=True)
class Check:
    """What was found after an epoch."""

    epoch: int
    gain: float
    """1 is the base."""
    forgotten: float
    """Share of the source's precision that is lost."""
    loss: Mapping[str, float]
    """Mean over the epoch; empty at the start."""
    told: Mapping[str, float]

    def draw(self, step: int, curves: Curves) -> None:
        """Its points of the curves, after so many steps."""
        for name, value in {"gain": self.gain, "forgotten": self.forgotten, **self.told}.items():
            curves(f"validation/{name}", value, step)


@dataclass(frozen=True, slots=True)
class Record:
    """What learning did; epoch 0 is the start."""

    checks: tuple[Check, ...]
    kept: int
    """Epoch."""

    @property
    def best(self) -> Check:
        return next(check for check in self.checks if check.epoch == self.kept)
