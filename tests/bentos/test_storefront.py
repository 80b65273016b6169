"""The pages and photos, as far as no browser is needed."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from starlette.testclient import TestClient

from bentos.recommender.shelf import Shelf
from bentos.recommender.storefront import FILES, MEDIA_TYPES, PAGES
from feature_repo.home import Home
from validation import tables

TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
HTML = ("storefront.html", "operations.html")


@pytest.mark.parametrize(
    ("path", "title"), [("/ui", "New arrivals"), ("/ui/operations", "Operations")]
)
def test_the_pages_are_html(client: TestClient, path: str, title: str) -> None:
    page = client.get(path)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert f"<title>{title}</title>" in page.text
    policy = page.headers["content-security-policy"]
    sources = {word for rule in policy.split(";") for word in rule.split()[1:]}
    assert sources == {"'self'", "'none'"}


def test_where_the_page_was_once_leads_to_it(client: TestClient) -> None:
    answer = client.get("/storefront", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (308, "/ui")


@pytest.mark.parametrize("name", sorted(FILES))
def test_files_have_their_media_type_and_no_other(client: TestClient, name: str) -> None:
    answer = client.get(f"/ui/{name}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].split(";")[0] == TYPES[Path(name).suffix]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", ["storefront.html", "ghost.js", "..%2fservice.py", "%2e%2e"])
def test_no_other_file_is_served(client: TestClient, name: str) -> None:
    answer = client.get(f"/ui/{name}")
    assert answer.status_code == 404


@pytest.mark.parametrize("page", HTML)
def test_what_a_page_names_is_there(page: str) -> None:
    named = re.findall(r'(?:href|src)="(?:ui/)?([\w.]+\.\w+)"', (PAGES / page).read_text())
    assert len(named) >= 3
    assert set(named) <= set(FILES)


@pytest.mark.parametrize("path", sorted(PAGES.iterdir()), ids=lambda path: path.name)
def test_nothing_comes_from_elsewhere_or_stands_inline(path: Path) -> None:
    text = path.read_text()
    addresses = set(re.findall(r"""https?://[^\s"']+|["'(]//\w[^\s"']+""", text))
    assert addresses <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text)
    if path.suffix == ".html":
        assert re.findall(r"<script(?![^>]* src=)|<style| style=| on\w+=", text) == []
    assert path.suffix in {*MEDIA_TYPES, ".html"}


@pytest.mark.parametrize("page", HTML)
def test_every_field_has_a_label_and_every_table_a_caption(page: str) -> None:
    text = (PAGES / page).read_text()
    for field in re.finditer(r"<(?:input|select|textarea)\b", text):
        before = text[: field.start()]
        assert before.rfind("<label") > before.rfind("</label>"), text[field.start() :][:80]
    assert text.count("<table") == text.count("<caption")
    assert 'role="status"' in text
    assert '<html lang="en">' in text


def test_ids_that_scripts_ask_for_are_in_the_page() -> None:
    for page, scripts in (
        ("storefront.html", ("storefront.js", "adding.js", "api.js")),
        ("operations.html", ("operations.js", "api.js")),
    ):
        ids = re.findall(r'\bid="([\w-]+)"', (PAGES / page).read_text())
        assert len(ids) == len(set(ids))
        asked = {
            one
            for script in scripts
            for one in re.findall(r'byId\("([\w-]+)"\)', (PAGES / script).read_text())
        }
        assert asked
        assert asked <= set(ids)


def test_a_photo_is_found_by_its_items_id(client: TestClient) -> None:
    photo = client.get("/photos/sofa")
    assert photo.status_code == 200
    assert photo.headers["content-type"] == "image/jpeg"
    assert photo.content.startswith(b"\xff\xd8")


@pytest.mark.parametrize(
    "item_id",
    ["chair", "ghost", "..%2f..%2fcatalog%2fitems.parquet", "sofa.jpg", "%2fetc%2fpasswd"],
)
def test_anything_else_is_a_404(client: TestClient, item_id: str) -> None:
    assert client.get(f"/photos/{item_id}").status_code == 404


def test_a_catalogue_path_that_is_no_image_is_not_served(client: TestClient, service: Any) -> None:
    tag = service.shelf.tags["sofa"]
    secret = Path(tag.photo).with_name("secret.json")
    secret.write_text("{}")
    service.shelf.tags = {**service.shelf.tags, "sofa": tag._replace(photo=str(secret))}
    assert client.get("/photos/sofa").status_code == 404


def test_the_showcase_has_listings_with_photos_and_people_to_try(
    client: TestClient, service: Any
) -> None:
    service.shelf.user_ids = ["ann", "bob"]
    told = client.post("/showcase", json={"k": 5}).json()
    assert told["user_ids"] == ["ann", "bob"]
    assert [(one["item_id"], one["photo"]) for one in told["listings"]] == [("sofa", "photos/sofa")]
    assert told["categories"] == ["Home > Seating", "Home > Lighting"]
    assert told["currency"] == "EUR"
    assert client.post("/showcase", json={"start": 1}).json()["listings"] == []


def test_what_is_shown_goes_from_category_to_category() -> None:
    shelf = Shelf(tags={}, user_ids=[])
    shelf.add(_items("a1", "a2", "a3", "b1", "b2"))
    assert shelf.varied(4) == ["a1", "b1", "a2", "b2"]
    assert shelf.varied(4, start=4) == ["a3"]
    shelf.remove(["a1"])
    assert shelf.varied(2) == ["a2", "b1"]


def test_a_place_is_counted_among_what_is_recommended(client: TestClient) -> None:
    for item_id, place in (("lamp", 1), ("sofa", 2), ("chair", 3)):
        told = client.post("/place", json={"user_id": "ann", "item_id": item_id}).json()
        assert (told["place"], told["among"], told["personal"]) == (place, 3, True)
    stranger = client.post("/place", json={"item_id": "lamp"}).json()
    assert (stranger["place"], stranger["personal"]) == (2, False)
    assert client.post("/place", json={"item_id": "ghost"}).status_code == 404


def test_a_hostile_title_stays_data(client: TestClient, home: Home) -> None:
    title = "<img src=x onerror=alert(1)>"
    listing = {"item_id": "evil", "title": title}
    assert client.post("/listings", json={"listings": [listing]}).json()["accepted"] == ["evil"]
    answer = client.post("/recommend", json={"k": 1})
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json()["items"][0]["title"] == title
    assert title not in client.get("/ui").text


def _items(*item_ids: str) -> pd.DataFrame:
    """Listings with a photo, each of the category that its first letter names."""
    return pd.DataFrame(
        {
            tables.ITEM_ID: item_ids,
            tables.CATEGORY: [one[0] for one in item_ids],
            tables.IMAGE_PATH: [f"{one}.jpg" for one in item_ids],
        }
    )
