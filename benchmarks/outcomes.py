"""Targets held against what was measured: what a row of the table of targets says."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.tables import number, spread, table

ABSENT: Final = "not measured"
POINTS: Final = "points"
TIMES: Final = "times"
TRIED: Final = {
    "content": "[ADR 15]"
    "(adr/0015-what-goes-together-by-neighbourhood-and-weights-learned-per-shop.md)",
    "dates": "[dates](#what-was-tried)",
    "oracle": "[oracle](#what-was-tried)",
    "warm": "[warm items](#what-was-tried)",
    "growth": "[many first customers](#what-was-tried)",
    "shots": "[ADR 16](adr/0016-learners-of-few-shots-behind-one-interface.md)",
    "transfer": "[ADR 17](adr/0017-a-general-tower-beside-the-shops-own.md)",
    "adaptation": "[ADR 14](adr/0014-an-adapted-encoder-is-a-folder-that-beat-its-base.md)",
    "training": "[training.md](training.md)",
}
"""What was tried for a target, by subject, as a link of a page in docs/."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One target on one cut, and what was measured there."""

    target: str
    where: str
    measured: str
    """With its interval where there is one; ABSENT where there is no result."""
    missing: str | None
    """By how much it is missed, as people read it; None where it is met."""
    subject: str

    @property
    def known(self) -> bool:
        return self.measured != ABSENT

    def row(self) -> list[str]:
        verdict, tried = "met" if self.known else "–", "–"
        if self.missing is not None:
            verdict, tried = f"missed by {self.missing}", TRIED[self.subject]
        return [self.target, self.where, self.measured, verdict, tried]


def at_least(
    target: str,
    where: str,
    value: float | None,
    bound: float,
    subject: str,
    *,
    told: str,
    unit: str = POINTS,
) -> Outcome:
    """A share or gain that is to reach a bound.

    Args:
        value: None where it was not measured.
        told: the value as the table shows it.
        unit: of what is missing: POINTS (of a share or gain in per cent) or TIMES.
    """
    if value is None:
        return Outcome(target, where, ABSENT, None, subject)
    short = bound - value
    gap = f"{short * 100:.1f} points" if unit == POINTS else f"{short:.3f} ×"
    return Outcome(target, where, told, gap if short > 0 else None, subject)


def ahead(
    target: str, where: str, bounds: tuple[float, float, float] | None, subject: str
) -> Outcome:
    """A difference (mean, low, high) that is to be above 0; its interval is shown alone."""
    if bounds is None:
        return Outcome(target, where, ABSENT, None, subject)
    mean, *interval = bounds
    missing = None if mean > 0 else number(abs(mean))
    return Outcome(target, where, spread(mean, interval), missing, subject)


def published(outcomes: Sequence[Outcome]) -> str:
    """How many are met, then the table."""
    known = [one for one in outcomes if one.known]
    met = sum(one.missing is None for one in known)
    head = f"{met} of {len(known)} measured targets are met"
    rest = len(outcomes) - len(known)
    if rest:
        head += f"; {rest} {'was' if rest == 1 else 'were'} not measured"
    columns = ["target", "where", "measured", "verdict", "what was tried"]
    return f"{head}.\n\n{table(columns, [one.row() for one in outcomes])}"
