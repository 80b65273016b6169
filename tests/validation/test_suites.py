import string

import pandas as pd
import pytest
from great_expectations import ExpectationSuite

from tests.validation.conftest import NOW
from validation import engine, suites, tables
from validation.checks import Severity
from validation.errors import GateError

SUITES = {
    "items": lambda: suites.items(now=NOW, present=tables.ITEMS.names, photos=True),
    "events": lambda: suites.events(now=NOW, present=tables.EVENTS.names),
    "embeddings": lambda: suites.embeddings(width=3, column="embedding", unit=True),
    "items_identities": lambda: suites.identities("item_id", table="items"),
}


@pytest.mark.parametrize("name", list(SUITES))
def test_every_check_has_a_name_of_its_own_a_severity_and_a_sentence(name: str) -> None:
    suite = SUITES[name]()
    assert suite.name == name
    names = [expectation.meta["name"] for expectation in suite.expectations]
    assert len(names) == len(set(names))
    for expectation in suite.expectations:
        meta = expectation.meta
        assert set(meta) == {"name", "column", "severity", "sentence"}
        blocking = meta["severity"] == Severity.BLOCK
        assert expectation.severity == ("critical" if blocking else "warning")
        fields = {field for _, field, _, _ in string.Formatter().parse(meta["sentence"]) if field}
        assert fields <= {"value", "detail"}
        assert not meta["sentence"].endswith(".")


def test_a_column_that_the_source_lacks_is_not_checked() -> None:
    lean = suites.items(now=NOW, present=[tables.ITEM_ID], photos=True)
    columns = suites.columns_of(lean)
    assert "price" not in columns
    assert "photo_problem" not in columns
    assert columns[:3] == ["line_read", "item_id", "item_id_readable"]


def test_a_check_that_cannot_run_is_an_error_and_not_a_pass() -> None:
    suite = suites.identities("item_id", table="items")
    with pytest.raises(GateError, match="could not run"):
        engine.run(suite, pd.DataFrame({"sku": ["a"]}))


def test_stored_results_name_few_rows_while_findings_name_all() -> None:
    suite = suites.identities("item_id", table="items")
    run = engine.run(suite, pd.DataFrame({suites.FIRST: [True] + [False] * 499}))
    assert run.rows(Severity.BLOCK).tolist() == list(range(1, 500))
    assert run.rows(Severity.WARN).tolist() == []
    (stored,) = run.result["results"]
    assert stored["result"]["unexpected_count"] == 499
    assert stored["result"]["unexpected_index_list"] == list(range(1, 21))


def test_a_suite_loaded_from_json_still_knows_our_expectations() -> None:
    suite = SUITES["items"]()
    again = ExpectationSuite(**suite.to_json_dict())
    assert len(again.expectations) == len(suite.expectations)
