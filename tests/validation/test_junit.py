from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.validation.conftest import NOW, Listings
from validation import gate, junit
from validation.summary import summary_of


@pytest.mark.parametrize(
    ("warnings_fail", "failed"),
    [(False, {"price_not_negative"}), (True, {"price_not_negative", "title_no_markup"})],
)
def test_failures_are_the_checks_that_rows_failed(
    tmp_path: Path, listings: Listings, warnings_fail: bool, failed: set[str]
) -> None:
    frame = listings("a", "b", price=["1", "-1"], title=["<b>Oak</b> \x07 table", "Oak table"])
    result = gate.check_items(frame, known_items=None, now=NOW)
    path = junit.write([summary_of([result])], tmp_path / "gate.xml", warnings_fail=warnings_fail)
    suite = ElementTree.parse(path).getroot().find("testsuite")
    assert suite is not None
    cases = {case.get("name"): case for case in suite.findall("testcase")}
    assert suite.get("tests") == str(len(cases))
    assert {name for name, case in cases.items() if case.find("failure") is not None} >= failed
    assert suite.get("failures") == str(
        sum(case.find("failure") is not None for case in cases.values())
    )
    failure = cases["price_not_negative"].find("failure")
    assert failure is not None
    assert failure.get("message") == "1 of 2 rows"
    assert "price is '-1'" in str(failure.text)
    if not warnings_fail:
        assert cases["title_no_markup"].find("system-out") is not None
