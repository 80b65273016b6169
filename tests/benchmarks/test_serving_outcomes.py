"""The service is held against its targets by what its benchmark left."""

from typing import Any

import pytest

from benchmarks.outcomes import Outcome
from benchmarks.serving import PARTS, arguments, beside_floor
from benchmarks.serving_outcomes import FLAT_OVER, MANY, serving_outcomes

SATURATION: dict[str, Any] = {
    "requests": 200_725,
    "statuses": {"200": 200_725},
    "refused_without_retry_after": 0,
    "mib_after_requests": {
        f"{at:,}:": mib
        for at, mib in enumerate([100.0, 700.0, 800.0, 990.0, 1010.0, 7.0, 8.0, 1000.0, 1040.0])
    },
    "beyond": {
        "requests": 9_000,
        "statuses": {"200": 6_000, "503": 2_990, "429": 10},
        "refused_without_retry_after": 0,
    },
}
RESULT: dict[str, Any] = {
    "recommend_500": {"p50_ms": 5.5, "p99_ms": 20.0, "floor_p99_ms": 9.0},
    "retrieval": {
        "100000": {"recall_at_100": 0.95, "service_ready_s": 70.0},
        "1000000": {"recall_at_100": 0.94, "service_ready_s": 59.9},
    },
    "saturation": SATURATION,
    "time_to_recommendable": {"p95_ms": 5_100.0, "workers": 2},
    "time_to_replica": {"p95_ms": 4_900.0},
    "time_to_move": {"p95_ms": 400.0, "workers": 2},
    "batch": {"listings": 1_000, "seconds": 30.0, "encoders_alone_s": 25.0, "ratio": 1.2},
}
TARGETS = {
    ("recommend 10 within 20 ms at p99", "500 candidates"): ("20.0 ms", "met"),
    ("recommend 10 within 5 ms at p50", "500 candidates"): ("5.5 ms", "missed by 0.50 ms"),
    ("recommend 10 at most 2 × the floor at p99", "500 candidates"): (
        "2.222 × (20.0 ms over 9.0 ms)",
        "missed by 0.222 ×",
    ),
    ("top 20: recall@100 at least 0.95", "100,000 listings"): ("0.95", "met"),
    ("top 20: recall@100 at least 0.95", "1,000,000 listings"): ("0.94", "missed by 1.0 points"),
    ("ready within 60 s of its start", "1,000,000 listings"): ("59.9 s", "met"),
    ("no 5xx but refusals, each with `Retry-After`", "at saturation"): (
        "of 209,725 requests 0 failed and 3,000 were refused",
        "met",
    ),
    ("memory flat: the last quarter at most 1.05 × the second", "200,000 requests"): (
        "1.020 × (1,000 → 1,020 MiB)",
        "met",
    ),
    ("a listing recommended within 5 s at p95", "each of two workers"): (
        "5.10 s",
        "missed by 0.10 s",
    ),
    ("a listing recommended within 5 s at p95", "a replica with a folder of its own"): (
        "4.90 s",
        "met",
    ),
    ("an event moves recommendations within 1 s at p95", "each of two workers"): ("0.40 s", "met"),
    ("a batch at its encoders' own speed (at most 1.25 × their time)", "1,000 listings"): (
        "1.2 × (30.0 s over 25.0 s)",
        "met",
    ),
}


def of(result: dict[str, Any] | None, target: str) -> Outcome:
    (found,) = (one for one in serving_outcomes(result) if one.target.startswith(target))
    return found


def test_every_target_of_the_service_is_held_against_its_part() -> None:
    found = {(one.target, one.where): one.row() for one in serving_outcomes(RESULT)}
    assert {key: (row[2], row[3]) for key, row in found.items()} == TARGETS
    assert list(found) == list(TARGETS)


@pytest.mark.parametrize("result", [None, {}, {"saturation": "wrk is not installed"}])
def test_parts_that_were_not_measured_are_told_under_the_same_names(
    result: dict[str, Any] | None,
) -> None:
    found = list(serving_outcomes(result))
    assert [(one.target, one.where) for one in found] == list(TARGETS)
    assert not any(one.known for one in found)


def test_failures_and_refusals_that_do_not_say_when_to_come_again_are_misses() -> None:
    beyond = SATURATION["beyond"] | {
        "statuses": {"200": 6_000, "500": 2, "503": 9, "599": 1},
        "refused_without_retry_after": 4,
    }
    row = of({"saturation": SATURATION | {"beyond": beyond}}, "no 5xx").row()
    assert row[2] == "of 209,725 requests 3 failed and 9 were refused"
    assert row[3] == "missed by 3 failures and 4 refusals without `Retry-After`"


def test_refusals_that_nobody_looked_at_are_told_as_bare_ones() -> None:
    unlooked = {name: one for name, one in SATURATION.items() if "retry" not in name}
    unlooked |= {"statuses": {"200": 1, "503": 7}}
    missing = of({"saturation": unlooked}, "no 5xx").missing
    assert missing == "7 refusals without `Retry-After`"
    assert not of({"saturation": SATURATION | {"beyond": None}}, "no 5xx").known


def test_memory_that_still_grows_between_its_quarters_is_missed() -> None:
    looks = {f"{at}:": 1_000.0 + 50 * at for at in range(9)}
    growing = of({"saturation": SATURATION | {"mib_after_requests": looks}}, "memory flat")
    assert growing.row()[2:4] == ["1.170 × (1,175 → 1,375 MiB)", "missed by 0.120 ×"]


def test_the_look_before_any_request_is_of_no_quarter() -> None:
    looks = dict(enumerate([0.0, 10.0, 10.0, 100.0, 100.0, 7.0, 7.0, 110.0]))
    found = of({"saturation": SATURATION | {"mib_after_requests": looks}}, "memory flat")
    assert found.measured == "1.100 × (100 → 110 MiB)"


def test_few_requests_and_few_listings_show_neither_memory_nor_a_batch() -> None:
    few = {"saturation": SATURATION | {"requests": 199_999}}
    assert not of(few, "memory flat").known
    assert of(few, "no 5xx").known
    assert not of({"batch": RESULT["batch"] | {"listings": 999}}, "a batch").known


def test_the_one_who_just_clicked_is_told_beside_the_floor_too() -> None:
    mine = {"p50 ms": 3.0, "p95 ms": 4.0, "p99 ms": 6.0}
    clicked = {"p50 ms": 5.0, "p95 ms": 6.0, "p99 ms": 10.0}
    floor = {"p50 ms": 1.0, "p95 ms": 2.0, "p99 ms": 4.0}
    assert beside_floor(mine, clicked, floor) == {
        "p50_ms": 3.0,
        "p99_ms": 6.0,
        "clicked_p50_ms": 5.0,
        "clicked_p99_ms": 10.0,
        "floor_p50_ms": 1.0,
        "floor_p99_ms": 4.0,
        "ratio": 1.5,
        "clicked_ratio": 2.5,
    }


def test_a_run_without_options_measures_what_the_targets_are_of() -> None:
    options = arguments().parse_args([])
    assert options.parts == list(PARTS)
    assert options.requests >= FLAT_OVER
    assert set(options.listings) >= set(MANY)
    assert options.batch >= 1_000
