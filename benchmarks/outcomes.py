"""Targets held against what was measured: what a row of the table of targets says."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.tables import number, spread, table

ABSENT: Final = "not measured"
MET: Final = "met"
HOLDS_ZERO: Final = "an interval that holds 0"
"""What a gain is missed by that may be chance."""
POINTS: Final = "points"
TIMES: Final = "times"
SECONDS: Final = "seconds"
MILLISECONDS: Final = "milliseconds"
GAPS: Final[Mapping[str, Callable[[float], str]]] = {
    POINTS: lambda gap: f"{gap * 100:.1f} points",
    TIMES: lambda gap: f"{gap:.3f} ×",
    SECONDS: lambda gap: f"{gap:.2f} s",
    MILLISECONDS: lambda gap: f"{gap:.2f} ms",
}
"""What a value lacks, as people read it, by the unit of the value."""
TRIED: Final = {
    "content": "[content alone](#what-was-tried)",
    "dates": "[dates](#what-was-tried)",
    "oracle": "[oracle](#what-was-tried)",
    "warm": "[warm items](#what-was-tried)",
    "growth": "[many first customers](#what-was-tried)",
    "shots": "[first customers](#what-was-tried)",
    "residual": "[ablation](#ablation)",
    "kinds": "[kinds](#what-was-tried)",
    "transfer": "[transfer](#what-was-tried)",
    "adaptation": "[ADR 14](adr/0014-an-adapted-encoder-is-a-folder-that-beat-its-base.md)",
    "training": "[training.md](training.md)",
    "answers": "[ADR 24](adr/0024-one-product-a-request-and-a-log-of-changed-listings.md)",
    "changes": "[ADR 27](adr/0027-state-folders-tell-each-other-through-the-online-store.md)",
    "serving": "[serving](#serving)",
}
"""What was tried for a target, by subject, as a link of a page in docs/."""
COLUMNS: Final = ("target", "where", "measured", "verdict", "what was tried")
Row = list[str]
"""A target's cells, by COLUMNS."""


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

    def row(self) -> Row:
        verdict, tried = MET if self.known else "–", "–"
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
        unit: of value and bound, one of GAPS; POINTS of a share or gain are told in per cent.
    """
    short = None if value is None else bound - value
    return _judged(target, where, short, subject, told=told, unit=unit)


def at_most(
    target: str,
    where: str,
    value: float | None,
    bound: float,
    subject: str,
    *,
    told: str,
    unit: str,
) -> Outcome:
    """A time, ratio or the like that is to stay within a bound; otherwise as `at_least`."""
    over = None if value is None else value - bound
    return _judged(target, where, over, subject, told=told, unit=unit)


def _judged(
    target: str, where: str, gap: float | None, subject: str, *, told: str, unit: str
) -> Outcome:
    """Met where nothing lacks: where the gap, None of what was not measured, is 0 or less."""
    if gap is None:
        return Outcome(target, where, ABSENT, None, subject)
    return Outcome(target, where, told, GAPS[unit](gap) if gap > 0 else None, subject)


def ahead(
    target: str, where: str, bounds: tuple[float, float, float] | None, subject: str
) -> Outcome:
    """A difference (mean, low, high) that is to be above 0; its interval is shown alone."""
    if bounds is None:
        return Outcome(target, where, ABSENT, None, subject)
    mean, *interval = bounds
    missing = None if mean > 0 else number(abs(mean))
    return Outcome(target, where, spread(mean, interval), missing, subject)


def beyond_chance(
    target: str, where: str, bounds: tuple[float, float, float] | None, subject: str, *, told: str
) -> Outcome:
    """A gain (mean, low, high) whose whole interval is to be above 0."""
    if bounds is None:
        return Outcome(target, where, ABSENT, None, subject)
    mean, low, _ = bounds
    missing = None if low > 0 else HOLDS_ZERO if mean > 0 else "no gain"
    return Outcome(target, where, told, missing, subject)


def published(rows: Sequence[Row]) -> str:
    """How many are met, then the table."""
    known = [verdict for _, _, measured, verdict, _ in rows if measured != ABSENT]
    head = f"{known.count(MET)} of {len(known)} measured targets are met"
    rest = len(rows) - len(known)
    if rest:
        head += f"; {rest} {'was' if rest == 1 else 'were'} not measured"
    return f"{head}.\n\n{table(COLUMNS, rows)}"
