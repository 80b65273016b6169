"""The storefront page and its photos."""

from typing import Any

import pytest
from starlette.testclient import TestClient


def test_the_page_loads_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/storefront")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "http://" not in page.text
    assert "https://" not in page.text


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
    secret = tag.photo.with_name("secret.json")
    secret.write_text("{}")
    object.__setattr__(tag, "photo", secret)
    assert client.get("/photos/sofa").status_code == 404


def test_users_to_try_come_from_the_log(client: TestClient, service: Any) -> None:
    service.shelf.user_ids = ["ann", "bob"]
    assert client.get("/storefront/users").json() == {"user_ids": ["ann", "bob"]}
