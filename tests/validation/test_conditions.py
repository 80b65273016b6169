"""A few rows judged by the checks' conditions alone are judged as in a full validation."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.validation.conftest import NOW
from tests.validation.test_rules import saved
from validation import conditions, engine, gate, suites, tables
from validation.errors import GateError
from validation.identities import Ids
from validation.result import joined
from validation.rules import NO_RULES, Rules

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "user_id": st.sampled_from(["u", "v", " ", None, 7]),
            "event_id": st.sampled_from(["e1", "e2", None]),
            "item_id": st.sampled_from(["a", "b", None]),
            "event_type": st.sampled_from(["click", "rating", "purchase", "looked", None]),
            "event_timestamp": st.sampled_from(
                ["2026-02-01T10:00:00", "later", "2027-01-01", None]
            ),
            "quantity": st.sampled_from([None, 1, 0, -1, "two", float("inf")]),
            "unit_price": st.sampled_from([None, 0, 9.5, -0.01, "9,5"]),
            "value": st.sampled_from([None, 4]),
            "propensity": st.sampled_from([None, 0, 0.5, 1.5]),
        }
    ),
    min_size=1,
    max_size=9,
)
OWN = {
    "name": "ours",
    "expectations": [
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "quantity", "max_value": 0.5},
            "meta": {"severity": "block"},
        },
        {
            "type": "expect_column_values_to_match_regex",
            "kwargs": {"column": "user_id", "regex": "^u"},
        },
    ],
}
PARTLY = {
    "name": "ours",
    "expectations": [
        {
            "type": "expect_column_values_to_match_regex",
            "kwargs": {"column": "user_id", "regex": "^u", "mostly": 0.5},
        },
    ],
}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Rules:
    return Rules.read(events_suite=saved(tmp_path_factory.mktemp("own"), OWN))


@settings(max_examples=25, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(rows=ROWS, with_own=st.booleans(), size=st.integers(1, 9))
def test_verdicts_and_sentences_are_those_of_a_reported_run_whatever_the_batch(
    own: Rules, rows: list[dict[str, Any]], with_own: bool, size: int
) -> None:
    frame, rules = pd.DataFrame(rows, dtype=object), own if with_own else NO_RULES
    asked: dict[str, Any] = {"known_item_ids": ["a"], "now": NOW, "rules": rules}
    reported = gate.check_events(frame, **asked)
    parts = (frame.iloc[start : start + size] for start in range(0, len(frame), size))
    known = {**asked, "known_item_ids": Ids.of(["a"])}
    in_parts = joined(list(gate.events_in_parts(parts, **known, reported=False)))
    for brief in (gate.check_events(frame, **asked, reported=False), in_parts):
        for name in ("accepted", "quarantined", "warnings"):
            pd.testing.assert_frame_equal(getattr(brief, name), getattr(reported, name))
        assert brief.reason_counts == reported.reason_counts
        assert brief.severities == reported.severities
        assert brief.notes == reported.notes
        assert brief.validation == {}


def test_an_expectation_that_is_not_about_single_rows_is_run_in_full(tmp_path: Path) -> None:
    rules = Rules.read(events_suite=saved(tmp_path, PARTLY))
    suite = suites.events(now=NOW, present=["user_id"], rules=rules)
    frame = pd.DataFrame({name: [True] * 3 for name in suites.columns_of(suite)}).assign(
        user_id=["u", "u", "x"], event_type="click", event_timestamp=pd.Timestamp(NOW)
    )
    in_full = engine.run(suite, frame)
    brief = conditions.found(suite, frame)
    assert [one.rows.tolist() for one in brief.findings] == [
        one.rows.tolist() for one in in_full.findings
    ]
    assert brief.result["suite_name"] == "events"


def test_every_check_of_events_is_judged_by_its_condition() -> None:
    suite = suites.events(now=NOW, present=tables.EVENTS.names)
    assert all(conditions.by_condition(one) for one in suite.expectations)


def test_a_check_that_cannot_run_is_an_error_and_not_a_pass() -> None:
    suite = suites.identities("event_id", table="events")
    with pytest.raises(GateError, match="could not run"):
        conditions.found(suite, pd.DataFrame({"sku": ["a"]}))


def test_a_fact_that_holds_of_every_row_is_not_asked_of_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def counted(expectations: Any, frame: pd.DataFrame) -> list[pd.Series]:
        asked.extend(one.column for one in expectations)
        return conditions_of(expectations, frame)

    asked: list[str] = []
    conditions_of = conditions._conditions
    monkeypatch.setattr(conditions, "_conditions", counted)
    suite = suites.events(now=NOW, present=["user_id"])
    facts = {name: [True, True] for name in suites.columns_of(suite)}
    frame = pd.DataFrame(facts).assign(
        user_id=["u", "u"], item_id="a", event_type="click", event_timestamp=pd.Timestamp(NOW)
    )
    assert conditions.found(suite, frame).findings == ()
    assert suites.KNOWN not in asked
    assert set(asked) <= set(tables.EVENTS.names)
    (finding,) = conditions.found(suite, frame.assign(**{suites.KNOWN: [True, False]})).findings
    assert (finding.check.name, finding.rows.tolist()) == ("known_item", [1])
    assert suites.KNOWN in asked


def test_rows_are_named_by_the_frame_s_index_in_ascending_order() -> None:
    suite = suites.identities("event_id", table="events")
    frame = pd.DataFrame({suites.FIRST: [False, True, False]}, index=[9, 4, 2])
    (finding,) = conditions.found(suite, frame).findings
    np.testing.assert_array_equal(finding.rows, [2, 9])
