"""How many listings a call may have: a hundred, or up to a thousand where the shop says so."""

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from bentos.recommender.payloads.shapes import MAX_LISTINGS
from coldstart_models.config import ServeConfig
from feature_repo.home import Home
from feature_repo.jobs.catalogue import accepted_rows
from tests.bentos.test_service import schema_of
from validation import tables

FIRST = ("Oak", "Linen", "Brass", "Walnut", "Marble", "Cotton", "Rattan", "Slate", "Glass", "Wool")
SECOND = ("chair", "lamp", "sofa", "vase", "rug", "shelf", "mirror", "stool", "clock", "basket")
THIRD = ("round", "low", "tall", "small", "wide", "plain", "carved", "woven", "folding", "heavy")


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service is told to take as many as a call may ever have."""
    (tmp_path / "coldstart.toml").write_text(f"[serve]\nmost_listings = {MAX_LISTINGS}\n")
    monkeypatch.setenv("COLDSTART_CONFIG", str(tmp_path / "coldstart.toml"))


def drawn(count: int) -> list[dict[str, Any]]:
    """Listings that are no copies of each other."""
    return [
        {
            "item_id": f"n{number:04d}",
            "title": " ".join(
                words[number // step % 10]
                for words, step in ((THIRD, 1), (FIRST, 10), (SECOND, 100))
            ),
            "category": f"Home > {SECOND[number // 100 % 10]}",
            "price": 20.0 + number,
            "currency": "EUR",
        }
        for number in range(count)
    ]


def bounds(client: TestClient) -> set[int]:
    """What the description of the service says."""
    paths = client.get("/docs.json").json()["paths"]
    return {
        schema_of({}, paths[path]["post"]["requestBody"])["properties"][field]["maxItems"]
        for path, field in (
            ("/listings", "listings"),
            ("/listings/update", "listings"),
            ("/listings/delete", "item_ids"),
        )
    }


def test_more_than_the_service_is_told_to_take_is_refused_before_anything_is_done(
    client: TestClient, home: Home
) -> None:
    most = ServeConfig().most_listings
    assert bounds(client) == {most}
    before = accepted_rows(tables.ITEMS, home.items)
    sofas = [{"item_id": "sofa", "price": 1.0 + number} for number in range(most + 1)]
    for path, asked in (
        ("listings", {"listings": drawn(most + 1)}),
        ("listings/update", {"listings": sofas}),
        ("listings/delete", {"item_ids": [f"sofa{number}" for number in range(most)] + ["sofa"]}),
    ):
        answer = client.post(f"/{path}", json=asked)
        assert answer.status_code == 400
        assert f"at most {most} listings a call, not {most + 1}" in answer.json()["error"]
    assert accepted_rows(tables.ITEMS, home.items).equals(before)
    assert client.post("/listings", json={"listings": drawn(most)}).json()["quarantined"] == []


@pytest.mark.usefixtures("told")
def test_a_thousand_listings_are_recommendable_when_their_call_returns(
    client: TestClient, home: Home
) -> None:
    assert bounds(client) == {MAX_LISTINGS} == {1000}
    listings = drawn(MAX_LISTINGS)
    taken = client.post("/listings", json={"listings": listings}).json()
    assert taken["quarantined"] == []
    assert taken["accepted"] == [one["item_id"] for one in listings]
    asked = {"user_id": "ann", "item_ids": taken["accepted"]}
    assert len(client.post("/score", json=asked).json()["scores"]) == MAX_LISTINGS
    best = client.post("/recommend", json={"user_id": "ann", "k": 100}).json()["items"]
    assert {one["item_id"] for one in best} <= set(taken["accepted"])
    assert len(accepted_rows(tables.ITEMS, home.items)) == 3 + MAX_LISTINGS
    again = client.post("/listings", json={"listings": drawn(MAX_LISTINGS + 1)})
    assert again.status_code == 400
    assert "at most 1000 items" in again.json()["error"]
