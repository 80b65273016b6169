"""The targets of first customers, what is learned, kinds of users, transfer, training and encoders,
held against their results."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np

from benchmarks.breakdown_tables import kinds_of
from benchmarks.outcomes import (
    ABSENT,
    HOLDS_ZERO,
    TIMES,
    Outcome,
    at_least,
    at_most,
    beyond_chance,
)
from benchmarks.page_sections import Sections
from benchmarks.shots_tables import (
    OVER_UNTAUGHT,
    POOLS,
    UNTAUGHT,
    Gain,
    gain,
    pairs_of,
    shots_of,
)
from benchmarks.tables import number, rows_of, signed, spread
from benchmarks.training import MOST_MB, MOST_MINUTES, SHOP
from coldstart_models.metrics import seed_means
from coldstart_models.models import POPULARITY

Result = Mapping[str, Any]
RETAIL: Final = "retail-"
"""How the cuts begin that have enough customers a listing."""
AT_SHOTS: Final = {3: 0.04, 10: 0.10, 20: 0.15}
OWN_GAIN: Final = 10
"""The most first customers at which the learned term is asked for a gain of its own."""
K: Final = "k = "
"""How the table of first customers calls a column."""
BASELINES: Final = ("smoothed-rate", "neighbours")
MOST_WARM_LOSS: Final = 0.01
WARM: Final = {
    "alone": ("alone, before meta-training", "alone, after"),
    "among new listings with 10 customers": (
        "among new listings, without support",
        "among new listings, with support",
    ),
}
TRANSFER_SHARE: Final = "10%"
TRANSFER_GAIN: Final = 0.10
FLAT: Final = 1.25
"""Times the cost on the smallest log that count as flat on the largest."""
PRECISION_GAIN: Final = 0.10
GAINED: Final = re.compile(r"([+-][\d.]+)% \(([+-][\d.]+)% to ([+-][\d.]+)%\)")
ADAPTED: Final = {
    "`ikea`": ("titles",),
    "`ikea`, photos and a source alone": (
        "photos alone",
        "adabn",
        "source + coral",
        "source + dann",
    ),
}
"""Where an encoder is asked for a gain, and its variants that have learned of nothing else."""
RESIDUAL: Final = "learned: the towers"
"""The learned residual, as the ablation calls it."""


def shots_outcomes(cut: str, results: Sequence[Result]) -> Iterator[Outcome]:
    """Of one cut, its seeds together; the learner is the one that won on validation."""
    where, shots = f"`{cut}`", shots_of(results)
    won = {count: gain(pairs_of(results, count, None)) for count in shots}
    if cut.startswith(RETAIL):
        yield from _retail(where, won)
        for baseline in BASELINES:
            yield _beside(where, baseline, results, shots)
    falls = [won[later].mean - won[one].mean for one, later in pairwise(shots)]
    told = ", ".join(f"{one.mean:+.1%}" for one in won.values())
    fall = min(falls, default=None)
    yield at_least(
        "the gain does not fall as k grows", where, fall, 0.0, "growth", told=f"{told} by k"
    )
    most = max((count for count in won if count <= OWN_GAIN), default=0)
    taught = most and all(UNTAUGHT in one[POOLS][0]["with"] for one in results)
    own = gain(pairs_of(results, most, None, over=UNTAUGHT)) if taught else None
    yield _own(where, most, None if own is None else (own.mean, own.low, own.high), told=str(own))
    yield from _warm(where, results)


def own_gains_of(page: str) -> Iterator[Outcome]:
    """What the learned term gains, of every cut that the page of first customers has it of.

    Args:
        page: the tables as they stand there.
    """
    for cut, section in Sections.of(page).cuts.items():
        rows = rows_of(section.partition("\n\n")[2].partition("\n\n")[0])
        row = next((one for one in rows if OVER_UNTAUGHT in one.values()), None)
        counts = [int(name.removeprefix(K)) for name in row or () if name.startswith(K)]
        most = max((count for count in counts if count <= OWN_GAIN), default=0)
        if row is not None and most:
            told = row[f"{K}{most}"]
            mean, low, high = (
                float(one.replace("−", "-")) / 100 for one in re.findall(r"[+−][\d.]+", told)
            )
            yield _own(f"`{cut}`", most, (mean, low, high), told=told)


def _own(
    where: str, shots: int, bounds: tuple[float, float, float] | None, *, told: str
) -> Outcome:
    """What launches taught: the learner that is kept over itself as it starts."""
    target = "the meta-learned term has a gain of its own, interval above 0"
    return beyond_chance(target, where, bounds, "shots", told=f"k = {shots}: {told}")


def residual_outcomes(cuts: Sequence[str], result: Result | None) -> Iterator[Outcome]:
    """Of every cut, measured or not: what the towers' corrections are worth."""
    target = "the learned residual has a gain of its own, interval above 0"
    found = {
        row["cut"]: row for row in (result or {"rows": []})["rows"] if row["without"] == RESIDUAL
    }
    for cut in cuts:
        row = found.get(cut)
        if row is None:
            yield Outcome(target, f"`{cut}`", ABSENT, None, "residual")
            continue
        lost, *interval = bounds = row["ndcg@10 lost"], row["low"], row["high"]
        yield beyond_chance(target, f"`{cut}`", bounds, "residual", told=spread(lost, interval))


