"""Keys are made, kept as digests, listed and revoked; what is wrong with them is told."""

import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from coldstart_models.api_keys import (
    ApiKey,
    Scope,
    digest_of,
    keys_file,
    keys_of_environment,
    read_keys,
    require_keys,
    write_keys,
)
from coldstart_models.errors import ApiKeyError
from feature_repo.home import Home

NOW = datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC)
TOKEN = "x" * 40


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    for name in ("COLDSTART_API_KEYS", "COLDSTART_KEYS_FILE", "COLDSTART_OPEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLDSTART_HOME", str(tmp_path / "home"))
    return Home.current()


def test_a_file_holds_digests_that_only_its_owner_may_read(home: Home) -> None:
    token, key = ApiKey.made("shop", ["read", "events"], now=NOW, rate=5, burst=7)
    other, admin = ApiKey.made("ops", ["admin"], now=NOW)
    path = keys_file(home)

    write_keys(path, [key, admin])

    assert read_keys(path) == (key, admin)
    assert key.digest == digest_of(token)
    assert token not in path.read_text()
    assert other not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert token != other
    assert token.startswith("cs_")
    assert len(token) == 46


def test_an_admin_may_all_and_others_what_they_were_given() -> None:
    _, key = ApiKey.made("shop", ["read"], now=NOW)
    assert [scope for scope in Scope if key.may(scope)] == [Scope.READ]
    _, admin = ApiKey.made("ops", ["admin"], now=NOW)
    assert all(admin.may(scope) for scope in Scope)


def test_the_environment_gives_keys_as_they_are_or_as_digests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = f"shop:read+events:{TOKEN}  ops:admin:sha256={digest_of('y' * 40)}"
    monkeypatch.setenv("COLDSTART_API_KEYS", given)
    shop, ops = keys_of_environment()
    assert (shop.name, shop.scopes) == ("shop", {Scope.READ, Scope.EVENTS})
    assert shop.digest == digest_of(TOKEN)
    assert ops.digest == digest_of("y" * 40)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (TOKEN, "entry 1 is not of the form"),
        (f"shop:read:{TOKEN}:more", "entry 1 is not of the form"),
        (f"{TOKEN}!:read:x", "begins with no name"),
        (f"shop:reed:{TOKEN}", "has the scope 'reed'; expected some of read, events"),
        ("shop:read:short", "shorter than 32 characters"),
        ("shop:read:sha256=beef", "no SHA-256"),
        (f"shop:read:{TOKEN} shop:events:{TOKEN}y", "two keys are named 'shop'"),
    ],
)
def test_a_wrong_entry_is_told_without_the_key(
    monkeypatch: pytest.MonkeyPatch, entry: str, told: str
) -> None:
    monkeypatch.setenv("COLDSTART_API_KEYS", entry)
    with pytest.raises(ApiKeyError) as raised:
        keys_of_environment()
    assert told in str(raised.value)
    assert TOKEN not in str(raised.value)
    assert "short:" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("key = 1", "more than"),
        ("[[keys]]", "more than"),
        ("[[key]]\nname = 'a'", "lacks name, scopes or sha256"),
        ("[[key]]\nname='a'\nscopes=['read']\nsha256='x'\nkey='y'", "has 'key'; known are"),
        ("[[key]]\nname='a'\nscopes='read'\nsha256='x'", "scopes is not a list"),
        ("[[key]]\nname='a'\nscopes=[]\nsha256='x'", "has no scope"),
        ("[[key]]\nname='a b'\nscopes=['read']\nsha256='x'", "name is 'a b'"),
        ("[[key]]\nname='a'\nscopes=['read']\nsha256='x'\nrate='1'", "rate is not a number"),
        ("[[key", "cannot be read"),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(text)
    with pytest.raises(ApiKeyError, match="(?s)" + told.replace("(", r"\(")):
        read_keys(path)


@pytest.mark.parametrize(("rate", "burst"), [(0.0, None), (-1.0, None), (None, 0)])
def test_rates_are_positive(rate: float | None, burst: int | None) -> None:
    with pytest.raises(ApiKeyError, match="expected"):
        ApiKey.made("a", ["read"], now=NOW, rate=rate, burst=burst)


def test_nobody_can_ask_without_a_key_unless_the_switch_says_so(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ApiKeyError, match="coldstart keys new NAME --scope read"):
        require_keys(home)
    for closed in ("", "0", "true", "yes"):
        monkeypatch.setenv("COLDSTART_OPEN", closed)
        with pytest.raises(ApiKeyError):
            require_keys(home)
    monkeypatch.setenv("COLDSTART_OPEN", "1")
    require_keys(home)
    monkeypatch.delenv("COLDSTART_OPEN")
    write_keys(keys_file(home), [ApiKey.made("a", ["read"], now=NOW)[1]])
    require_keys(home)


def test_a_key_is_printed_once_listed_and_revoked(coldstart) -> None:
    home = Home.current()
    code, out, err = coldstart("keys", "new", "shop", "--scope", "read", "--scope", "events")
    assert code == 0
    token = out.strip()
    assert token not in err
    assert "shop may events, read" in err
    (key,) = read_keys(keys_file(home))
    assert key.digest == digest_of(token)

    asked = ("keys", "new", "ops", "--scope", "admin", "--rate", "5", "--burst", "7", "--json")
    code, out, _ = coldstart(*asked)
    assert json.loads(out)["scopes"] == ["admin"]
    _, out, _ = coldstart("keys", "list", "--json")
    assert [(row["name"], row["from"], row["rate"], row["burst"]) for row in json.loads(out)] == [
        ("shop", "file", None, None),
        ("ops", "file", 5.0, 7),
    ]
    assert token not in out

    code, _, err = coldstart("keys", "new", "shop", "--scope", "read")
    assert (code, "two keys are named 'shop'" in err) == (2, True)
    code, _, err = coldstart("keys", "new", "b", "--scope", "write")
    assert (code, "expected some of read, events" in err) == (2, True)

    assert coldstart("keys", "revoke", "shop")[0] == 0
    assert [key.name for key in read_keys(keys_file(home))] == ["ops"]
    code, _, err = coldstart("keys", "revoke", "shop")
    assert (code, "no key named 'shop' (there: ops)" in err) == (2, True)


def test_serve_without_a_key_says_what_to_do(coldstart, monkeypatch) -> None:
    monkeypatch.setattr("coldstart_models.artifacts.find_model", lambda home: None)
    monkeypatch.setattr("os.execv", lambda path, arguments: pytest.fail("it starts"))
    code, _, err = coldstart("serve")
    assert code == 2
    assert "coldstart keys new" in err
    assert "coldstart serve --open" in err
