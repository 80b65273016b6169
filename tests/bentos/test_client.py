"""The client against a service in this process, and against a real server on loopback."""

import inspect
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, Unpack, get_args, get_origin, get_type_hints

import httpx
import pytest
from pydantic import BaseModel
from starlette.testclient import TestClient

from bentos.client import Client, ClientError, NotAllowed, NotThere, Refused, Unavailable
from bentos.recommender import payloads
from feature_repo.home import Home
from tests.bentos.fakes import CLICK, colour_encoders
from tests.bentos.feast_homes import register
from tests.bentos.servers import served
from tests.coldstart_models.stateful_search import files_with


class InProcess(httpx.BaseTransport):
    """Sends to the application of a test client."""

    def __init__(self, application: TestClient) -> None:
        self._application = application

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._application.request(
            request.method,
            request.url.raw_path.decode(),
            content=request.read(),
            headers={"content-type": "application/json"},
        )
        return httpx.Response(answer.status_code, content=answer.content)


@pytest.fixture
def ours(client: TestClient, service: Any) -> Iterator[Client]:
    service._encoders = colour_encoders()
    with Client("http://test", transport=InProcess(client)) as ours:
        yield ours


def told_everything(client: Client) -> None:
    """Every operation once, with the answer known beforehand."""
    assert client.events([CLICK]).accepted == ["e1"]
    assert client.events([payloads.Event(**CLICK)]).duplicates == ["e1"]
    assert [one.score for one in client.score(["sofa", "lamp"], user_id="bob").scores] == [
        1.75,
        0.5,
    ]
    page = client.recommend(user_id="bob", k=1, exclude_seen=False, diversity=0.0)
    assert (page.items[0].item_id, page.fallback) == ("sofa", None)
    pages = client.pages(user_id="bob", k=1, exclude_seen=False)
    assert [one.item_id for page in pages for one in page.items] == ["sofa", "lamp", "chair"]
    assert client.explain("sofa", user_id="bob").score == 1.75
    assert [one.item_id for one in client.similar("sofa", k=2).items] == ["chair", "lamp"]
    assert client.popular(k=1).items[0].item_id == "sofa"
    assert client.adapt("chair", [{"history": [{"item_id": "lamp"}]}]).support == 1
    assert client.add_listings([{"item_id": "rug", "title": "Wool rug"}]).accepted == ["rug"]
    assert client.update_listing("rug", price=30.0).accepted == ["rug"]
    assert client.recommend(k=1).items[0].price == 30.0
    several = [{"item_id": "rug", "price": 35.0}, payloads.ListingChange(item_id="sofa", price=650)]
    assert sorted(client.update_listings(several).accepted) == ["rug", "sofa"]
    told = {one.item_id: one.price for one in client.recommend(k=9).items}
    assert (told["rug"], told["sofa"]) == (35.0, 650.0)
    assert client.delete_listings(["rug"]).deleted == ["rug"]
    assert client.erase_user("bob").erased["events"] == 1
    assert client.events([CLICK]).refused == ["e1"]
    assert client.status().items == 3


def test_every_operation_has_a_method(ours: Client) -> None:
    told_everything(ours)


SAMPLES: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "score": ([["sofa"]], {}),
    "explain": (["sofa"], {}),
    "similar": (["sofa"], {}),
    "place": (["sofa"], {}),
    "events": ([[CLICK]], {}),
    "add_listings": ([[{"item_id": "rug"}]], {}),
    "update_listing": (["rug"], {"price": 1.0}),
    "update_listings": ([[{"item_id": "rug"}]], {}),
    "delete_listings": ([["rug"]], {}),
    "adapt": (["sofa", [{"history": [{"item_id": "lamp"}]}]], {}),
    "erase_user": (["bob"], {}),
}
"""What methods are called with here; the others need nothing."""


def test_the_methods_ask_every_operation_that_the_service_describes(client: TestClient) -> None:
    asked: dict[str, set[str]] = {}

    def answer(request: httpx.Request) -> httpx.Response:
        asked.setdefault(request.url.path, set()).add(request.method)
        return httpx.Response(503, json={"error": "not now"})

    with Client("http://test", transport=httpx.MockTransport(answer)) as every:
        for name in {name for name in vars(Client) if not name.startswith("_")} - {"close"}:
            given, named = SAMPLES.get(name, ([], {}))
            with pytest.raises(Unavailable):
                list(getattr(every, name)(*given, **named))  # `pages` asks when gone through
    described = client.get("/docs.json").json()["paths"]
    operations = {path for path, item in described.items() if "post" in item}
    assert asked == {path: {"POST"} for path in operations}


