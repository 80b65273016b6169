"""Every answer is safe to show, and no error tells of the inside."""

import asyncio
import json
import re
from typing import Any

import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

from bentos.recommender import api_page, storefront
from bentos.recommender.guarding.answers import FAILED, PlainAnswers
from bentos.recommender.observing.request import ObservedRequest, begin, end
from feature_repo.errors import StoreError
from feature_repo.home import Home

SECRET = "/srv/shop/state/online_store.db"


class Sent:
    def __init__(self) -> None:
        self.messages: list[Any] = []

    async def __call__(self, message: Any) -> None:
        self.messages.append(message)


async def nothing() -> Any:
    return {"type": "http.disconnect"}


def scope() -> dict[str, Any]:
    return {"type": "http", "method": "POST", "path": "/recommend", "headers": []}


async def failing(scope: Any, receive: Any, send: Any) -> None:
    raise RuntimeError(f"cannot open {SECRET}")


def answered(app: Any) -> list[Any]:
    sent = Sent()
    asyncio.run(app(scope(), nothing, sent))
    return sent.messages


def test_an_unexpected_exception_is_a_plain_500() -> None:
    start, body = answered(PlainAnswers(failing))
    assert start["status"] == 500
    assert body["body"].decode() == f'{{"error": "{FAILED}"}}'


def test_it_tells_the_requests_id() -> None:
    token = begin(ObservedRequest("abc-1", "recommend"))
    try:
        assert json.loads(answered(PlainAnswers(failing))[1]["body"])["request_id"] == "abc-1"
    finally:
        end(token)


def test_an_answer_that_has_begun_is_broken_off() -> None:
    async def halfway(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError(SECRET)

    sent = Sent()
    with pytest.raises(RuntimeError):
        asyncio.run(PlainAnswers(halfway)(scope(), nothing, sent))
    assert [message["type"] for message in sent.messages] == ["http.response.start"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/recommend", {"user_id": "ann"}),
        ("POST", "/users/erase", {"user_id": "ann"}),
        ("DELETE", "/users", {"user_id": "ann"}),
        ("POST", "/showcase", {}),
    ],
)
def test_whatever_fails_inside_is_told_nowhere_but_in_the_log(
    client: TestClient,
    service: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    method: str,
    path: str,
    body: Any,
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise StoreError(f"cannot open {SECRET}")

    for name in ("_stored_history", "forget_user"):
        monkeypatch.setattr(service, name, fail)
    service.shelf = None
    answer = client.request(method, path, json=body, headers={"X-Request-ID": "r-7"})
    assert answer.status_code == 500
    assert answer.json() == {"error": FAILED, "request_id": "r-7"}
    assert SECRET in caplog.text or "NoneType" in caplog.text


@pytest.mark.parametrize("method", ["PATCH", "POST"])
def test_what_cannot_be_done_now_is_told_without_why(
    client: TestClient, service: Any, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise StoreError(f"no weights in {SECRET}")

    monkeypatch.setattr("bentos.recommender.swapping.load_encoders", broken)
    path, body = {
        "PATCH": ("/listings/sofa", {"price": 1.0}),
        "POST": ("/listings", {"listings": [{"item_id": "rug", "title": "Rug"}]}),
    }[method]
    answer = client.request(method, path, json=body)
    assert answer.status_code == 503
    assert SECRET not in answer.text
    assert set(answer.json()) <= {"error", "request_id"}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"kk": 3}, "kk: no such field"),
        ({"k\n\u202ek": 3}, r"k\n\u202ek: no such field"),
        ({"k" * 201: 3}, "k" * 200 + "…: no such field"),
        ({"k": "10"}, "k: Input should be a valid integer"),
        ({"session": [{"item_id": "a", "colour": "red"}]}, "session.0.colour: no such field"),
        ({"user_id": "a\nb"}, "user_id: String should match pattern"),
        ({"user_id": "x" * 201}, "user_id: String should have at most 200 characters"),
        ({"exclude": ["a\u0000b"]}, "exclude.0: String should match pattern"),
        ({"session": [{"item_id": "a", "event_timestamp": 12}]}, "expected a time as text"),
        (
            {"session": [{"item_id": "a", "event_timestamp": "0001-01-01T00:00:00+14:00"}]},
            "expected a time from 1970 to 2199",
        ),
    ],
)
def test_a_wrong_field_is_named(client: TestClient, body: dict[str, Any], told: str) -> None:
    answer = client.post("/recommend", json=body)
    assert answer.status_code == 400
    assert told in answer.json()["error"]
    assert set(answer.json()) == {"error", "detail"}


