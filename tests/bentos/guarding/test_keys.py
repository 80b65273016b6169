"""Who may ask for what: 401 without a key, 403 with one that does not reach; no key in a log."""

import logging
import os
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from starlette.testclient import TestClient

from bentos.recommender import resources, storefront
from bentos.recommender.guarding.access import ASKED, READ, REPORTS, scope_of
from bentos.recommender.guarding.keyring import LOOK_SECONDS, Keyring
from bentos.recommender.packing import package_folder
from bentos.recommender.service import RecommenderService
from coldstart_models.api_keys import ApiKey, Scope, digest_of, read_keys, write_keys
from coldstart_models.errors import ApiKeyError
from feature_repo.home import Home
from tests.bentos.guarding.conftest import NOW, bearer

CALLS = [
    ("POST", "/recommend", "read", {"user_id": "ann"}),
    ("POST", "/score", "read", {"user_id": "ann", "item_ids": ["sofa"]}),
    ("POST", "/explain", "read", {"user_id": "ann", "item_id": "sofa"}),
    ("POST", "/similar", "read", {"item_id": "sofa"}),
    ("POST", "/popular", "read", {}),
    ("POST", "/status", "read", {}),
    ("POST", "/showcase", "read", {}),
    ("POST", "/place", "read", {"user_id": "ann", "item_id": "sofa"}),
    ("POST", "/operations", "metrics", {}),
    ("GET", "/ui/reports/gate/none.html", "admin", None),
    ("GET", "/metrics", "metrics", None),
    ("POST", "/events", "events", {"events": [{"event_id": "e1", "user_id": "bob"}]}),
    ("POST", "/listings", "listings", {"listings": []}),
    ("POST", "/listings/update", "listings", {"listings": []}),
    ("POST", "/listings/delete", "listings", {"item_ids": ["none"]}),
    ("DELETE", "/listings/none", "listings", None),
    ("PATCH", "/listings/none", "listings", {"price": "x"}),
    ("POST", "/adapt", "admin", {"item_id": "sofa", "customers": []}),
    ("POST", "/users/erase", "admin", {"user_id": "nobody"}),
    ("DELETE", "/users", "admin", {"user_id": "nobody"}),
]
OPEN = [
    *("/", "/docs.json", "/schema.json", "/storefront", "/ui", "/ui/operations", "/ui/api.js"),
    *("/photos/sofa", "/livez", "/readyz"),
]


@pytest.mark.parametrize(("method", "path", "scope", "body"), CALLS)
def test_a_call_takes_its_scope_or_an_admins(
    locked: TestClient, tokens: dict[str, str], method: str, path: str, scope: str, body: Any
) -> None:
    bare = locked.request(method, path, json=body)
    assert bare.status_code == 401
    assert bare.headers["www-authenticate"] == 'Bearer realm="coldstart"'
    assert "Authorization: Bearer KEY" in bare.json()["error"]
    for name, token in tokens.items():
        answer = locked.request(method, path, json=body, headers=bearer(token))
        if name in (scope, "admin"):
            assert answer.status_code not in (401, 403), answer.text
            continue
        assert answer.status_code == 403
        challenge = answer.headers["www-authenticate"]
        assert challenge.endswith(f'error="insufficient_scope", scope="{scope}"')
        assert answer.json() == {
            "error": f"the API key {name!r} lacks the scope {scope!r} that this takes"
        }


@pytest.mark.parametrize("path", OPEN)
def test_pages_photos_and_health_take_no_key(locked: TestClient, path: str) -> None:
    assert locked.get(path).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/nowhere"), ("PUT", "/listings/sofa"), ("POST", "/recommend/"), ("GET", "/events")],
)
def test_what_is_not_known_is_for_admins_alone(
    locked: TestClient, tokens: dict[str, str], method: str, path: str
) -> None:
    assert locked.request(method, path).status_code == 401
    assert locked.request(method, path, headers=bearer(tokens["read"])).status_code == 403
    answer = locked.request(method, path, headers=bearer(tokens["admin"]), follow_redirects=False)
    assert answer.status_code in (307, 404, 405)


