"""The service with keys that are known."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from bentos.recommender.guarding.buckets import Buckets
from bentos.recommender.guarding.guard import Guard
from bentos.recommender.guarding.keyring import Keyring
from coldstart_models.api_keys import ApiKey, Scope, write_keys

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LARGEST = 10_000


@pytest.fixture
def keys_path(tmp_path: Path) -> Path:
    return tmp_path / "keys.toml"


@pytest.fixture
def tokens(keys_path: Path) -> dict[str, str]:
    """Scope → a key that may that alone."""
    made = {str(scope): ApiKey.made(str(scope), [scope], now=NOW) for scope in Scope}
    write_keys(keys_path, [key for _, key in made.values()])
    return {scope: token for scope, (token, _) in made.items()}


@pytest.fixture
def guard(tokens: dict[str, str], keys_path: Path) -> Guard:
    return Guard(Keyring(keys_path), LARGEST, Buckets(rate=1000.0, burst=1000))


@pytest.fixture
def locked(client: TestClient, service: Any, guard: Guard) -> TestClient:
    """A client of the service that asks for keys."""
    service.guard = guard
    return client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
