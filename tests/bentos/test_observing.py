"""Request ids, log lines, spans and metrics: what is told of a request, and what never is."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from bentoml.exceptions import NotFound
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import generate_latest
from starlette.testclient import TestClient

from bentos.recommender.observing import logs, spans
from bentos.recommender.observing.access import Answered
from bentos.recommender.observing.redaction import PERSON, SECRET, redacted, secrets_of
from bentos.recommender.observing.request import ObservedRequest, begin, end, request_id
from bentos.recommender.observing.tracing import UntracedUrls
from tests.bentos import fakes
from tests.bentos.fakes import colour_encoders

CLICK = {**fakes.CLICK, "user_id": "bob-the-customer"}


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What Bento's loggers write, as JSON."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logs.JsonLines())
    logger = logging.getLogger("bentoml")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield written
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """An exporter in memory behind the spans of the service."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(spans, "_tracer", lambda: provider.get_tracer("test"))
    return exporter


def told(written: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


def test_a_sound_request_id_comes_back_and_another_is_made(client: TestClient) -> None:
    sent = client.post("/popular", json={"k": 1}, headers={"X-Request-ID": "shop-7:a.b"})
    assert sent.headers["x-request-id"] == "shop-7:a.b"
    for unsound in ("a b", "x" * 129, 'a"b', "\x1b[31m"):
        answer = client.post("/popular", json={"k": 1}, headers={"X-Request-ID": unsound})
        assert len(answer.headers["x-request-id"]) == 32
    assert client.get("/livez").headers["x-request-id"]
    assert request_id("a\nb") != "a\nb"


def test_every_line_of_a_request_names_it(client: TestClient, lines: io.StringIO) -> None:
    client.post("/similar", json={"item_id": "ghost"}, headers={"X-Request-ID": "r-1"})
    made = told(lines)
    assert made
    assert {line.get("request_id") for line in made} == {"r-1"}
    assert {line["endpoint"] for line in made} == {"similar"}
    assert any(line["logger"] == "bentoml.access" for line in made)
    assert {"time", "level", "logger", "message"} <= set(made[0])


def test_an_answer_has_one_line_with_what_it_took(client: TestClient, lines: io.StringIO) -> None:
    answer = client.post("/popular", json={"k": 1}, headers={"X-Request-ID": "r-2"})
    client.get("/livez")  # probes have none
    (line,) = [one for one in told(lines) if one["logger"] == "bentoml.access"]
    parts = ("method", "path", "status", "bytes", "request_id", "endpoint")
    assert [line[part] for part in parts] == [
        "POST",
        "/popular",
        200,
        len(answer.content),
        "r-2",
        "popular",
    ]
    assert line["ms"] > 0
    assert line["message"] == (
        f"testclient POST /popular 200, {line['bytes']} bytes, {line['ms']:.2f} ms"
    )


def test_a_refused_request_has_its_line_too(client: TestClient, lines: io.StringIO) -> None:
    client.post("/popular", json={"k": 0})
    statuses = [one["status"] for one in told(lines) if one["logger"] == "bentoml.access"]
    assert statuses == [400]


def test_an_answers_line_names_neither_people_nor_secrets_in_any_part(
    client: TestClient, lines: io.StringIO
) -> None:
    client.request("DELETE", "/users/ann/token=t0k-ann", json={"user_id": "ann"})
    request = ObservedRequest("r-3", "other", private={"ann"})
    scope = {"client": ("1.2.3.4", 5), "method": "GET", "path": "/people/ann"}
    token = begin(request)
    try:
        Answered.of(scope)._write(1.0)
    finally:
        end(token)
    by_client, by_hand = (one for one in told(lines) if one["logger"] == "bentoml.access")
    assert by_client["path"] == f"/users/ann/token={SECRET}"
    assert by_hand["path"] == f"/people/{PERSON}"
    assert by_hand["message"].startswith(f"1.2.3.4 GET /people/{PERSON} 0, ")


def test_an_address_with_line_ends_in_it_is_one_line(
    client: TestClient, lines: io.StringIO
) -> None:
    (handler,) = (
        one
        for one in logging.getLogger("bentoml").handlers
        if isinstance(one, logging.StreamHandler) and one.stream is lines
    )
    handler.setFormatter(logs.Lines(layout=logging.Formatter("%(message)s")))
    client.get("/a%0D%0Aforged%E2%80%A8more")
    (line,) = (one for one in lines.getvalue().splitlines() if "forged" in one)
    assert line.startswith(r"testclient GET /a\r\nforged\u2028more 404, ")


def test_without_an_exporter_the_callers_trace_is_named_and_no_other_made(
    client: TestClient, lines: io.StringIO
) -> None:
    caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    client.post("/popular", json={"k": 1}, headers={"traceparent": caller})
    client.post("/popular", json={"k": 1})
    first, second = (one for one in told(lines) if one["logger"] == "bentoml.access")
    assert (first["trace_id"], first["span_id"]) == tuple(caller.split("-")[1:3])
    assert "trace_id" not in second


@pytest.mark.parametrize(
    ("tracing", "untraced"),
    [
        ({}, {"/recommend", "/livez"}),
        ({"exporter_type": "otlp"}, set()),
        ({"exporter_type": "otlp", "excluded_urls": "livez"}, {"/livez"}),
        ({"exporter_type": "otlp", "excluded_urls": ["livez", "readyz"]}, {"/livez"}),
    ],
)
def test_bento_traces_where_spans_go_somewhere(tracing: dict[str, Any], untraced: set[str]) -> None:
    from bentoml._internal.configuration.containers import BentoMLContainer

    before = BentoMLContainer.config.get()
    BentoMLContainer.config.set({**before, "tracing": tracing})
    try:
        urls = UntracedUrls()
        assert {one for one in ("/recommend", "/livez") if urls.url_disabled(one)} == untraced
    finally:
        BentoMLContainer.config.set(before)


def test_no_line_names_a_person(client: TestClient, service: Any, lines: io.StringIO) -> None:
    client.post("/score", json={"user_id": "unheard-of-user", "item_ids": ["sofa"]})
    client.post("/recommend", json={"user_id": "unheard-of-user", "k": 0})
    client.post("/events", json={"events": [CLICK]})
    client.post("/users/erase", json={"user_id": "bob-the-customer"})

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("a bug about unheard-of-user in a row")

    service.recommender.recommend = fail
    broken = client.post("/recommend", json={"user_id": "unheard-of-user"})
    assert broken.status_code == 500
    written = lines.getvalue()
    assert "unheard-of-user" not in written
    assert "bob-the-customer" not in written
    assert f"a bug about {PERSON} in a row" in written


def test_a_clients_error_is_told_to_the_client_alone() -> None:
    record = logging.LogRecord(
        "bentoml", logging.ERROR, "", 0, "Exception on %s", ("/score",), None
    )
    try:
        raise NotFound("no user 'u42'")
    except NotFound as error:
        record.exc_info = (type(error), error, error.__traceback__)
    line = logs.Lines(layout=logging.Formatter("%(levelname)s %(message)s")).format(record)
    assert line.startswith("ERROR Exception on /score\nNotFound: ")
    assert "u42" not in line


def test_lines_for_people_name_the_request_too() -> None:
    record = logging.LogRecord("bentoml", logging.INFO, "", 0, "taken", (), None)
    token = begin(ObservedRequest("r-9", "events", private={"ann"}))
    try:
        record.msg = "taken from ann, not from anna"
        line = logs.Lines(layout=logging.Formatter("%(message)s")).format(record)
    finally:
        end(token)
    assert line == f"taken from {PERSON}, not from anna (request=r-9)"


def test_secrets_are_blotted_out() -> None:
    secrets = secrets_of({"PGPASSWORD": "hunter22", "SHOP_API_KEY": "k-123456", "PORT": "300000"})
    text = "hunter22 k-123456 300000 redis://:pw@host:1 password=abc, Authorization: Bearer t0k"
    shown = redacted(text, secrets=secrets)
    assert shown == (
        f"{SECRET} {SECRET} 300000 redis://:{SECRET}@host:1 "
        f"password={SECRET}, Authorization: Bearer {SECRET}"
    )


@pytest.mark.parametrize("name", ["SHOP\\ann", "o'neil@x.com", "a\"b'c", "a\u00a0b", "naïve"])
def test_ids_are_blotted_out_however_they_are_spelled(name: str) -> None:
    for spelled in (name, repr(name), json.dumps(name), json.dumps(name, ensure_ascii=False)):
        shown = redacted(f"no user {spelled}, annex", private=[name])
        assert shown.replace('"', "").replace("'", "") == f"no user {PERSON}, annex"


def test_the_variable_chooses_the_lines_and_another_value_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handler = logging.StreamHandler(io.StringIO())
    handler.set_name("tracehandler")
    logger = logging.getLogger("circus")
    logger.addHandler(handler)
    try:
        monkeypatch.setenv(logs.VARIABLE, "json")
        logs.install()
        assert isinstance(handler.formatter, logs.JsonLines)
        monkeypatch.delenv(logs.VARIABLE)
        logs.install()
        assert type(handler.formatter) is logs.Lines
        monkeypatch.setenv(logs.VARIABLE, "xml")
        with pytest.raises(logs.LogFormatError, match="'human' or 'json'"):
            logs.install()
    finally:
        logger.removeHandler(handler)


def test_a_traced_request_has_a_span_for_each_stage_and_none_names_a_person(
    service: Any, traced: InMemorySpanExporter
) -> None:
    from bentos.recommender import payloads

    service._encoders = colour_encoders()
    asked = payloads.RecommendRequest(user_id="ann", k=2)
    events = payloads.EventsRequest(events=[payloads.Event(**CLICK)])
    listings = payloads.ListingsRequest(
        listings=[payloads.Listing(item_id="rug", title="Wool rug")]
    )
    with spans._tracer().start_as_current_span("request"):
        service.recommend(asked)
        service.explain(payloads.ExplainRequest(user_id="ann", item_id="lamp"))
        service.events(events)
        service.listings(listings)

    made = {one.name: dict(one.attributes or {}) for one in traced.get_finished_spans()}
    assert {"history", "rank", "explain", "gate", "encode", "push", "log", "learn"} <= set(made)
    assert made["rank"] == {
        "coldstart.stage": "recommend",
        "coldstart.k": 2,
        "coldstart.pool": "new",
        "coldstart.events": 2,
    }
    assert made["history"]["coldstart.lost"] is False
    assert made["encode"]["coldstart.rows"] == 1
    values = {str(value) for one in made.values() for value in one.values()}
    assert not values & {"ann", "bob-the-customer"}


def test_without_a_traced_request_there_are_no_spans(
    service: Any, traced: InMemorySpanExporter
) -> None:
    from bentos.recommender import payloads

    service.recommend(payloads.RecommendRequest(user_id="ann", k=2))
    assert not traced.get_finished_spans()
    assert not trace.get_current_span().is_recording()


def test_the_span_of_the_request_holds_its_id(client: TestClient) -> None:
    from bentos.recommender.observing.middleware import RequestMiddleware

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    inner = RequestMiddleware(application, routes=frozenset())

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        with provider.get_tracer("bento").start_as_current_span("GET"):
            await inner(scope, receive, send)

    TestClient(outer).get("/", headers={"X-Request-ID": "r-5"})
    (made,) = exporter.get_finished_spans()
    assert dict(made.attributes or {}) == {"coldstart.request_id": "r-5"}


def test_the_metrics_tell_of_stages_store_snapshot_and_load(client: TestClient) -> None:
    client.post("/recommend", json={"user_id": "ann"})
    metrics = generate_latest().decode() + client.get("/metrics").text
    for line in (
        'coldstart_stage_seconds_bucket{le="0.001",stage="history"}',
        'coldstart_store_seconds_count{operation="read",outcome="answered"}',
        'coldstart_store_share_count{endpoint="recommend"}',
        'coldstart_snapshot_info{model="coldstart-siamese:test",snapshot="snapshot-1",worker="1"}',
        'coldstart_snapshot_age_seconds{worker="1"} 0.0',
        'coldstart_model_age_seconds{worker="1"} ',
        'coldstart_requests_in_flight{worker="1"} 0.0',
        'coldstart_requests_waiting{worker="1"} 0.0',
        'coldstart_requests_bound{worker="1"} 64.0',
        'coldstart_ready{worker="1"} 1.0',
        'coldstart_store_resting{worker="1"} 0.0',
    ):
        assert line in metrics, line
