"""The targets of ranking new items: what the cells of the quality benchmark say of each."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from benchmarks.grid import DATED, GRID, SIAMESE
from benchmarks.oracle_shares import in_per_cent, oracle_share
from benchmarks.outcomes import ABSENT, TIMES, Outcome, ahead, at_least
from benchmarks.peers.registry import PUBLISHED
from benchmarks.standings import Standing
from benchmarks.tables import signed, spread
from coldstart_models.data.pools import MONTH
from coldstart_models.models import CONTENT_KNN

OVER_KNN: Final = 1.10
DATED_OVER_KNN: Final = 1.15
OF_ORACLE: Final = 0.90
ORACLE_SHOTS: Final = 10
RETAIL: Final = "online_retail"
MARKETPLACE: Final = "marketplace"


def outcomes(cuts: Sequence[Standing]) -> Iterator[Outcome]:
    """Of every cut of the grid, measured or not; of reserved ones where they were measured."""
    found = {cut.cut: cut for cut in cuts}
    for cut in GRID:
        standing = found.get(cut.name, Standing(cut.name, []))
        if cut.reserved and not standing.models:
            continue
        if cut.store == MARKETPLACE:
            yield from _of_oracle(standing)
            continue
        yield _over_knn(standing, SIAMESE, OVER_KNN)
        if cut.store == RETAIL:
            yield _over_knn(standing, DATED, DATED_OVER_KNN)
            yield _within_months(standing)
        else:
            yield _no_peer_ahead(standing)


def _over_knn(cut: Standing, names: Sequence[str], bound: float) -> Outcome:
    """The better one of two models over the best kNN ensemble, once both are measured."""
    target = f"`{names[0]}` or `{names[1]}` at least {bound:.2f} × `{CONTENT_KNN}`"
    found = []
    for name in names:
        share = cut.share(name, CONTENT_KNN)
        if share is not None:
            found.append((share.mean, f"{share.mean:.3f} × ({share.low:.3f}–{share.high:.3f})"))
    subject = "dates" if names == DATED else "content"
    value, told = max(found) if len(found) == len(names) else (None, ABSENT)
    return at_least(target, f"`{cut.cut}`", value, bound, subject, told=told, unit=TIMES)


def _within_months(cut: Standing) -> Outcome:
    target = f"within launch months, the better of both ahead of `{CONTENT_KNN}`"
    found = [
        one
        for name in SIAMESE
        if (one := cut.difference(name, CONTENT_KNN, pool=MONTH)) is not None
    ]
    best = max(found, key=lambda one: one.mean, default=None)
    bounds = None if best is None else (best.mean, best.low, best.high)
    return ahead(target, f"`{cut.cut}`", bounds, "content")


def _no_peer_ahead(cut: Standing) -> Outcome:
    """Of the better of both, against every tuned peer, once all that can be had are measured."""
    target = "no tuned peer ahead beyond its interval"
    ours = cut.strongest(SIAMESE)
    found = [
        (max(one.low, 0.0), one.mean, name, one)
        for name in PUBLISHED
        if ours is not None and (one := cut.difference(name, ours)) is not None
    ]
    if not found or {*PUBLISHED, *SIAMESE} - {*cut.models, *cut.skipped}:
        return Outcome(target, f"`{cut.cut}`", ABSENT, None, "content")
    *_, name, best = max(found)  # who is ahead beyond the interval, else who comes nearest
    told = f"`{name}` − `{ours}`: {spread(best.mean, (best.low, best.high))}"
    missing = signed(best.low) if best.low > 0 else None
    return Outcome(target, f"`{cut.cut}`", told, missing, "content")


def _of_oracle(cut: Standing) -> Iterator[Outcome]:
    target = f"at least {OF_ORACLE:.0%} of the oracle's NDCG@10 at k = {ORACLE_SHOTS}"
    found = []
    for name in (SIAMESE[1], DATED[1]):
        share = oracle_share(cut, name, shots=ORACLE_SHOTS)
        if share is not None:
            found.append((share.mean, f"`{name}` {in_per_cent(share)}"))
    value, told = max(found, default=(None, ABSENT))
    yield at_least(target, f"`{cut.cut}`", value, OF_ORACLE, "oracle", told=told)


def first_by_mean_rank(means: Mapping[str, float], cuts: int) -> Outcome:
    """Ours before every other model.

    Args:
        means: model → mean rank.
        cuts: how many they are of.
    """
    target = "first by mean rank"
    ours = [name for name in means if name in SIAMESE]
    others = [name for name in means if name not in SIAMESE]
    if not ours or not others:
        return Outcome(target, "all", ABSENT, None, "content")
    first, second = (min(names, key=lambda name: means[name]) for names in (ours, others))
    told = f"`{first}` {means[first]:.2f}, `{second}` {means[second]:.2f}, {cuts} cuts"
    behind = means[first] - means[second]
    return Outcome(target, "all", told, f"{behind:.2f} ranks" if behind > 0 else None, "content")
