from pathlib import Path

import pandas as pd
import pytest

from feature_repo.home import Home
from feature_repo.jobs.catalogue import accepted_rows
from feature_repo.jobs.catalogue_reference import CatalogueReference
from tests.feature_repo.samples import NOW, write_items
from validation import gate, tables
from validation.reference import Reference

OAK = "Round dining table of solid oak with four turned legs"


def rows(home: Home) -> pd.DataFrame:
    return accepted_rows(tables.ITEMS, home.items)


def test_it_is_learned_once_and_again_when_the_catalogue_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path)
    write_items(home, {"item_id": "a", "title": OAK})
    kept = CatalogueReference(home)
    first = kept.of(rows(home))
    assert kept.of(rows(home)) is first
    write_items(home, {"item_id": "a", "title": OAK}, {"item_id": "b", "title": "Rug"})
    again = kept.of(rows(home))
    assert again.listings["item_id"].tolist() == ["a", "b"]


def test_what_grew_is_as_if_it_had_been_learned_anew(tmp_path: Path) -> None:
    home = Home(tmp_path)
    write_items(home, {"item_id": "a", "title": OAK}, {"item_id": "b", "title": OAK + " and six"})
    kept = CatalogueReference(home)
    kept.of(rows(home))
    photos = pd.DataFrame({"item_id": ["c"], "fingerprint": pd.Series([7], dtype="uint64")})
    added = rows(home).iloc[:1].assign(item_id="c", title="A rug of wool and jute")
    changed = rows(home).iloc[1:].assign(title="Now a lamp of brass and linen")
    kept.grown(pd.concat([added, changed]), photos=photos)
    grown = kept.of(rows(home))
    anew = Reference.of(pd.concat([rows(home).iloc[:1], added, changed]), photos=photos)
    assert set(grown.listings["item_id"]) == set(anew.listings["item_id"])
    for title, twin in ((OAK, "a"), ("wool and jute: a rug OF", "c"), (OAK + " and six", None)):
        new = pd.DataFrame({"item_id": ["new"], "title": [title], "source": ["shop"]})
        for reference in (grown, anew):
            told = gate.check_items(new, reference=reference, now=NOW).warnings["reasons"]
            sentences = [
                sentence for row in told for sentence in row if "reads the same" in sentence
            ]
            assert (f"listing {twin};" in "".join(sentences)) is (twin is not None)
