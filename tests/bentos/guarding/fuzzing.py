"""Requests that somebody thought out, and what holds of every answer: by the service's description,
by the shape of rows, by photos with wrong bytes.
"""

import base64
import random
from collections.abc import Mapping, Sequence
from typing import Any, Final

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode
from starlette.testclient import TestClient

from bentos.recommender.service import RecommenderService
from feature_repo.home import Home
from tests.bentos.pictures import bomb, picture

SLOW_OPERATIONS: Final = ("/users/erase", "/users", "/listings/delete")
"""Each takes a good part of a second."""
JSON: Final = {"Content-Type": "application/json"}
OPERATIONS: Final = [
    *(("POST", api.route) for api in RecommenderService.apis.values()),
    *(("DELETE", "/users"), ("DELETE", "/listings/{item_id}"), ("PATCH", "/listings/{item_id}")),
]
PHOTOS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "MPO")
"""What the gate decodes."""
Known = Mapping[str, Sequence[str]]
"""Field of a request → values that the shop knows."""


def searched(examples: int) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )


def survive(client: TestClient, home: Home, method: str, path: str, **sent: Any) -> Any:
    """Send, and hold what holds of every answer."""
    answer = client.request(method, path, **sent)
    assert answer.status_code < 500, (method, path, sent, answer.text)
    assert str(home.root) not in answer.text
    assert "Traceback" not in answer.text
    if answer.status_code >= 400:
        assert isinstance(answer.json()["error"], str)
    return answer


def by_description(
    client: TestClient,
    home: Home,
    method: str,
    path: str,
    examples: int,
    *,
    known: Known | None = None,
) -> None:
    """Ask as the OpenAPI document allows, and as it does not.

    Args:
        known: takes the place of half of what is made up, so that the request gets further.
    """
    document = schemathesis.openapi.from_dict(client.get("/docs.json").json())
    operation = document[path][method]
    if path in SLOW_OPERATIONS:
        examples = max(2, examples // 4)
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

        @searched(examples)
        @given(case=operation.as_strategy(generation_mode=mode))
        def run(case: Any) -> None:
            asked = case.as_transport_kwargs(base_url="http://test")
            headers = {**asked.get("headers", {}), **JSON}
            body = {name: asked[name] for name in ("json", "data") if name in asked}
            if known and "json" in body:
                body["json"] = with_known(body["json"], known, random.Random(repr(body["json"])))
            sent = {"content": body["data"]} if "data" in body else body
            if isinstance(sent.get("content"), dict):
                return  # a form, which is refused by its type
            answer = survive(
                client, home, asked["method"], asked["url"], headers=dict(headers), **sent
            )
            told = document[path][method].definition.raw["responses"]
            assert str(answer.status_code) in told or answer.status_code == 405, answer.text

        run()


def with_known(value: Any, known: Known, draw: random.Random) -> Any:
    """The same, with what the shop knows in half of the places that take it."""
    if isinstance(value, list):
        return [with_known(one, known, draw) for one in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for name, inner in value.items():
        if name in known and isinstance(inner, str) and draw.random() < 0.5:
            inner = draw.choice(known[name])
        elif name in known and isinstance(inner, list) and draw.random() < 0.5:
            inner = [draw.choice(known[name]) for _ in inner]
        found[name] = with_known(inner, known, draw)
    return found


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=30)
    | st.sampled_from(["sofa", "ann", "2026-02-01T10:00:00Z", "9999-12-31", "-1", "click", "\0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
EVENT_FIELDS = ("user_id", "item_id", "event_type", "event_timestamp", "quantity", "unit_price")
EVENT_FIELDS += ("value", "session_id", "propensity", "variant")
LISTING_FIELDS = ("title", "description", "category", "brand", "seller_id", "price", "currency")
LISTING_FIELDS += ("attributes", "listed_at", "available", "domain")


def rows(identity: str, fields: tuple[str, ...]) -> Any:
    chosen = dict.fromkeys(fields, VALUES)
    return st.lists(
        st.fixed_dictionaries({identity: VALUES}, optional=chosen), min_size=1, max_size=4
    )


def by_rows(client: TestClient, home: Home, examples: int) -> None:
    @searched(examples)
    @given(events=rows("event_id", EVENT_FIELDS), listings=rows("item_id", LISTING_FIELDS))
    def run(events: Any, listings: Any) -> None:
        survive(client, home, "POST", "/events", json={"events": events})
        survive(client, home, "POST", "/listings", json={"listings": listings})

    run()


def mutated(kind: str, draw: random.Random) -> bytes:
    """A picture with bytes changed, cut off, doubled, or with a header that claims too much."""
    content = bytearray(picture(kind, side=32))
    choice = draw.randrange(5)
    if choice == 0:
        return bytes(content[: draw.randrange(len(content))])
    if choice == 1:
        return bytes(content) + draw.randbytes(200)
    if choice == 2:
        start = draw.randrange(len(content))
        return bytes(content[:start] + content[start:] * 3)
    first = 40 if choice == 3 else len(content)
    for _ in range(draw.randrange(1, 12)):
        content[draw.randrange(min(first, len(content)))] = draw.choice(
            (0, 255, draw.randrange(256))
        )
    return bytes(content)


def by_photo(client: TestClient, home: Home, count: int) -> None:
    draw = random.Random(7)
    contents = [mutated(kind, draw) for kind in PHOTOS for _ in range(count)]
    contents += [bomb(65_000, 65_000), bomb(2**31 - 1, 1), bomb(0, 0), bomb(1, 50_000_000), b"\0"]
    for start in range(0, len(contents), 50):
        listings = [
            {
                "item_id": f"p{start + n}",
                "title": f"A vase of number {start + n}",
                "photo_base64": base64.b64encode(content).decode(),
            }
            for n, content in enumerate(contents[start : start + 50])
        ]
        answer = survive(client, home, "POST", "/listings", json={"listings": listings}).json()
        told = {*answer["accepted"], *(row["id"] for row in answer["quarantined"])}
        assert told == {listing["item_id"] for listing in listings}
