"""Whatever is sent, the service answers below 500: by its own description, by shape, by photo."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from feature_repo.home import Home
from tests.bentos.fakes import colour_encoders
from tests.bentos.guarding.fuzzing import JSON, OPERATIONS, by_description, by_photo, by_rows

QUICK, DEEP = 4, 100
"""Requests an operation and mode."""


@pytest.fixture(autouse=True)
def encoders(service: Any) -> None:
    service._encoders = colour_encoders()


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_no_request_that_the_description_suggests_breaks_the_service(
    client: TestClient, home: Home, method: str, path: str
) -> None:
    by_description(client, home, method, path, QUICK)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_nor_do_many(client: TestClient, home: Home, method: str, path: str) -> None:
    by_description(client, home, method, path, DEEP)


def test_no_values_of_rows_break_the_gate(client: TestClient, home: Home) -> None:
    by_rows(client, home, 6)


@pytest.mark.slow
def test_nor_do_many_rows(client: TestClient, home: Home) -> None:
    by_rows(client, home, 200)


def test_no_bytes_of_a_photo_break_the_service(client: TestClient, home: Home) -> None:
    by_photo(client, home, 15)


@pytest.mark.slow
def test_nor_do_many_bytes(client: TestClient, home: Home) -> None:
    by_photo(client, home, 800)


@pytest.mark.parametrize(
    "path", ["/photos/%00", "/photos/" + "a" * 5000, "/listings/%ff%fe", "/%2e%2e/%2e%2e/etc"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE"])
def test_no_address_breaks_the_service(
    client: TestClient, home: Home, method: str, path: str
) -> None:
    answer = client.request(method, path, content=b"{}", headers=JSON)
    assert answer.status_code < 500
    assert str(home.root) not in answer.text
