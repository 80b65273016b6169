"""The same requests as of `test_fuzzing`, over real Feast and a model that was trained."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from feature_repo.home import Home
from tests.bentos.guarding.fuzzing import OPERATIONS, by_description, by_photo, by_rows
from tests.bentos.real_shop import build, service_of
from tests.kept_state import KeptState

pytestmark = pytest.mark.slow

EXAMPLES = 16
"""Requests an operation and mode."""
KNOWN = {
    "user_id": [f"u{number:02d}" for number in range(40)],
    "item_id": [f"i{number:02d}" for number in range(48)],
    "item_ids": [f"i{number:02d}" for number in range(48)],
    "event_type": ["click", "cart", "purchase", "impression"],
    "category": ["Home > chair", "Home > sofa", "Home"],
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> KeptState:
    state = KeptState(build(Home(tmp_path_factory.mktemp("shop") / "home")))
    state.keep("built")
    return state


@pytest.fixture
def home(kept: KeptState) -> Home:
    return kept.put_back("built")


@pytest.fixture
def service(home: Home, monkeypatch: pytest.MonkeyPatch) -> Any:
    return service_of(home, monkeypatch)


def test_no_request_that_the_description_suggests_breaks_it(client: TestClient, home: Home) -> None:
    for method, path in OPERATIONS:
        by_description(client, home, method, path, EXAMPLES, known=KNOWN)
    answer = client.post("/recommend", json={"user_id": "u00", "k": 4})
    assert answer.status_code == 200, answer.text


def test_no_values_of_rows_break_it(client: TestClient, home: Home) -> None:
    by_rows(client, home, 30)


def test_no_bytes_of_a_photo_break_it(client: TestClient, home: Home) -> None:
    by_photo(client, home, 60)
