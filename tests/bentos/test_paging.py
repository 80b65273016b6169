"""Pages go on without repeating, whatever is pushed meanwhile; tokens cannot be forged."""

import base64
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from bentos.recommender.payloads.shapes import MAX_TOKEN
from coldstart_models.arranging import Arrangement
from feature_repo.home import Home
from tests.bentos.fakes import CountingRecommender
from tests.bentos.test_service import error


@pytest.fixture
def many(recommender: CountingRecommender) -> CountingRecommender:
    recommender.prior = {f"i{number:02d}": float(number) for number in range(25)}
    return recommender


def page(client: TestClient, **body: Any) -> tuple[list[str], str | None]:
    answer = client.post("/recommend", json=body)
    assert answer.status_code == 200, answer.text
    return [item["item_id"] for item in answer.json()["items"]], answer.json()["next"]


def test_pages_cover_the_list_once(client: TestClient, many: CountingRecommender) -> None:
    seen, token = page(client, user_id="ann", k=10)
    while token:
        more, token = page(client, user_id="ann", k=10, after=token)
        seen += more
    assert seen == sorted(many.prior, reverse=True)


def test_what_is_pushed_between_pages_repeats_and_hides_nothing(
    client: TestClient, many: CountingRecommender
) -> None:
    first, token = page(client, user_id="ann", k=10)
    many.prior |= {"new": 99.0, "i00": 98.0, "i24": -1.0}
    second, token = page(client, user_id="ann", k=10, after=token)
    third, _ = page(client, user_id="ann", k=10, after=token)
    assert second[:2] == ["new", "i00"]
    assert len({*first, *second, *third}) == 26 == len([*first, *second, *third])


def test_a_token_survives_a_restart_and_needs_its_own_request(
    client: TestClient, many: CountingRecommender, service: Any, home: Home
) -> None:
    _, token = page(client, user_id="ann", k=10)
    assert token is not None
    assert home.cursor_key.stat().st_mode & 0o077 == 0
    body = {"user_id": "ann", "k": 3, "session": [{"item_id": "i01"}], "after": token}
    assert client.post("/recommend", json=body).status_code == 200
    for wrong in ({"user_id": "bob"}, {"user_id": "ann", "max_price": 5}):
        answer = client.post("/recommend", json={**wrong, "after": token})
        assert answer.status_code == 400
        assert "does not belong to this request" in error(answer)
    raw = bytearray(base64.urlsafe_b64decode(token))
    raw[-1] ^= 1
    for forged in (base64.urlsafe_b64encode(bytes(raw)).decode(), "none", "ü"):
        answer = client.post("/recommend", json={"user_id": "ann", "after": forged})
        assert answer.status_code == 400


def test_a_visitor_pages_through_the_popular_ones(
    client: TestClient, many: CountingRecommender
) -> None:
    first, token = page(client, k=20)
    second, end = page(client, k=20, after=token)
    assert [*first, *second] == sorted(many.prior, reverse=True)
    assert end is None


def test_controls_and_filters_reach_the_recommender(
    client: TestClient, recommender: CountingRecommender
) -> None:
    body = {"min_price": 5, "available": False, "diversity": 0.4, "freshness": 0.2}
    page(client, user_id="ann", **body)
    asked = {"min_price": 5.0, "available": False, "arrangement": Arrangement(0.4, 0.2)}
    assert {name: recommender.asked[name] for name in asked} == asked
    assert client.post("/recommend", json={"diversity": 2}).status_code == 400


def test_a_list_ends_where_its_token_would_be_too_long_to_send(
    client: TestClient, recommender: CountingRecommender
) -> None:
    random = np.random.default_rng(0)
    alphabet = np.array([chr(code) for code in range(0x4E00, 0x9000)])
    ids = ["".join(random.choice(alphabet, 200)) for _ in range(300)]
    recommender.prior = {item_id: float(number) for number, item_id in enumerate(ids)}
    shown, token = page(client, k=50)
    while token:
        assert len(token) <= MAX_TOKEN
        more, token = page(client, k=50, after=token)
        shown += more
    assert 50 <= len(shown) < 300
    assert len({*shown}) == len(shown)
