"""What an experiment says: CTR, CVR and revenue per user, each variant beside the first.

The statistics are tea-tasting's: Welch's comparison of means, the delta method for the ratio of
clicks to impressions (Deng et al., KDD 2018), CUPED (Deng et al., WSDM 2013). The sample-ratio
check is SciPy's χ². Only the interval that holds at every look is ours (`experiments.sequential`),
because no library that can be used here has it (docs/adr/0020).
"""

import math
from dataclasses import asdict, dataclass, replace
from statistics import NormalDist
from typing import Any, Final

import pandas as pd

from coldstart_models.errors import NotEnoughData
from coldstart_models.experiments.attribution import CLICKS, REVENUE
from coldstart_models.experiments.bucketing import Experiment
from coldstart_models.experiments.outcomes import BEFORE, BOUGHT, IMPRESSIONS, Units
from coldstart_models.experiments.sequential import half_width
from validation import tables

ALPHA: Final = 0.05
MISMATCH: Final = 0.001
"""A sample ratio less likely than this is not chance."""
CTR: Final = "CTR"
CVR: Final = "CVR"
REVENUE_PER_USER: Final = "revenue per user"
OUTCOME: Final = {CTR: CLICKS, CVR: BOUGHT, REVENUE_PER_USER: REVENUE}
METRICS: Final = tuple(OUTCOME)
LEAST: Final = 2
"""Finished units of each variant below which nothing is told."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One metric of one variant beside the control's."""

    metric: str
    variant: str
    control_mean: float
    variant_mean: float
    difference: float
    """Variant less control; with CUPED, as the means are."""
    low: float | None
    high: float | None
    """The interval that holds at every look; None where the users differ in nothing that an error
    could be told by: nobody did what the metric counts, or all of one variant did and none else.
    """
    fixed_low: float | None
    fixed_high: float | None
    """The interval for one look alone."""
    variance_left: float
    """What CUPED leaves of the difference's variance; 1 is nothing gained."""

    @property
    def told(self) -> bool:
        """Whether the difference is told from none."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


@dataclass(frozen=True, slots=True)
class Report:
    """One experiment at one look."""

    experiment: str
    users: dict[str, int]
    """Variant → finished units, which the metrics are of."""
    dealt: dict[str, int]
    """Variant → units that saw a page of it alone."""
    unfinished: int
    moved: int
    ratio_pvalue: float
    """Of the units dealt, if they were dealt by the variants' weights."""
    lost_pages: int
    """That the log had no room for: first pages and the past of who came back are not known."""
    differences: tuple[Difference, ...]
    """None where too few units are finished; that is told only of a report not to be trusted."""

    @property
    def mismatched(self) -> bool:
        """Whether the units dealt are not those that the weights say."""
        return self.ratio_pvalue < MISMATCH

    @property
    def trusted(self) -> bool:
        """Whether the log has the users that there were and what they saw first."""
        return not self.mismatched and not self.lost_pages

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        told = [{**asdict(one), "told": one.told} for one in self.differences]
        judged = {"mismatched": self.mismatched, "trusted": self.trusted}
        return {**asdict(self), **judged, "differences": told}


def report(
    experiment: Experiment,
    units: Units,
    *,
    planned: int,
    alpha: float = ALPHA,
    lost_pages: int = 0,
) -> Report:
    """Compare every variant with the first.

    Args:
        planned: units at which the sequential intervals are to be narrowest.
        lost_pages: of `page_log.lost_pages`.

    Raises NotEnoughData where a variant has hardly any finished unit, unless there is worse to
    tell: a service that loses one variant's users never finishes any.
    """
    names = [variant.name for variant in experiment.variants]
    users = {name: int((units.table[tables.VARIANT] == name).sum()) for name in names}
    few = [f"{name} ({count})" for name, count in users.items() if count < LEAST]
    found = Report(
        experiment=experiment.name,
        users=users,
        dealt={name: units.dealt.get(name, 0) for name in names},
        unfinished=units.unfinished,
        moved=units.moved,
        ratio_pvalue=ratio_pvalue(experiment.shares, units.dealt),
        lost_pages=lost_pages,
        differences=(),
    )
    if few and not found.trusted:
        return found
    if few:
        raise NotEnoughData(
            f"experiment {experiment.name!r} has too few users whose time is over: "
            f"{', '.join(few)}; {units.unfinished} are still within their time. Ask again later, "
            "or shorten experiment.window_days"
        )
    control, *others = names
    differences = [
        _difference(metric, name, units.table, control=control, planned=planned, alpha=alpha)
        for name in others
        for metric in METRICS
    ]
    return replace(found, differences=tuple(differences))


def ratio_pvalue(shares: dict[str, float], dealt: dict[str, int]) -> float:
    """Of the counts if units are dealt by the shares (Fabijan et al., KDD 2019); 1 of none."""
    from scipy.stats import chisquare

    counts = [dealt.get(name, 0) for name in shares]
    if not any(counts):
        return 1.0
    expected = [share * sum(counts) for share in shares.values()]
    return float(chisquare(counts, expected).pvalue)


def _difference(
    metric: str, variant: str, table: pd.DataFrame, *, control: str, planned: int, alpha: float
) -> Difference:
    two = table[table[tables.VARIANT].isin([control, variant])]
    outcome = two[OUTCOME[metric]]
    if outcome.nunique() == 1 and (metric != CTR or not outcome.any()):  # there is no variance
        mean = float(outcome.iloc[0])
        return Difference(metric, variant, mean, mean, 0.0, None, None, None, None, 1.0)
    plain = _analysed(metric, two, control=control, alpha=alpha, adjusted=False)
    found = _analysed(metric, two, control=control, alpha=alpha, adjusted=True)
    z = NormalDist().inv_cdf(1.0 - alpha / 2.0)
    error, raw = (
        (one.effect_size_ci_upper - one.effect_size_ci_lower) / 2.0 / z for one in (found, plain)
    )
    means = float(found.control), float(found.treatment), float(found.effect_size)
    if not (math.isfinite(error) and error > 0.0):
        return Difference(metric, variant, *means, None, None, None, None, 1.0)
    half = half_width(error, count=len(two), planned=planned, alpha=alpha)
    return Difference(
        metric,
        variant,
        *means,
        low=float(found.effect_size) - half,
        high=float(found.effect_size) + half,
        fixed_low=float(found.effect_size_ci_lower),
        fixed_high=float(found.effect_size_ci_upper),
        variance_left=(error / raw) ** 2 if raw > 0 else 1.0,
    )


def _analysed(metric: str, two: pd.DataFrame, *, control: str, alpha: float, adjusted: bool) -> Any:
    """tea-tasting's result; a covariate that is the same for everybody is left out."""
    import tea_tasting

    value = OUTCOME[metric]
    covariate = value + BEFORE
    known = adjusted and two[covariate].nunique() > 1
    settings: dict[str, Any] = {"confidence_level": 1.0 - alpha, "use_t": False}
    if metric == CTR:
        tested = tea_tasting.RatioOfMeans(
            CLICKS, IMPRESSIONS, covariate if known else None, **settings
        )
    else:
        tested = tea_tasting.Mean(value, covariate if known else None, **settings)
    test = tea_tasting.Experiment({metric: tested}, variant=tables.VARIANT)
    return test.analyze(two[[*_columns(two)]], control=control)[metric]


def _columns(two: pd.DataFrame) -> list[str]:
    """What the statistics need: the variant and the numbers."""
    return [tables.VARIANT, *two.select_dtypes("number").columns]
