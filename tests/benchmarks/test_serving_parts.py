"""The serving benchmark's parts, measured at different times, are published together."""

import json
from contextlib import nullcontext
from pathlib import Path

import pytest

from benchmarks import results, serving_load, tables
from benchmarks.serving_parts import Measured, OtherMachine, publish, published

TIMED = Measured(
    {"asked": {"p50 ms": 1.0, "p99 ms": 2.0}, "floor": {"p50 ms": 0.5, "p99 ms": 1.0}},
    {"load": {"errors_5xx": 1}, "calls": 10},
)


def test_a_part_takes_its_own_place_and_leaves_the_others(tmp_path: Path) -> None:
    publish(TIMED, title="first", folder=tmp_path)
    wrk = {"saturation": {"errors_5xx": 1, "beyond": {"errors_5xx": 1}}}
    later = Measured({"asked": {"p50 ms": 3.0, "p99 ms": 4.0}}, wrk)

    publish(later.beside(published(tmp_path)), title="then", folder=tmp_path)

    found = published(tmp_path)
    assert found.rows == {"asked": {"p50 ms": 3.0, "p99 ms": 4.0}, "floor": TIMED.rows["floor"]}
    assert found.facts["calls"] == 10
    assert json.loads((tmp_path / "serving.json").read_text())["errors_5xx"] == 3


def test_a_size_that_is_measured_again_leaves_the_other_sizes() -> None:
    def of(**sizes: float) -> Measured:
        return Measured(
            {}, {"retrieval": {name.lstrip("n"): found for name, found in sizes.items()}}
        )

    before = of(n100000=1.0, n1000000=2.0)

    assert of(n1000000=3.0).beside(before).facts == of(n100000=1.0, n1000000=3.0).facts
    later = of(n20000=0.5).beside(before).facts["retrieval"]
    assert list(later) == ["20000", "100000", "1000000"]
    assert TIMED.beside(before).facts["retrieval"] == before.facts["retrieval"]


def test_a_part_that_times_nothing_may_be_the_first(tmp_path: Path) -> None:
    publish(Measured({}, {"saturation": {"errors_5xx": 2}}), title="first", folder=tmp_path)

    assert published(tmp_path).facts == {"saturation": {"errors_5xx": 2}}
    told = tables.published(json.loads((tmp_path / "serving.json").read_text()))
    assert "- saturation: errors_5xx 2" in told
    assert "|" not in told


def test_rows_and_facts_stand_in_the_order_that_is_given_whatever_was_measured_first() -> None:
    found = TIMED.in_order(["floor", "asked"], ["none", "calls"])

    assert list(found.rows) == ["floor", "asked"]
    assert list(found.facts) == ["calls", "load"]


def test_parts_of_another_machine_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(TIMED, title="here", folder=tmp_path)
    monkeypatch.setattr(results, "machine", lambda: {"cpus": 3_000})

    with pytest.raises(OtherMachine, match="cpus': 3000}; leave --parts out"):
        published(tmp_path)


def test_nothing_is_published_of_a_folder_without_results(tmp_path: Path) -> None:
    assert published(tmp_path) == Measured()
    assert Measured().errors_5xx == 0


def test_memory_is_looked_at_from_the_first_request_to_the_last_and_refusals_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = iter(range(100, 200))
    told = {"p99_ms": 1.0, "without_retry_after": 1, "statuses": {"200": 29, "503": 2}}
    monkeypatch.setattr(serving_load, "wrk", lambda *_: nullcontext(lambda **_: told))
    monkeypatch.setattr(serving_load, "memory", lambda _: next(sizes) * serving_load.MIB)

    found = serving_load.saturated(1, 2, {}, requests=300)

    assert found is not None
    held = found["mib_after_requests"]
    assert next(iter(held)) == "0:"
    assert list(held)[-1] == "310:"
    assert list(held.values()) == [100.0 + place for place in range(9)]
    assert found["errors_5xx"] == 0
    assert (found["statuses"]["503"], found["refused_without_retry_after"]) == (20, 10)
