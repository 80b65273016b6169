from pathlib import Path

from feature_repo.feature_tables import write_table
from feature_repo.home import Home
from feature_repo.jobs.fingerprints import grown_fingerprints, known_fingerprints
from tests.feature_repo.samples import NOW, photo
from validation import gate, tables
from validation.result import GateResult


def checked(home: Home, **photos: str | None) -> GateResult:
    """What the gate makes of items with a photo of a colour, or without any."""
    frame = tables.ITEMS.empty().reindex(range(len(photos))).astype(object)
    frame["item_id"], frame["title"] = list(photos), "Chair of oak"
    frame["image_path"] = [
        str(photo(home.photos / f"{name}.png", colour)) if colour else None
        for name, colour in photos.items()
    ]
    return gate.check_items(frame, known_items=None, now=NOW, source="shop")


def keep(result: GateResult, *, home: Home) -> None:
    """Keep what was looked at, of the accepted items alone."""
    grown = grown_fingerprints(result, home=home, item_ids=result.accepted["item_id"])
    assert grown is not None
    write_table(grown, home.photo_fingerprints)


def kept(home: Home) -> list[str]:
    return known_fingerprints(home)["item_id"].tolist()


def test_fingerprints_follow_the_catalogue(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert kept(home) == []
    first = checked(home, b="red", a="blue", c=None)
    keep(first, home=home)
    assert kept(home) == ["a", "b"]
    more = checked(home, d="green")
    keep(more, home=home)
    assert kept(home) == ["d"]


def test_without_any_photo_what_is_gone_is_forgotten(tmp_path: Path) -> None:
    home = Home(tmp_path)
    first = checked(home, a="red", b="blue")
    keep(first, home=home)
    bare = checked(home, a=None)
    keep(bare, home=home)
    assert kept(home) == []
