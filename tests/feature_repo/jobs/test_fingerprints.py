from pathlib import Path

from feature_repo.home import Home
from feature_repo.jobs.fingerprints import keep_fingerprints, known_fingerprints
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


def kept(home: Home) -> list[str]:
    return known_fingerprints(home)["item_id"].tolist()


def test_fingerprints_follow_the_catalogue(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert kept(home) == []
    first = checked(home, b="red", a="blue", c=None)
    keep_fingerprints(first, home=home, item_ids=first.accepted["item_id"])
    assert kept(home) == ["a", "b"]
    more = checked(home, d="green")
    keep_fingerprints(more, home=home, item_ids=more.accepted["item_id"])
    assert kept(home) == ["d"]


def test_without_any_photo_what_is_gone_is_forgotten(tmp_path: Path) -> None:
    home = Home(tmp_path)
    first = checked(home, a="red", b="blue")
    keep_fingerprints(first, home=home, item_ids=first.accepted["item_id"])
    bare = checked(home, a=None)
    keep_fingerprints(bare, home=home, item_ids=bare.accepted["item_id"])
    assert kept(home) == []
