"""Over HTTP: right answers, and clear errors for what nobody knows."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import REGISTRY
from starlette.testclient import TestClient

from bentos.recommender import payloads
from bentos.recommender.observing.access import PROBES
from bentos.recommender.packing import package_folder
from bentos.recommender.service import RecommenderService
from tests.bentos.fakes import CountingRecommender


def error(response: Any) -> str:
    """Bento answers a list of one for its own exceptions."""
    body = response.json()
    return str((body[0] if isinstance(body, list) else body)["error"])


def test_a_known_user_gets_what_the_recommender_says_with_labels(client: TestClient) -> None:
    answer = client.post("/recommend", json={"user_id": "ann", "k": 2})

    assert answer.status_code == 200
    body = answer.json()
    assert [item["item_id"] for item in body["items"]] == ["sofa", "chair"]
    assert body["items"][0]["title"] == "Linen sofa"
    assert body["items"][0]["photo"] == "photos/sofa"
    assert body["fallback"] is None
    assert (body["model"], body["snapshot"]) == ("coldstart-siamese:test", "snapshot-1")


def test_what_the_user_has_seen_comes_back_only_on_request(client: TestClient) -> None:
    answer = client.post("/recommend", json={"user_id": "ann", "exclude_seen": False})
    assert [item["item_id"] for item in answer.json()["items"]] == ["lamp", "sofa", "chair"]


def test_a_session_needs_no_user(client: TestClient) -> None:
    session = [{"item_id": "chair"}]
    answer = client.post("/recommend", json={"session": session, "exclude_seen": False, "k": 1})
    assert answer.json()["fallback"] is None
    assert answer.json()["items"][0]["item_id"] == "chair"
    assert answer.json()["items"][0]["score"] == 1.25


def test_a_session_adds_to_the_users_history(client: TestClient) -> None:
    body = {"user_id": "ann", "session": [{"item_id": "lamp"}], "item_ids": ["lamp"]}
    assert client.post("/score", json=body).json()["scores"] == [
        {"item_id": "lamp", "score": 3.5, "deviation": 0.25}
    ]


def test_an_unknown_user_without_a_session_gets_the_popular_ones(client: TestClient) -> None:
    answer = client.post("/recommend", json={"user_id": "nobody", "k": 1})
    assert answer.status_code == 200
    assert answer.json()["fallback"] == "popular"
    assert [item["item_id"] for item in answer.json()["items"]] == ["sofa"]


def not_served() -> float:
    """Answers counted so far that were not personal, because nothing of the history is served."""
    labels = {"reason": "not served"}
    return REGISTRY.get_sample_value("coldstart_fallbacks_total", labels) or 0.0


@pytest.mark.parametrize(
    "person", [{"user_id": "ann"}, {"session": [{"item_id": "lamp"}]}], ids=["user", "session"]
)
def test_who_chose_only_what_is_not_served_any_more_gets_the_popular_ones_marked_and_counted(
    client: TestClient, person: dict[str, Any]
) -> None:
    before = not_served()
    assert client.post("/recommend", json=person).json()["fallback"] is None
    assert client.post("/place", json={**person, "item_id": "sofa"}).json()["personal"] is True
    assert not_served() == before

    assert client.delete("/listings/lamp").status_code == 200
    answer = client.post("/recommend", json=person).json()
    assert [item["item_id"] for item in answer["items"]] == ["sofa", "chair"]
    assert answer["fallback"] == "popular"
    assert not_served() == before + 1
    assert client.post("/place", json={**person, "item_id": "sofa"}).json()["personal"] is False
    scored = client.post("/score", json={**person, "item_ids": ["sofa"]}).json()
    assert (scored["fallback"], scored["scores"][0]["score"]) == ("popular", 0.75)
    assert client.post("/explain", json={**person, "item_id": "sofa"}).json()["fallback"] == (
        "popular"
    )


@pytest.mark.parametrize("person", [{}, {"user_id": "ann"}])
def test_filters_reach_the_recommender_with_and_without_a_history(
    client: TestClient, recommender: CountingRecommender, person: dict[str, str]
) -> None:
    filters = {"pool": "all", "category": "Home > Seating", "max_price": 100, "personal": 0.5}
    answer = client.post("/recommend", json={**person, **filters, "exclude": ["sofa"]})
    assert recommender.asked == filters
    assert "sofa" not in [item["item_id"] for item in answer.json()["items"]]


@pytest.mark.parametrize("personal", [-0.1, 1.5, "much"])
def test_how_personal_is_a_number_from_0_to_1(client: TestClient, personal: object) -> None:
    answer = client.post("/recommend", json={"user_id": "ann", "personal": personal})
    assert answer.status_code == 400
    assert "personal" in answer.text


def test_scores_come_in_the_order_asked(client: TestClient) -> None:
    body = {"user_id": "ann", "item_ids": ["sofa", "lamp", "chair"]}
    answer = client.post("/score", json=body)
    assert answer.json()["scores"] == [
        {"item_id": "sofa", "score": 0.75, "deviation": 0.25},
        {"item_id": "lamp", "score": 2.5, "deviation": 0.25},
        {"item_id": "chair", "score": 0.25, "deviation": 0.25},
    ]


@pytest.mark.parametrize("path", ["/score", "/explain"])
def test_a_score_is_by_itself_unless_it_is_asked_for_among_all(
    client: TestClient, recommender: CountingRecommender, path: str
) -> None:
    items = {"item_ids": ["sofa"]} if path == "/score" else {"item_id": "sofa"}
    for pool in ({}, {"pool": "all"}):
        assert client.post(path, json={"user_id": "ann", **items, **pool}).status_code == 200
    assert recommender.ranked_in == ["new", "all"]
    refused = client.post(path, json={"user_id": "ann", **items, "pool": "old"})
    assert refused.status_code == 400


@pytest.mark.parametrize("path", ["/score", "/explain"])
def test_an_unknown_user_is_a_404_that_names_the_user(client: TestClient, path: str) -> None:
    items = {"item_ids": ["sofa"]} if path == "/score" else {"item_id": "sofa"}
    answer = client.post(path, json={"user_id": "nobody", **items})
    assert answer.status_code == 404
    assert "no user 'nobody'" in error(answer)


@pytest.mark.parametrize("path", ["/score", "/explain"])
def test_nobody_at_all_is_a_400(client: TestClient, path: str) -> None:
    items = {"item_ids": ["sofa"]} if path == "/score" else {"item_id": "sofa"}
    answer = client.post(path, json=items)
    assert answer.status_code == 400
    assert "give a user_id or a session" in error(answer)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/score", {"user_id": "ann", "item_ids": ["sofa", "ghost"]}),
        ("/explain", {"user_id": "ann", "item_id": "ghost"}),
        ("/similar", {"item_id": "ghost"}),
    ],
)
def test_an_unknown_item_is_a_404_that_names_the_item(
    client: TestClient, path: str, body: dict[str, Any]
) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == 404
    assert "ghost" in error(answer)
    assert "sofa" not in error(answer)


def test_more_than_a_thousand_items_is_a_400(client: TestClient) -> None:
    answer = client.post("/score", json={"user_id": "ann", "item_ids": ["sofa"] * 1001})
    assert answer.status_code == 400
    assert "item_ids" in str(answer.json()["detail"])
    assert (
        client.post("/score", json={"user_id": "ann", "item_ids": ["sofa"] * 1000}).status_code
        == 200
    )


@pytest.mark.parametrize(
    "body", [{"k": 0}, {"k": "many"}, {"max_price": -1}, {"pool": "old"}, {"kk": 3}]
)
def test_a_request_of_the_wrong_shape_is_a_400(client: TestClient, body: dict[str, Any]) -> None:
    assert client.post("/recommend", json=body).status_code == 400


def test_an_explanation_sums_to_the_score(client: TestClient) -> None:
    body = client.post("/explain", json={"user_id": "ann", "item_id": "lamp"}).json()
    assert body["score"] == 2.5
    assert sum(part["value"] for part in body["contributions"]) == body["score"]
    assert body["deviation"] == 0.25
    assert body["sentence"] == "You chose it 2 times."


def test_similar_listings_leave_the_listing_itself_out(client: TestClient) -> None:
    body = client.post("/similar", json={"item_id": "sofa", "k": 1}).json()
    assert body["items"] == [{"item_id": "chair", "score": 0.5}]


def test_status_tells_model_and_stores(client: TestClient) -> None:
    body = client.post("/status", json={}).json()
    assert body["model"] == "coldstart-siamese:test"
    assert body["items"] == 3
    assert body["online_store"] == "missing"
    assert body["feature_service"] == "coldstart_v1"


def test_health_endpoints_answer(client: TestClient) -> None:
    assert client.get("/livez").status_code == 200
    assert client.get("/readyz").status_code == 200


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of all that takes or answers JSON."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if path not in PROBES:
                yield method, path, operation


def schema_of(document: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """Of a request body or a response."""
    schema: dict[str, Any] = part["content"]["application/json"]["schema"]
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def test_every_operation_has_examples_of_request_and_answer_that_are_right(
    client: TestClient,
) -> None:
    document = client.get("/docs.json").json()
    asked, answered = {}, {}
    for method, path, operation in operations(document):
        if "requestBody" in operation:
            asked[f"{method} {path}"] = schema_of(document, operation["requestBody"])["example"]
        answered[f"{method} {path}"] = schema_of(document, operation["responses"]["200"])["example"]
    for api in RecommenderService.apis.values():
        name = f"post {api.route}"
        api.input_spec.model_validate_json(json.dumps(asked.pop(name)))
        api.output_spec.model_validate_json(json.dumps(answered.pop(name)))
    assert asked == {
        "delete /users": {"user_id": "user-1"},
        "patch /listings/{item_id}": {"price": 99.0, "available": False},
    }
    assert set(answered) == {*asked, "delete /listings/{item_id}"}


def test_a_full_disk_and_when_to_come_again_are_described_where_they_are_answered(
    client: TestClient,
) -> None:
    document = client.get("/docs.json").json()
    full = {path for _, path, operation in operations(document) if "507" in operation["responses"]}
    assert full == {
        *("/events", "/adapt", "/users", "/users/erase"),
        *("/listings", "/listings/update", "/listings/delete", "/listings/{item_id}"),
    }
    for _, _, operation in operations(document):
        again = {"429", "503", "507"} & set(operation["responses"])
        assert again >= {"429", "503"}
        assert all("Retry-After" in operation["responses"][one]["headers"] for one in again)


def test_the_changes_of_one_listing_are_described_field_by_field(client: TestClient) -> None:
    document = client.get("/docs.json").json()
    body = document["paths"]["/listings/{item_id}"]["patch"]["requestBody"]
    assert body["required"] is True
    schema, of_many = schema_of(document, body), document["components"]["schemas"]["ListingChange"]
    assert set(schema["properties"]) == set(payloads.ListingChange.model_fields) - {"item_id"}
    assert schema["additionalProperties"] is False
    assert "required" not in schema
    assert of_many["required"] == ["item_id"]
    change = schema["example"]
    assert client.patch("/listings/sofa", json=change).json()["accepted"] == ["sofa"]


def test_the_guide_names_every_operation() -> None:
    guide = (package_folder("bentos").parent / "docs" / "service.md").read_text()
    table = guide.partition("| operation | what it does |")[2].partition("\n\n")[0]
    for api in RecommenderService.apis.values():
        assert f"`{api.route.removeprefix('/')}`" in table