def kinds_outcomes(cuts: Sequence[str], result: Result | None) -> Iterator[Outcome]:
    """Of every cut, measured or not: the kind of users or items in which ours leads least.

    A kind in which neither has a single hit says nothing, and is counted apart.

    Args:
        result: of all cuts that were measured together; None where none was.
    """
    target = f"at least `{POPULARITY}` in every kind of users and items"
    found = {one["source"]: kinds_of(one) for one in result["cuts"]} if result else {}
    for cut in cuts:
        known = [kind for kind in found.get(cut, []) if kind.lead is not None]
        leads = [
            (kind.lead, f"{kind.by} {kind.group} ({kind.users} users): {kind.told}")
            for kind in known
            if kind.lead or kind.ours
        ]
        least, told = min(leads, default=(None, ABSENT))
        if least is not None and (silent := len(known) - len(leads)):
            told += f"; in {silent} of {len(known)} kinds neither has a hit"
        missing = number(-least) if least is not None and least < 0 else None
        yield Outcome(target, f"`{cut}`", told, missing, "kinds")


def _retail(where: str, won: Mapping[int, Gain]) -> Iterator[Outcome]:
    """What is asked of the shop that has enough customers a listing."""
    least = min(won.values(), key=lambda one: one.mean, default=None)
    value = None if least is None else least.mean
    yield at_least("never under k = 0", where, value, 0.0, "shots", told=f"least gain {least}")
    for count, bound in AT_SHOTS.items():
        one = won.get(count)
        target = f"at least {1 + bound:.2f} × k = 0 at k = {count}"
        value = None if one is None else one.mean
        yield at_least(target, where, value, bound, "shots", told=str(one))


def _beside(where: str, baseline: str, results: Sequence[Result], shots: list[int]) -> Outcome:
    """The winner against a plain learner at every k."""
    target = f"ahead of `{baseline}` at every k"
    leads = {}
    for count in shots:
        ours = seed_means(pairs_of(results, count, None))[1]
        leads[count] = float(ours - seed_means(pairs_of(results, count, baseline))[1])
    if not leads:
        return Outcome(target, where, ABSENT, None, "shots")
    told = ", ".join(f"k = {count}: {signed(lead)}" for count, lead in leads.items())
    least = min(leads.values())
    return Outcome(target, where, told, None if least > 0 else number(abs(least)), "shots")


def _warm(where: str, results: Sequence[Result]) -> Iterator[Outcome]:
    known = [one["warm"] for one in results if one["warm"]]
    for how, (before, after) in WARM.items():
        pairs = [(one[before], one[after]) for one in known if before in one and after in one]
        if not pairs:
            continue  # a random cut leaves no choice of warm items to predict
        old, new = np.mean(pairs, axis=0)
        change = float(new / old - 1)
        target, told = f"warm items {how} lose at most 1 %", f"{old:.4f} → {new:.4f}, {change:+.1%}"
        yield at_least(target, where, change, -MOST_WARM_LOSS, "warm", told=told)