def test_every_operation_of_the_service_has_its_scope() -> None:
    assert set(ASKED) == {api.route for api in RecommenderService.apis.values()}
    for route in (*storefront.app.routes, *resources.routes):
        for method in route.methods or ():
            path = route.path.replace("{item_id:path}", "x")
            known = scope_of(method, path)
            assert known is not Scope.ADMIN or path.startswith(("/users", "/ui/reports/")), path


def test_the_guide_to_safety_names_every_operation_beside_its_scope() -> None:
    guide = (package_folder("bentos").parent / "docs" / "safety.md").read_text()
    table = guide.partition("| scope | lets |\n|---|---|\n")[2].partition("\n\n")[0]
    rows = dict(row.strip("|").split("|", 1) for row in table.splitlines())
    named = {scope.strip(" `"): re.findall(r"`([^`]+)`", told) for scope, told in rows.items()}
    assert set(named) == {scope.value for scope in Scope}
    for path, scope in ASKED.items():
        assert path.removeprefix("/") in named[scope.value], path
    for method, path in (
        ("PATCH", "/listings/ID"),
        ("DELETE", "/listings/ID"),
        ("DELETE", "/users"),
    ):
        scope = scope_of(method, path)
        assert scope is not None
        assert f"{method} {path}" in named[scope.value]
    for path, scope in READ.items():
        assert path in named[scope.value]
    assert REPORTS in named[Scope.ADMIN.value]
    assert "`/storefront`" not in guide


@pytest.mark.parametrize(
    "told",
    ["Bearer wrong", "Bearer ", "Basic YTpi", "bearer", "Bearer \xff\xfe", "Bearer " + "x" * 5000],
)
def test_what_is_no_key_is_a_401(locked: TestClient, told: str) -> None:
    answer = locked.post("/status", json={}, headers={"Authorization": told.encode("latin-1")})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith('Bearer realm="coldstart"')