SHAPES = {
    "recommend": payloads.RecommendRequest,
    "pages": payloads.RecommendRequest,
    "score": payloads.ScoreRequest,
    "explain": payloads.ExplainRequest,
    "similar": payloads.SimilarRequest,
    "popular": payloads.PopularRequest,
    "events": payloads.EventsRequest,
    "add_listings": payloads.ListingsRequest,
    "update_listing": payloads.ListingChange,
    "update_listings": payloads.UpdateListingsRequest,
    "delete_listings": payloads.DeleteListingsRequest,
    "adapt": payloads.AdaptRequest,
    "erase_user": payloads.EraseUserRequest,
    "showcase": payloads.ShowcaseRequest,
    "place": payloads.PlaceRequest,
}
"""Method → the payload that it sends."""


def as_asked(annotation: Any) -> Any:
    """A payload field's type as the client takes it: any sequence, mappings for payloads."""
    origin, within = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return as_asked(within[0])
    if origin is list:
        return Sequence[as_asked(within[0])]  # type: ignore[misc]
    if origin in (Union, UnionType):
        return Union[tuple(as_asked(one) for one in within)]  # noqa: UP007 - of a tuple
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation | Mapping[str, Any]
    return annotation


@pytest.mark.parametrize(("name", "shape"), SHAPES.items())
def test_a_method_takes_the_fields_of_its_payload_by_name_and_type(
    name: str, shape: type[BaseModel]
) -> None:
    method = getattr(Client, name)
    hints = get_type_hints(method, include_extras=True)
    taken: dict[str, Any] = {}
    for parameter in list(inspect.signature(method).parameters.values())[1:]:
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            (named,) = get_args(hints[parameter.name])
            assert get_origin(hints[parameter.name]) is Unpack
            assert not named.__required_keys__
            taken |= get_type_hints(named)
            continue
        taken[parameter.name] = hints[parameter.name]
        field = shape.model_fields[parameter.name]
        if parameter.default is inspect.Parameter.empty:
            assert field.is_required()
        else:
            assert parameter.default == field.default
    assert taken == {name: as_asked(one.annotation) for name, one in shape.model_fields.items()}


def test_every_method_that_sends_something_is_compared_with_its_payload() -> None:
    sends_nothing = {"close", "operations", "status"}
    methods = {name for name in vars(Client) if not name.startswith("_")}
    assert methods - sends_nothing == set(SHAPES)


def test_a_list_may_be_any_sequence_and_what_is_not_given_is_not_sent() -> None:
    sent = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content))
        return httpx.Response(503, json={"error": "not now"})

    with Client("http://test", transport=httpx.MockTransport(answer)) as client:
        with pytest.raises(Unavailable):
            client.recommend(session=({"item_id": "sofa"},), exclude=("lamp",), k=3)
        with pytest.raises(Unavailable):
            client.update_listing("sofa", title=None)
    assert sent == [
        {"session": [{"item_id": "sofa"}], "exclude": ["lamp"], "k": 3},
        {"listings": [{"item_id": "sofa", "title": None}]},
    ]


def test_errors_say_what_is_wrong(ours: Client) -> None:
    with pytest.raises(NotThere, match="nobody"):
        ours.explain("sofa", user_id="nobody")
    with pytest.raises(NotThere, match="unknown items: none"):
        ours.similar("none")
    with pytest.raises(Refused, match="less than or equal to 100"):
        ours.recommend(k=1000)
    with pytest.raises(Refused, match="does not belong"):
        ours.recommend(after="AAAA")
    with pytest.raises(NotThere):
        ours.update_listing("none", price=1)


def test_a_service_that_is_not_there_is_unavailable() -> None:
    with Client("http://127.0.0.1:9", timeout=2) as client, pytest.raises(Unavailable):
        client.status()


def test_an_answer_of_another_version_is_told() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"model": "x"}))
    with (
        Client("http://test", transport=transport) as client,
        pytest.raises(ClientError, match="version"),
    ):
        client.status()


def test_the_client_needs_no_model_and_no_store() -> None:
    code = (
        "import sys, bentos.client\n"
        "print([name for name in ('torch', 'feast', 'great_expectations') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


@pytest.mark.slow
def test_the_client_talks_to_a_real_server(home: Home, tmp_path: Path) -> None:
    register(home)
    service = "tests.bentos.standin_service:RecommenderService"
    with (
        served("bentoml", "serve", service, home=home, log=tmp_path / "log") as (http, _),
        Client(str(http.base_url)) as client,
    ):
        told_everything(client)
        assert files_with(home.root, "bob") == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Refused),
        (401, NotAllowed),
        (403, NotAllowed),
        (404, NotThere),
        (413, Refused),
        (415, Refused),
        (429, Unavailable),
        (500, Unavailable),
        (503, Unavailable),
    ],
)
def test_the_key_is_sent_and_a_refusal_has_its_class(status: int, kind: type[ClientError]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer cs_secret"
        return httpx.Response(status, json={"error": "why not"})

    transport = httpx.MockTransport(answer)
    with (
        Client("http://test", api_key="cs_secret", transport=transport) as client,
        pytest.raises(kind, match=f"answered {status}: why not") as raised,
    ):
        client.status()
    assert "cs_secret" not in str(raised.value)
