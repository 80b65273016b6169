"""Spans by Bento's own tracer provider, made as a configuration file tells it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bentoml._internal.configuration.containers import BentoMLContainer
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from simple_di import sentinel
from starlette.testclient import TestClient

from bentos.recommender.observing import spans
from bentos.recommender.observing.tracing import trace_where_it_is_of_use
from bentos.recommender.service import RecommenderService

EXPORTING = {"exporter_type": "in_memory", "sample_rate": 1.0}


@pytest.fixture
def tracing() -> dict[str, Any]:
    """The part of Bento's configuration; a test gives another one."""
    return EXPORTING


@pytest.fixture
def application(
    tracing: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """Bento's HTTP application of this configuration; another one counts the requests."""
    before = BentoMLContainer.config.get()
    file = tmp_path / "bentoml.yaml"
    services = {"tracing": tracing, "metrics": {"enabled": False}}
    file.write_text(json.dumps({"version": 2, "services": services}))  # JSON is YAML too
    monkeypatch.setenv("BENTOML_CONFIG", str(file))
    monkeypatch.setattr(BentoMLContainer.tracer_provider, "_cache", sentinel)
    spans._tracer.cache_clear()
    trace_where_it_is_of_use()
    yield RecommenderService.to_asgi()
    BentoMLContainer.config.set(before)
    spans._tracer.cache_clear()
    trace_where_it_is_of_use()


@pytest.fixture
def made(application: Any) -> InMemorySpanExporter:
    """What is made by the provider that Bento gives to everybody."""
    exporter = InMemorySpanExporter()
    provider = BentoMLContainer.tracer_provider.get()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return exporter


def parents(found: tuple[ReadableSpan, ...]) -> dict[str, str | None]:
    """Name of each span → the name of the one above it; None of what is the first."""
    names = {one.context.span_id: one.name for one in found}
    return {one.name: names.get(one.parent.span_id) if one.parent else None for one in found}


def test_a_request_is_a_span_with_its_id_and_its_stages_stand_below_it(
    client: TestClient, made: InMemorySpanExporter
) -> None:
    made.clear()  # of the answers before the client was there
    for number, user in enumerate(("ann", "nobody")):
        asked = {"user_id": user, "k": 2}
        answer = client.post("/recommend", json=asked, headers={"X-Request-ID": f"r-{number}"})
        assert answer.status_code == 200
    found = made.get_finished_spans()
    traces = [one.context.trace_id for one in found if one.parent is None]
    assert len(traces) == len(set(traces)) == 2
    first = tuple(one for one in found if one.context.trace_id == traces[0])
    (request,) = (one for one in first if one.parent is None)
    assert request.attributes is not None
    assert request.attributes["coldstart.request_id"] == "r-0"
    assert request.attributes["http.target"] == "/recommend"
    above = parents(first)
    assert {"history", "rank"} <= set(above)
    assert above["history"] == above["rank"] == request.name
    (ranked,) = (one for one in first if one.name == "rank")
    assert dict(ranked.attributes or {}) == {
        "coldstart.stage": "recommend",
        "coldstart.k": 2,
        "coldstart.pool": "new",
        "coldstart.events": 2,
    }
    told = {str(value) for one in found for value in (one.attributes or {}).values()}
    assert "r-1" in told
    assert not told & {"ann", "nobody"}


@pytest.mark.parametrize("tracing", [{"sample_rate": 1.0}])
def test_without_an_exporter_no_span_is_made(
    client: TestClient, made: InMemorySpanExporter
) -> None:
    answer = client.post("/recommend", json={"user_id": "ann"}, headers={"X-Request-ID": "r-2"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (200, "r-2")
    assert made.get_finished_spans() == ()


@pytest.mark.parametrize("tracing", [{**EXPORTING, "excluded_urls": "livez,readyz"}])
def test_an_address_that_the_configuration_leaves_out_has_no_span(
    client: TestClient, made: InMemorySpanExporter
) -> None:
    assert client.get("/livez").status_code == 200
    assert made.get_finished_spans() == ()
    assert client.post("/popular", json={"k": 1}).status_code == 200
    assert "rank" in {one.name for one in made.get_finished_spans()}