def test_no_key_is_ever_logged_or_told(
    locked: TestClient, tokens: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said = []
    for token in (tokens["read"], "cs_" + "q" * 43):
        for method, path, _, body in CALLS:
            answer = locked.request(method, path, json=body, headers=bearer(token))
            said.append(answer.text + str(answer.headers))
        assert token not in caplog.text
        assert not any(token in one for one in said)
    assert "the API key read, which may not admin" in caplog.text


def test_refusals_are_counted_by_reason(locked: TestClient, tokens: dict[str, str]) -> None:
    def counted(reason: str) -> float:
        line = f'coldstart_refused_requests_total{{endpoint="none",reason="{reason}"}} '
        found = [row for row in generate_latest().decode().splitlines() if row.startswith(line)]
        return float(found[0].removeprefix(line)) if found else 0.0

    before = [counted(reason) for reason in ("no key", "unknown key", "scope")]
    locked.post("/status", json={})
    locked.post("/status", json={}, headers=bearer("wrong"))
    locked.post("/status", json={}, headers=bearer(tokens["events"]))
    assert [counted(reason) for reason in ("no key", "unknown key", "scope")] == [
        count + 1 for count in before
    ]


def test_before_there_is_a_service_nobody_may_ask(
    locked: TestClient, tokens: dict[str, str], service: Any
) -> None:
    service.guard = None
    assert locked.post("/status", json={}, headers=bearer(tokens["admin"])).status_code == 401
    assert locked.get("/livez").status_code == 200


def test_keys_come_and_go_while_the_service_runs(keys_path: Path) -> None:
    now = [0.0]
    token, key = ApiKey.made("a", ["read"], now=NOW)
    later, second = ApiKey.made("b", ["read"], now=NOW)
    write_keys(keys_path, [key])
    keyring = Keyring(keys_path, clock=lambda: now[0])
    assert keyring.find(token) == key
    assert keyring.find(later) is None

    write_keys(keys_path, [second])
    assert keyring.find(token) == key  # it did not look yet
    now[0] += LOOK_SECONDS
    assert keyring.find(token) is None
    assert keyring.find(later) == second

    keys_path.write_text("[[key")
    now[0] += LOOK_SECONDS
    assert keyring.find(later) == second  # what cannot be read changes nothing
    keys_path.unlink()
    now[0] += LOOK_SECONDS
    assert keyring.find(later) is None


def test_a_key_that_begins_like_another_is_not_that_key(keys_path: Path) -> None:
    token, key = ApiKey.made("a", ["read"], now=NOW)
    write_keys(keys_path, [key])
    keyring = Keyring(keys_path)
    assert keyring.find(token[:-1]) is None
    assert keyring.find(token + "x") is None
    assert keyring.find("") is None
    alike = ApiKey("b", key.scopes, key.digest[:16] + "0" * 48)
    keyring._known = {key.digest[:16]: alike}
    assert keyring.find(token) is None


def test_keys_of_the_environment_count_beside_the_file(
    keys_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLDSTART_API_KEYS", f"ci:read:{'k' * 40}")
    keyring = Keyring(keys_path)
    found = keyring.find("k" * 40)
    assert found is not None
    assert (found.name, found.digest) == ("ci", digest_of("k" * 40))


def test_the_service_does_not_start_without_keys_or_the_switch(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    from _bentoml_impl.server.serving import server_on_deployment
    from bentoml.exceptions import BentoMLException

    monkeypatch.delenv("COLDSTART_OPEN")
    with pytest.raises(BentoMLException) as raised:
        server_on_deployment(RecommenderService)
    assert "the recommender does not start: there are no API keys" in str(raised.value)
    assert "coldstart keys new" in str(raised.value)
    assert "COLDSTART_OPEN=1" in str(raised.value)

    write_keys(home.api_keys, [ApiKey.made("a", ["read"], now=NOW)[1]])
    server_on_deployment(RecommenderService)
    home.api_keys.write_text("nonsense")
    with pytest.raises(BentoMLException, match="cannot be read"):
        server_on_deployment(RecommenderService)


def test_the_services_own_keys_are_those_of_its_home(
    home: Home, client: TestClient, service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bentos.recommender.guarding.guard import Guard
    from coldstart_models.config import ServeConfig

    assert service.guard.keyring is None
    assert client.post("/status", json={}).status_code == 200
    monkeypatch.setenv("COLDSTART_OPEN", "0")
    token, key = ApiKey.made("a", ["read"], now=NOW)
    write_keys(home.api_keys, [key])
    service.guard = Guard.of(home, ServeConfig())
    assert client.post("/status", json={}).status_code == 401
    assert client.post("/status", json={}, headers=bearer(token)).status_code == 200
    assert read_keys(home.api_keys) == (key,)


def test_each_of_a_thousand_keys_is_found(keys_path: Path) -> None:
    made = [ApiKey.made(f"k{n}", ["read"], now=NOW) for n in range(1000)]
    write_keys(keys_path, [key for _, key in made])
    os.utime(keys_path)
    keyring = Keyring(keys_path)
    assert [keyring.find(token) for token, _ in made] == [key for _, key in made]


def test_a_broken_file_at_the_start_is_an_error(keys_path: Path) -> None:
    keys_path.write_text("[[key")
    with pytest.raises(ApiKeyError):
        Keyring(keys_path)


def test_a_folder_that_cannot_be_looked_into_leaves_the_keys_as_they_were(
    keys_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    token, key = ApiKey.made("a", ["read"], now=NOW)
    write_keys(keys_path, [key])
    keyring = Keyring(keys_path, clock=lambda: now[0])

    def away(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("bentos.recommender.guarding.keyring.identity_of", away)
    now[0] += LOOK_SECONDS
    assert keyring.find(token) == key
    with pytest.raises(ApiKeyError, match="cannot be read"):
        Keyring(keys_path)