def transfer_outcomes(cuts: Sequence[str], result: Result | None) -> Iterator[Outcome]:
    """Of every cut's curve at a tenth of its events, measured or not, against both arms."""
    found = {
        str(row["target"]).split("`")[1]: row
        for row in (result or {"rows": []})["rows"]
        if row["share"] == TRANSFER_SHARE
    }
    for arm, column in (("alone", "over alone"), ("over the unlearned start", "over unlearned")):
        target = (
            f"transfer gains at least {TRANSFER_GAIN:.0%} at {TRANSFER_SHARE} of the events, "
            f"{'over training on the target alone' if arm == 'alone' else arm}"
        )
        for cut in cuts:
            row = found.get(cut)
            if row is None:
                yield Outcome(target, f"`{cut}`", ABSENT, None, "transfer")
                continue
            share = _number(row[f"{column}, %"])
            told = f"{row[f'{column}, %']} %, {row[column]}"
            value = None if share is None else share / 100
            yield at_least(target, f"`{cut}`", value, TRANSFER_GAIN, "transfer", told=told)


def training_outcomes(result: Result | None) -> Iterator[Outcome]:
    """Of the real shop's training, and of what grows with a generated log."""
    shop, where = (result or {}).get(SHOP), f"`{SHOP}`"
    target = (
        f"whole training in at most {MOST_MINUTES} minutes and {MOST_MB / 1024:g} GB on 2 cores"
    )
    if shop is None:
        yield Outcome(target, where, ABSENT, None, "training")
    else:
        minutes, most = shop["minutes in all"], shop["MB at most"]
        over = [f"{minutes - MOST_MINUTES:.1f} minutes"] if minutes > MOST_MINUTES else []
        over += [f"{most - MOST_MB:,} MB"] if most > MOST_MB else []
        told = f"{minutes:g} minutes, {most:,} MB"
        missing = " and ".join(over) or None
        yield Outcome(target, where, told, missing, "training")
    growth = (result or {}).get("growth", {})
    target = f"a step's time and memory flat as the log grows (at most {FLAT} ×)"
    if not growth:
        yield Outcome(target, "generated", ABSENT, None, "training")
    for stage in dict.fromkeys(name.partition(":")[0] for name in growth):
        step, memory = (growth[f"{stage}: {what}"] for what in ("ms a step", "MB"))
        told = f"step {step} ×, memory {memory} × over {growth[f'{stage}: events']:g} × the events"
        worst, at = max(step, memory), f"generated, {stage}"
        yield at_most(target, at, worst, FLAT, "training", told=told, unit=TIMES)


def adaptation_outcomes(result: Result | None) -> Iterator[Outcome]:
    """Of photo encoders on `ikea`, without its categories: by its titles, which name what a thing
    is, and the best variant of those that have its photos alone, once all of them are measured."""
    target = "same-category precision@10 rises by 10 %, interval above 0, without its labels"
    by_variant = {}
    for row in (result or {"rows": []})["rows"]:
        match = GAINED.search(row["precision@10"])
        if row["data"] == "ikea" and row["kept"] != "–" and match:
            mean, low, _ = (float(one) / 100 for one in match.groups())
            by_variant[row["variant"]] = mean, low, f"{row['seeds']} seeds: {match[0]}"
    for where, variants in ADAPTED.items():
        found = [(*by_variant[name], name) for name in variants if name in by_variant]
        if len(found) < len(variants):
            yield Outcome(target, where, ABSENT, None, "adaptation")
            continue
        mean, low, told, name = max(found)
        best = f", the best of {len(found)}" if len(found) > 1 else ""
        told = f"{name}{best}, {told}"
        one = at_least(target, where, mean, PRECISION_GAIN, "adaptation", told=told)
        if one.missing is None and low <= 0:
            one = Outcome(target, where, told, HOLDS_ZERO, "adaptation")
        yield one


def _number(text: str) -> float | None:
    try:
        return float(text.replace("−", "-"))
    except ValueError:
        return None
