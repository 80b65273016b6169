"""What is sent as a photo stays for as long as a listing of the catalogue names it."""

import os
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from bentoml.exceptions import NotFound

from bentos.recommender import payloads
from bentos.recommender.photos import sweep_sent_photos
from feature_repo.home import Home
from feature_repo.jobs.sent_photos import ORPHANED_SECONDS, SentPhotos
from feature_repo.jobs.transaction import locked
from tests.bentos.fakes import colour_encoders
from tests.bentos.pictures import picture, sent
from tests.bentos.test_following import both
from validation import tables

__all__ = ["both"]

PNG, GIF = sent(picture("PNG", 64)), sent(picture("GIF", 64))
BAD_PRICE = {"price": -5.0}


def kept(home: Home) -> set[str]:
    """Names of the files that are there."""
    return {path.name for path in home.sent_photos.glob("*")}


def named(home: Home) -> dict[str, str]:
    """Listing → name of its photo's file."""
    rows = pq.read_table(home.items, columns=[tables.ITEM_ID, tables.IMAGE_PATH]).to_pylist()
    return {row["item_id"]: Path(row["image_path"]).name for row in rows if row["image_path"]}


def listed(service: Any, item_id: str, photo: str, **more: Any) -> Any:
    given = {"item_id": item_id, "title": f"Wool {item_id}", "price": 9.0, "photo_base64": photo}
    asked = payloads.ListingsRequest.model_validate({"listings": [{**given, **more}]})
    return service.listings(asked)


def changed(service: Any, **given: Any) -> Any:
    asked = payloads.UpdateListingsRequest.model_validate({"listings": [given]})
    return service.change_listings(asked)


def deleted(service: Any, *item_ids: str) -> Any:
    return service.remove_listings(payloads.DeleteListingsRequest(item_ids=list(item_ids)))


@pytest.fixture
def shop(service: Any) -> Any:
    service._encoders = colour_encoders()
    return service


def test_a_photo_goes_with_the_last_listing_that_names_it(shop: Any, home: Home) -> None:
    assert listed(shop, "rug", PNG).accepted == ["rug"]
    assert listed(shop, "vase", PNG).accepted == ["vase"]
    assert kept(home) == {named(home)["rug"]} == {named(home)["vase"]}
    deleted(shop, "rug")
    assert kept(home) == {named(home)["vase"]}
    deleted(shop, "vase")
    assert kept(home) == set()
    deleted(shop, "sofa")
    assert (home.photos / "sofa.jpg").is_file()  # it was not sent


def test_a_photo_that_is_replaced_goes(shop: Any, home: Home) -> None:
    listed(shop, "rug", PNG)
    before = named(home)["rug"]
    assert changed(shop, item_id="rug", price=11.0).accepted == ["rug"]
    assert kept(home) == {before}
    assert changed(shop, item_id="rug", photo_base64=GIF).accepted == ["rug"]
    assert kept(home) == {named(home)["rug"]} != {before}
    assert listed(shop, "rug", PNG).accepted == ["rug"]
    assert kept(home) == {before}


def test_photos_of_refused_listings_and_changes_are_not_kept(shop: Any, home: Home) -> None:
    assert listed(shop, "rug", PNG, **BAD_PRICE).accepted == []
    assert kept(home) == set()
    listed(shop, "rug", PNG)
    before = kept(home)
    assert changed(shop, item_id="rug", photo_base64=GIF, **BAD_PRICE).accepted == []
    with pytest.raises(NotFound):
        changed(shop, item_id="none", photo_base64=GIF)
    assert kept(home) == before == {named(home)["rug"]}


def test_a_request_that_fails_keeps_nothing(
    shop: Any, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr("coldstart_models.listing_features.encode", broken)
    with pytest.raises(RuntimeError, match="out of memory"):
        listed(shop, "rug", PNG)
    assert kept(home) == set()


def test_a_photo_stays_where_another_worker_deletes_its_only_listing_meanwhile(
    both: tuple[Any, Any], home: Home
) -> None:
    here, there = both
    listed(there, "rug", PNG)
    encoders, gone = colour_encoders(), []
    forward = encoders.text.forward

    def interrupted(batch: Any) -> Any:
        if not gone:
            gone.extend(deleted(there, "rug").deleted)
        return forward(batch)

    encoders.text.forward = interrupted  # type: ignore[method-assign]
    here._encoders = encoders
    assert listed(here, "vase", PNG).accepted == ["vase"]
    assert gone == ["rug"]
    assert kept(home) == {named(home)["vase"]}


def test_of_two_that_hold_a_photo_the_last_removes_it(home: Home) -> None:
    first, second = SentPhotos(home), SentPhotos(home)
    paths = {one.keep(b"photo", f"{'a' * 64}.png") for one in (first, second)}
    first.close()
    assert kept(home) == {path.name for path in paths}
    second.close()
    assert kept(home) == set()


def test_the_next_start_removes_what_a_killed_process_left(shop: Any, home: Home) -> None:
    listed(shop, "rug", PNG)
    old, young, partial, foreign, held = (
        home.sent_photos / name
        for name in (
            f"{'b' * 64}.png",
            f"{'c' * 64}.png",
            f".{'d' * 64}.png.77.partial",
            "notes.txt",
            f"{'e' * 64}.png",
        )
    )
    for path in (old, young, partial, foreign, held):
        path.write_bytes(b"left")
    for path in (*home.sent_photos.glob("*"), partial):
        if path != young:
            os.utime(path, (path.stat().st_mtime - ORPHANED_SECONDS - 60,) * 2)
    with SentPhotos(home) as elsewhere:
        assert elsewhere.hold(held)
        sweep_sent_photos(home)
        assert kept(home) == {named(home)["rug"], young.name, foreign.name, held.name}
    assert not held.exists()


def test_a_start_that_cannot_remove_anything_goes_on(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: Any, **__: Any) -> int:
        raise OSError("read-only file system")

    monkeypatch.setattr("bentos.recommender.photos.sweep", full)
    with caplog.at_level("WARNING", logger="bentoml.coldstart"), locked(home.items.parent):
        sweep_sent_photos(home)
    assert "read-only file system" in caplog.text
