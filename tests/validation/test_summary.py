import pandas as pd
import pytest

from tests.validation.conftest import NOW, Listings
from validation import gate, summary
from validation.checks import Severity
from validation.reference import Reference
from validation.summary import summary_of


def test_parts_are_summed_and_every_row_to_mend_is_told(listings: Listings) -> None:
    ids = [f"i{number}" for number in range(9)]
    frame = listings(*ids, price=["1", "x", "0"] * 3, brand=["oak", "elm", "oak"] * 3)
    parts = [frame.iloc[start : start + 4] for start in range(0, 9, 4)]
    results = list(gate.items_in_parts(parts, reference=Reference.of(), now=NOW))
    found = summary_of(results)
    assert (found.received, found.accepted, found.quarantined, found.warnings) == (9, 6, 3, 3)
    assert found.reason_counts == {"price_not_zero": 3, "price_readable": 3}
    assert found.shown[Severity.BLOCK]["row_number"].tolist() == [1, 4, 7]
    told = pd.concat(found.told)
    assert sorted(told["row_number"]) == [1, 2, 4, 5, 7, 8]
    assert len(found.sentences["price_readable"]) == 3
    assert len(found.sample) == 6
    assert found.worst["brand"] == [
        {"name": "elm", "held": 3, "warned": 0, "accepted": 0},
        {"name": "oak", "held": 0, "warned": 3, "accepted": 6},
    ]
    assert found.verdict == "quarantined"


def test_what_is_kept_of_many_rows_is_bounded(
    listings: Listings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summary, "MOST_ROWS", 2)
    monkeypatch.setattr(summary, "SAMPLE", 5)
    frame = listings(*[f"i{number}" for number in range(40)], price=["0"] * 40)
    parts = [frame.iloc[start : start + 10] for start in range(0, 40, 10)]
    found = summary_of(gate.items_in_parts(parts, reference=Reference.of(), now=NOW))
    assert len(found.shown[Severity.WARN]) == 2
    assert len(found.sentences["price_not_zero"]) == summary.SENTENCES
    assert found.sample["item_id"].is_unique
    assert len(found.sample) == 5
    assert sum(map(len, found.told)) == 40
