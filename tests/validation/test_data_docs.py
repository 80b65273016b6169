import socket
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.validation.conftest import NOW, Listings
from validation import data_docs, gate
from validation.summary import summary_of


def test_data_docs_show_every_check_of_a_run_and_need_no_network(
    listings: Listings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("Great Expectations opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    items = gate.check_items(listings("a", "b", price=["x", "-2"]), known_items=None, now=NOW)
    vectors = pd.DataFrame({"item_id": ["a"], "embedding": [np.array([1, np.nan])]})
    embeddings = gate.check_embeddings(vectors, width=2, now=NOW)

    site = tmp_path / "docs"
    index = data_docs.build([summary_of([items]), summary_of([embeddings])], site)

    assert index == site / "index.html"
    assert "items" in index.read_text(encoding="utf-8")
    pages = list((site / "validations").rglob("*.html"))
    assert sorted(page.stem for page in pages) == [
        "1_items",
        "1_items_identities",
        "2_embeddings",
    ]
    shown = next(page for page in pages if page.stem == "1_items").read_text(encoding="utf-8")
    suite = (site / "expectations" / "items.html").read_text(encoding="utf-8")
    for check in items.validation["items"]["results"]:
        name = check["expectation_config"]["meta"]["name"]
        assert name in shown
        assert name in suite


def test_a_second_build_replaces_the_first_and_the_gate_still_works(
    listings: Listings, tmp_path: Path
) -> None:
    result = gate.check_items(listings("a"), known_items=None, now=NOW)
    data_docs.build([summary_of([result]), summary_of([result])], tmp_path / "docs")
    index = data_docs.build([summary_of([result])], tmp_path / "docs")
    assert len(list((tmp_path / "docs" / "validations").rglob("*.html"))) == 2
    assert index.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["docs"]
    again = gate.check_items(listings("a"), known_items=None, now=NOW)
    assert summary_of([again]).as_dict() == summary_of([result]).as_dict()