@pytest.mark.parametrize(
    ("path", "content", "told"),
    [
        ("/recommend", '{"diversity": NaN}', "diversity: "),
        ("/recommend", '{"min_price": Infinity}', "min_price: "),
        ("/recommend", '{"max_price": 1e999}', "max_price: "),
        ("/events", '{"events": [{"event_id": "e", "value": NaN}]}', "events.0.value: "),
        ("/events", '{"events": [{"event_id": "e", "value": 1e999}]}', "events.0.value: "),
        ("/events", '{"events": [{"event_id": 99999999999999999999}]}', "events.0.event_id: "),
        (
            "/listings",
            '{"listings": [{"item_id": "a", "attributes": {"x": [-1e999]}}]}',
            "listings.0.attributes: ",
        ),
        ("/recommend", "[" * 5000, ""),
        ("/recommend", '{"user_id": "\\ud800"}', ""),
        ("/recommend", "[]", ""),
        ("/recommend", "{", ""),
    ],
)
def test_what_json_cannot_hold_is_refused(
    client: TestClient, path: str, content: str, told: str
) -> None:
    answer = client.post(path, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert told in answer.json()["error"]


LONG, HIDDEN = "expected names of at most 200 characters", "expected names without control"


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ({"n" * 201: 1}, f"{LONG}, not of 201: the one that begins with '{'n' * 40}'"),
        ({"n" * 60_000: 1}, f"{LONG}, not of 60,000"),
        ({"colour\u0000": "red"}, rf"{HIDDEN} characters in them, not 'colour\x00'"),
        ({"{name}\u202e": "red"}, rf"{HIDDEN} characters in them, not '{{name}}\u202e'"),
        ({"size": [{"in": {"line\nend": 1}}]}, rf"{HIDDEN} characters in them, not 'line\nend'"),
    ],
)
@pytest.mark.parametrize("path", ["/listings", "/listings/update"])
def test_names_within_a_value_are_bounded_as_ids_are(
    client: TestClient, path: str, attributes: Any, told: str
) -> None:
    body = {"listings": [{"item_id": "sofa"}, {"item_id": "rug", "attributes": attributes}]}
    answer = client.post(path, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(f"listings.1.attributes: {told}")
    assert len(answer.text) < 1000


def test_names_that_anybody_can_read_are_taken_in(client: TestClient, home: Home) -> None:
    attributes = {"n" * 200: 1, "Farbe {name}": "rot", "größe": {"breite, cm": 80}}
    rug = {"item_id": "rug", "title": "Wool rug", "attributes": attributes}
    assert client.post("/listings", json={"listings": [rug]}).json()["accepted"] == ["rug"]
    kept = pq.read_table(home.items, columns=["item_id", "attributes"]).to_pylist()
    assert json.loads({one["item_id"]: one["attributes"] for one in kept}["rug"]) == attributes


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["n" * 2_000_000], "the body: no such field as one with a name of more than 200 "),
        (["kk", "n" * 2_000_000], "kk: no such field; the body: no such field as one with a name"),
        ([f"kk{n}" for n in range(20_000)], "kk0: no such field; kk1: no such field; "),
    ],
)
def test_more_wrong_fields_than_an_answer_holds_are_told_in_part(
    client: TestClient, names: list[str], told: str
) -> None:
    answer = client.post("/recommend", json=dict.fromkeys(names, 1))
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(told)
    assert answer.json()["error"].endswith("; and perhaps more")
    assert len(answer.json()["detail"]) == min(len(names), 100)
    assert len(answer.text) < 10_000
    assert "pydantic" not in answer.text


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff", b'{"user_id": NaN}', b"[" * 5000, b'{"user_id": 3}']
)
@pytest.mark.parametrize(("method", "path"), [("DELETE", "/users"), ("PATCH", "/listings/sofa")])
def test_the_other_verbs_refuse_it_too(
    client: TestClient, method: str, path: str, content: bytes
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = client.request(method, path, content=content, headers=headers)
    assert answer.status_code == 400
    assert "pydantic" not in answer.text


def test_a_row_with_ids_that_are_none_stays_out_and_the_others_pass(client: TestClient) -> None:
    good = {
        "event_id": "e1",
        "user_id": "bob",
        "item_id": "sofa",
        "event_type": "click",
        "event_timestamp": "2026-02-01T10:00:00Z",
    }
    bad = {**good, "event_id": "e2", "user_id": "b\u202eob", "item_id": "x" * 201}
    body = client.post("/events", json={"events": [good, bad]}).json()
    assert body["accepted"] == ["e1"]
    (held,) = body["quarantined"]
    assert held["id"] == "e2"
    assert held["reasons"] == [
        "user_id has control characters in it; write it anew",
        "item_id has 201 characters; at most 200 are taken",
    ]
    alone = client.post("/events", json={"events": [bad]})
    assert alone.status_code == 200, alone.text
    assert alone.json()["accepted"] == []


PATHS = ["/", "/storefront", "/docs.json", "/photos/sofa", "/photos/none", "/livez", "/nowhere"]


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_carries_the_headers(client: TestClient, path: str) -> None:
    headers = client.get(path, headers={"Origin": "http://elsewhere.test"}).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert not [name for name in headers if name.startswith("access-control")]


def test_answers_about_people_are_kept_by_no_cache(client: TestClient) -> None:
    answer = client.post("/recommend", json={"user_id": "ann"})
    assert answer.headers["cache-control"] == "no-store"
    assert client.get("/photos/sofa").headers["cache-control"] == "max-age=300"


@pytest.mark.parametrize("path", [api_page.API])
def test_a_page_has_nothing_that_its_policy_forbids(path: Any) -> None:
    html = path.read_text()
    assert not re.search(r"""<[^>]+\s(style|on[a-z]+)\s*=""", html)
    for tag in ("script", "style"):
        inline = re.findall(rf"<{tag}(?![^>]*src=)[^>]*>", html)
        assert inline == [f"<{tag}>"] * len(inline)
    assert "http://" not in html
    assert "https://" not in html
    assert api_page.policy(html).count("sha256-") == html.count("<script>") + html.count("<style>")


def test_the_pages_keep_the_key_for_the_tab_and_send_it_in_a_header() -> None:
    script = storefront.FILES["api.js"].read_text()
    assert "sessionStorage.setItem(KEY, " in script
    assert "Authorization: `Bearer ${key}`" in script
    for path in storefront.FILES.values():
        assert not re.search(r"localStorage|document\.cookie", path.read_text())


def test_the_document_tells_keys_scopes_and_refusals(client: TestClient, home: Home) -> None:
    told = client.get("/docs.json").json()
    assert told["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"
    erase = told["paths"]["/users"]["delete"]
    assert erase["security"] == [{"apiKey": []}]
    assert erase["x-scope"] == "admin"
    assert {"400", "401", "403", "413", "415", "429", "500"} <= set(erase["responses"])
    assert told["paths"]["/livez"]["get"]["security"] == []
    assert told["paths"]["/recommend"]["post"]["x-scope"] == "read"
    assert {"patch", "delete"} <= set(told["paths"]["/listings/{item_id}"])
    assert str(home.root) not in str(told)
