from pathlib import Path

import pandas as pd
import pytest

from feature_repo.encoders.encoder import Modality
from feature_repo.home import Home
from feature_repo.jobs.extract import ExtractResult, extract
from feature_repo.jobs.photo_text import check_new_pairs
from feature_repo.offline_tables import Vectors, read_vectors
from tests.feature_repo.samples import NOW, CountingEncoder, photo, write_items
from validation import history
from validation.alignment import align
from validation.checks import Severity

KINDS = {"a": "red", "b": "green", "c": "blue"}
"""What a title says by its letters, and the colour that its photo has."""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "state")


def catalogue(home: Home, count: int) -> None:
    """Items whose photo's colour is that of their letter; item 0 shows the wrong one."""
    photos = {letter: photo(home.photos / f"{letter}.png", KINDS[letter]) for letter in KINDS}
    letters = [("abc"[number % 3], number % 4 + 1) for number in range(count)]
    write_items(
        home,
        *(
            {
                "item_id": f"i{number:03}",
                "title": letter * times,
                "image_path": str(photos["b" if number == 0 else letter]),
            }
            for number, (letter, times) in enumerate(letters)
        ),
    )


def run(home: Home) -> ExtractResult:
    return extract(
        home=home,
        now=NOW,
        image_encoder=CountingEncoder(Modality.IMAGE),
        text_encoder=CountingEncoder(Modality.TEXT),
    )


def vectors(home: Home) -> tuple[Vectors, Vectors]:
    """Photos and texts, of the same listings in the same order."""
    photos, texts = (read_vectors(home, f"item_{kind}_embedding") for kind in ("image", "text"))
    assert photos.item_ids.tolist() == texts.item_ids.tolist()
    return photos, texts


def test_a_photo_of_something_else_is_told_with_its_confidence(home: Home) -> None:
    catalogue(home, 240)
    result = run(home)
    assert result.pairs is not None
    assert result.as_dict()["disagreeing"] == 1
    warning = result.pairs.shown[Severity.WARN].iloc[0]
    assert (warning["key"], warning["checks"]) == ("i000", ["photo_matches_text"])
    assert "does not look like what its text says" in warning["reasons"][0]
    told = pd.read_csv(home.gate_results / "photo_text.csv")
    assert told["item_id"].tolist() == ["i000"]
    assert told["confidence"].iloc[0] > 0.9
    assert [one.step for one in history.runs(home.gate_results)] == ["extract"]
    photos, texts = vectors(home)
    assert align(photos.matrix, texts.matrix) is not None


def test_listings_looked_at_in_parts_are_told_as_together(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("feature_repo.jobs.photo_text.CHUNK", 64)
    monkeypatch.setattr("feature_repo.jobs.photo_text.MOST", 240)
    catalogue(home, 460)
    result = run(home)
    assert result.pairs is not None
    assert (result.pairs.received, result.pairs.warnings) == (460, 1)
    told = pd.read_csv(home.gate_results / "photo_text.csv")
    assert told["item_id"].tolist() == ["i000"]


def test_a_second_run_and_a_small_catalogue_tell_nothing(home: Home) -> None:
    catalogue(home, 240)
    run(home)
    assert run(home).pairs is None
    catalogue(home, 50)
    assert run(home).pairs is None
    photos, texts = vectors(home)
    assert align(photos.matrix, texts.matrix) is None


def test_new_listings_are_looked_at_by_what_the_catalogue_taught(home: Home) -> None:
    catalogue(home, 240)
    run(home)
    photos, texts = vectors(home)
    items = pd.DataFrame({"item_id": ["x", "y"], "title": ["b", "a"], "source": "shop"})
    items["image_path"] = None
    made_by = tuple(CountingEncoder(modality).hash for modality in Modality)
    green, red = photos.matrix[[1, 3]], texts.matrix[[1, 3]]
    found = check_new_pairs(
        items, green[[0, 0]], red, made_by=(made_by[0], made_by[1]), home=home, now=NOW
    )
    assert found is not None
    assert found.warnings["key"].tolist() == ["y"]
    others = check_new_pairs(items, green, red, made_by=("other", "hash"), home=home, now=NOW)
    assert others is None
