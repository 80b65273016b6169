import json
import sys
from pathlib import Path

import pytest

from tests.validation.conftest import NOW, Listings
from validation import gate, suites
from validation.errors import SuiteError
from validation.rules import Rules, save_suite

SUITE = {
    "name": "ours",
    "expectations": [
        {
            "type": "expect_column_values_to_match_regex",
            "kwargs": {"column": "title", "regex": "^[A-Z]"},
            "meta": {
                "name": "title_capital",
                "severity": "block",
                "sentence": "title {value} must begin with a capital",
            },
        },
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "price", "max_value": 1000},
        },
    ],
}


def saved(folder: Path, content: object) -> str:
    path = folder / "ours.json"
    path.write_text(json.dumps(content))
    return str(path)


def test_a_suite_of_ones_own_blocks_and_warns_as_it_says(
    tmp_path: Path, listings: Listings
) -> None:
    rules = Rules.read(items_suite=saved(tmp_path, SUITE))
    frame = listings("a", "b", "c", title=["Lamp", "lamp", "Sofa"], price=[1, 1, 5_000])
    result = gate.check_items(frame, known_items=None, now=NOW, rules=rules)
    assert result.quarantined["checks"].tolist() == [["title_capital"]]
    assert result.quarantined["reasons"].tolist() == [
        ["Row 1: title 'lamp' must begin with a capital."]
    ]
    assert result.warnings["checks"].tolist() == [["ExpectColumnValuesToBeBetween:price"]]
    assert "price is 5000" in result.warnings["reasons"].iloc[0][0]


def matching(regex: str, **meta: str) -> dict[str, object]:
    kwargs = {"column": "title", "regex": regex}
    return {"type": "expect_column_values_to_match_regex", "kwargs": kwargs, "meta": meta}


def test_two_expectations_of_a_kind_on_a_column_are_counted_apart(
    tmp_path: Path, listings: Listings
) -> None:
    two = {"name": "ours", "expectations": [matching("^[A-Z]"), matching("p$")]}
    rules = Rules.read(items_suite=saved(tmp_path, two))
    frame = listings("a", "b", "c", title=["lamp", "Sofa", "Chair"])
    result = gate.check_items(frame, now=NOW, rules=rules)
    name = "ExpectColumnValuesToMatchRegex:title"
    assert result.reason_counts == {f"{name}:2": 2, name: 1}


@pytest.mark.parametrize("name", ["title_length", "ours"])
def test_a_name_that_another_check_has_is_refused(
    tmp_path: Path, listings: Listings, name: str
) -> None:
    two = {"name": "ours", "expectations": [matching("a", name="ours"), matching("b", name=name)]}
    rules = Rules.read(items_suite=saved(tmp_path, two))
    with pytest.raises(SuiteError, match=f"{name}' is the name of two checks of items"):
        gate.check_items(listings("a"), now=NOW, rules=rules)


def test_a_function_may_return_the_suite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listings: Listings
) -> None:
    (tmp_path / "shop_checks.py").write_text(
        "import great_expectations as gx\n"
        "from great_expectations import expectations as gxe\n"
        "def events():\n"
        "    only = gxe.ExpectColumnValuesToBeInSet(column='user_id', value_set=['u'])\n"
        "    return gx.ExpectationSuite(name='events', expectations=[only])\n"
        "def nothing():\n"
        "    return 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    rules = Rules.read(events_suite="shop_checks:events")
    frame = listings("x").assign(
        user_id=["v"], item_id=["a"], event_type=["click"], event_timestamp=["2026-01-01"]
    )
    result = gate.check_events(frame, known_item_ids={"a"}, now=NOW, rules=rules)
    assert result.warnings["checks"].tolist() == [["ExpectColumnValuesToBeInSet:user_id"]]
    with pytest.raises(SuiteError, match="returned int"):
        Rules.read(items_suite="shop_checks:nothing")
    sys.modules.pop("shop_checks")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"name": "x"}, "is no Great Expectations suite"),
        (
            {**SUITE, "expectations": [{"type": "expect_the_unexpected", "kwargs": {}}]},
            "was saved with 1 expectations and loads with 0",
        ),
        (
            {
                **SUITE,
                "expectations": [
                    {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "colour"}}
                ],
            },
            "reads colour; an expectation on rows of items reads one of attributes",
        ),
        (
            {**SUITE, "expectations": [matching("a", severity="critical")]},
            "severity of ExpectColumnValuesToMatchRegex:title is 'critical'; write block or warn",
        ),
    ],
)
def test_a_suite_that_cannot_be_used_is_named(
    tmp_path: Path, content: object, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(SuiteError, match=told):
        Rules.read(items_suite=saved(tmp_path, content))
    assert caplog.text == ""  # one line, and no traceback of Great Expectations before it


def test_a_suite_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="there is no suite"):
        Rules.read(items_suite=str(tmp_path / "none.json"))
    with pytest.raises(SuiteError, match="file or module:function"):
        Rules.read(items_suite="no_such_module:suite")


def test_our_own_suites_are_saved_and_load_whole(tmp_path: Path) -> None:
    for name, suite in suites.every_suite(now=NOW).items():
        path = save_suite(suite, tmp_path / f"{name}.json")
        kept = json.loads(path.read_text())
        assert len(kept["expectations"]) == len(suite.expectations)
