"""The targets of the service, held against what `benchmarks.serving` left."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from benchmarks.outcomes import ABSENT, MILLISECONDS, SECONDS, TIMES, Outcome, at_least, at_most
from benchmarks.serving_beyond import REFUSED
from benchmarks.serving_parts import RETRIEVAL

Result = Mapping[str, Any]
MOST_P99_MS: Final = 20.0
MOST_P50_MS: Final = 5.0
OVER_FLOOR: Final = 2.0
RECALL: Final = 0.95
MANY: Final = (100_000, 1_000_000)
"""Listings that the best twenty are found of."""
START_SECONDS: Final = 60.0
FLAT: Final = 1.05
FLAT_OVER: Final = 200_000
"""Requests: fewer show nothing of what memory does in the long run."""
QUARTERS: Final = 4
SHOWN_SECONDS: Final = 5.0
MOVED_SECONDS: Final = 1.0
BATCH: Final = 1_000
OF_ENCODERS: Final = 1.25


def serving_outcomes(result: Result | None) -> Iterator[Outcome]:
    """Of every part of the benchmark, measured or not."""
    found = result or {}
    yield from _latency(found.get("recommend_500"))
    yield from _retrieval(found.get(RETRIEVAL, {}))
    saturation = found.get("saturation")
    most = saturation if isinstance(saturation, Mapping) else None  # text where wrk is missing
    yield _refusals(most)
    yield _memory(most)
    each, own = "each of two workers", "a replica with a folder of its own"
    for where, part in ((each, "time_to_recommendable"), (own, "time_to_replica")):
        target = f"a listing recommended within {SHOWN_SECONDS:g} s at p95"
        yield _within_seconds(target, where, found.get(part), SHOWN_SECONDS)
    target = f"an event moves recommendations within {MOVED_SECONDS:g} s at p95"
    yield _within_seconds(target, each, found.get("time_to_move"), MOVED_SECONDS)
    yield _batch(found.get("batch"))


def _latency(part: Result | None) -> Iterator[Outcome]:
    """Of somebody who comes back, alone and beside the floor."""
    where = "500 candidates"
    for level, bound in (("p99", MOST_P99_MS), ("p50", MOST_P50_MS)):
        target = f"recommend 10 within {bound:g} ms at {level}"
        taken = None if part is None else part[f"{level}_ms"]
        told = f"{taken} ms"
        yield at_most(target, where, taken, bound, "answers", told=told, unit=MILLISECONDS)
    target = f"recommend 10 at most {OVER_FLOOR:g} × the floor at p99"
    ratio, told = None, ABSENT
    if part is not None:
        ours, floor = part["p99_ms"], part["floor_p99_ms"]
        ratio = ours / floor
        told = f"{ratio:.3f} × ({ours} ms over {floor} ms)"
    yield at_most(target, where, ratio, OVER_FLOOR, "answers", told=told, unit=TIMES)


def _retrieval(sizes: Mapping[str, Result]) -> Iterator[Outcome]:
    """Of very many listings: whether the best are found, and the start with the most of them."""
    for count in MANY:
        recall = sizes.get(str(count), {}).get("recall_at_100")
        target, where = f"top 20: recall@100 at least {RECALL}", f"{count:,} listings"
        yield at_least(target, where, recall, RECALL, "answers", told=f"{recall}")
    most = MANY[-1]
    where, seconds = f"{most:,} listings", sizes.get(str(most), {}).get("service_ready_s")
    target, told = f"ready within {START_SECONDS:g} s of its start", f"{seconds} s"
    yield at_most(target, where, seconds, START_SECONDS, "answers", told=told, unit=SECONDS)


def _refusals(saturation: Result | None) -> Outcome:
    """Of as many connections as two workers hold, and of more."""
    target, where = "no 5xx but refusals, each with `Retry-After`", "at saturation"
    beyond = None if saturation is None else saturation.get("beyond")
    if saturation is None or beyond is None:
        return Outcome(target, where, ABSENT, None, "serving")
    statuses, asked, bare = Counter[str](), 0, 0
    for part in (saturation, beyond):
        statuses.update(part["statuses"])
        asked += part["requests"]
        # where nobody looked whether refusals told when to come again, none did
        bare += part.get("refused_without_retry_after", _refused(part["statuses"]))
    failed = sum(count for one, count in statuses.items() if one[0] == "5" and one not in REFUSED)
    told = f"of {asked:,} requests {failed:,} failed and {_refused(statuses):,} were refused"
    lacks = [f"{failed:,} failures"] if failed else []
    lacks += [f"{bare:,} refusals without `Retry-After`"] if bare else []
    return Outcome(target, where, told, " and ".join(lacks) or None, "serving")


def _refused(statuses: Mapping[str, int]) -> int:
    return sum(statuses.get(one, 0) for one in REFUSED)


def _memory(saturation: Result | None) -> Outcome:
    """The mean of the last quarter of the looks at memory, over that of the second one.

    The first quarter is left out: caches fill. So is the look before any request.
    """
    target = f"memory flat: the last quarter at most {FLAT} × the second"
    where = f"{FLAT_OVER:,} requests"
    ratio, told = None, ABSENT
    if saturation is not None and saturation["requests"] >= FLAT_OVER:
        looks = list(saturation["mib_after_requests"].values())[1:]
        _, second, _, last = (part.mean() for part in np.array_split(looks, QUARTERS))
        ratio, told = last / second, f"{last / second:.3f} × ({second:,.0f} → {last:,.0f} MiB)"
    return at_most(target, where, ratio, FLAT, "serving", told=told, unit=TIMES)


def _within_seconds(target: str, where: str, part: Result | None, bound: float) -> Outcome:
    seconds = None if part is None else part["p95_ms"] / 1000
    told = ABSENT if seconds is None else f"{seconds:.2f} s"
    return at_most(target, where, seconds, bound, "changes", told=told, unit=SECONDS)


def _batch(part: Result | None) -> Outcome:
    """Of one call, whose encoders alone take most of it."""
    target = f"a batch at its encoders' own speed (at most {OF_ENCODERS:g} × their time)"
    ratio, told = None, ABSENT
    if part is not None and part["listings"] >= BATCH:
        ratio = part["ratio"]
        told = f"{ratio} × ({part['seconds']} s over {part['encoders_alone_s']} s)"
    where = f"{BATCH:,} listings"
    return at_most(target, where, ratio, OF_ENCODERS, "serving", told=told, unit=TIMES)
