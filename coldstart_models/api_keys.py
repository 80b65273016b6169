"""Keys that programs show to the service, and what each may do.

The file holds digests alone, so that whoever reads it can ask for nothing. A key is 32 random
bytes, which nobody can try out, so one SHA-256 of it is enough: a slow hash defends passwords that
people choose.

::

    [[key]]
    name = "storefront"
    scopes = ["read", "events"]
    sha256 = "…"
    made_at = 2026-03-01T12:00:00Z
    rate = 50.0     # requests a second; the service's own setting without it
    burst = 100
"""

import hashlib
import os
import re
import secrets
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self

from coldstart_models.errors import ApiKeyError
from feature_repo.home import Home
from validation.whole_files import replacing

KEYS_VARIABLE: Final = "COLDSTART_API_KEYS"
FILE_VARIABLE: Final = "COLDSTART_KEYS_FILE"
OPEN_VARIABLE: Final = "COLDSTART_OPEN"
"""1 asks for no key: a switch for development. Any other value does not open."""
PREFIX: Final = "cs_"
"""Begins every key that is made here, so that scanners of repositories find a leaked one."""
SHORTEST: Final = 32
"""Characters of a key of one's own; shorter ones could be tried out."""
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DIGEST: Final = re.compile(r"[0-9a-f]{64}")
FIELDS: Final = frozenset({"name", "scopes", "sha256", "made_at", "rate", "burst"})
HOW_TO: Final = (
    "make one with `coldstart keys new NAME --scope read`, or give some in COLDSTART_API_KEYS; for "
    "development on this machine alone, `coldstart serve --open` or COLDSTART_OPEN=1 asks for none"
)


class Scope(StrEnum):
    """What a key may do."""

    READ = "read"
    """Ask: recommend, score, explain, similar, popular, status, the page's users."""
    EVENTS = "events"
    """Send events."""
    LISTINGS = "listings"
    """Add, change and delete listings."""
    METRICS = "metrics"
    """Read what is measured."""
    ADMIN = "admin"
    """All of it, and erase people, adapt listings."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key; the key itself is with who was given it."""

    name: str
    scopes: frozenset[Scope]
    digest: str
    """SHA-256 of the key, in hexadecimal."""
    made_at: datetime | None = None
    rate: float | None = None
    """Requests a second; None as the service is configured."""
    burst: int | None = None
    """Requests at once, after a pause."""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ApiKeyError(
                f"a key's name is {self.name[:80]!r}; expected 1 to 64 letters, digits, . _ or -"
            )
        if not self.scopes:
            known = ", ".join(Scope)
            raise ApiKeyError(f"the key {self.name!r} has no scope; give it some of {known}")
        if not DIGEST.fullmatch(self.digest):
            raise ApiKeyError(f"the key {self.name!r} has no SHA-256 of 64 hexadecimal digits")
        if self.rate is not None and not 0 < self.rate < 1e9:
            raise ApiKeyError(f"the key {self.name!r} has a rate of {self.rate}; expected above 0")
        if self.burst is not None and self.burst < 1:
            raise ApiKeyError(f"the key {self.name!r} has a burst of {self.burst}; expected 1 on")

    def may(self, scope: Scope) -> bool:
        """Whether the key reaches that far."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    @classmethod
    def made(
        cls,
        name: str,
        scopes: Iterable[str],
        *,
        now: datetime,
        rate: float | None = None,
        burst: int | None = None,
    ) -> tuple[str, Self]:
        """A new key, to be told once, and what is kept of it."""
        token = PREFIX + secrets.token_urlsafe(32)
        made_at = now.replace(microsecond=0)
        return token, cls(name, scopes_of(scopes, name), digest_of(token), made_at, rate, burst)


def digest_of(token: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def scopes_of(names: Iterable[str], key: str) -> frozenset[Scope]:
    """Scopes by name. Raises ApiKeyError."""
    given = [str(name) for name in names]
    unknown = sorted(set(given) - set(Scope))
    if unknown:
        raise ApiKeyError(
            f"the key {key!r} has the scope {unknown[0]!r}; expected some of {', '.join(Scope)}"
        )
    return frozenset(Scope(name) for name in given)


def keys_file(home: Home) -> Path:
    """The file of keys: COLDSTART_KEYS_FILE, or the state folder's."""
    named = os.environ.get(FILE_VARIABLE)
    return Path(named).expanduser().resolve() if named else home.api_keys


def is_open() -> bool:
    """Whether the service was told to ask for no key."""
    return os.environ.get(OPEN_VARIABLE, "") == "1"


def require_keys(home: Home) -> None:
    """Raise ApiKeyError where nobody could ask and nobody said that all may."""
    if not is_open() and not read_keys(keys_file(home)) and not keys_of_environment():
        raise ApiKeyError(f"there are no API keys, so nobody could ask; {HOW_TO}")


def read_keys(path: Path) -> tuple[ApiKey, ...]:
    """The keys of a file; none where there is no file. Raises ApiKeyError."""
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        raise ApiKeyError(f"the keys in {path} cannot be read: {error}") from error
    rows = told.get("key", [])
    if set(told) - {"key"} or not isinstance(rows, list):
        raise ApiKeyError(f"{path} holds more than [[key]] tables")
    return _distinct([_row(row, place=f"{path}, key {n}") for n, row in enumerate(rows, 1)])


def write_keys(path: Path, keys: Sequence[ApiKey]) -> None:
    """Replace the file; only its owner may read it. Raises ApiKeyError where names repeat."""
    text = "\n".join(_block(key) for key in _distinct(keys))
    with replacing(path) as partial:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)


def keys_of_environment() -> tuple[ApiKey, ...]:
    """The keys of COLDSTART_API_KEYS: ``NAME:SCOPE+SCOPE:KEY``, by blanks; KEY or sha256=DIGEST.

    Raises ApiKeyError; no message holds any part of a key.
    """
    entries = os.environ.get(KEYS_VARIABLE, "").split()
    return _distinct([_entry(entry, n) for n, entry in enumerate(entries, 1)])


def _entry(entry: str, number: int) -> ApiKey:
    place = f"{KEYS_VARIABLE}, entry {number}"
    parts = entry.split(":")
    if len(parts) != 3:
        raise ApiKeyError(f"{place} is not of the form NAME:SCOPE+SCOPE:KEY")
    name, scopes, token = parts
    if not NAME.fullmatch(name):
        raise ApiKeyError(f"{place} begins with no name of letters, digits, . _ or -")
    if token.startswith("sha256="):
        return ApiKey(name, scopes_of(scopes.split("+"), name), token.removeprefix("sha256="))
    if len(token) < SHORTEST:
        raise ApiKeyError(
            f"{place}: the key {name!r} is shorter than {SHORTEST} characters and could be tried "
            "out; make one with `coldstart keys new`"
        )
    return ApiKey(name, scopes_of(scopes.split("+"), name), digest_of(token))


def _row(row: Any, *, place: str) -> ApiKey:
    if not isinstance(row, dict) or not {"name", "scopes", "sha256"} <= set(row):
        raise ApiKeyError(f"{place} lacks name, scopes or sha256")
    unknown = sorted(set(row) - FIELDS)
    if unknown:
        raise ApiKeyError(f"{place} has {unknown[0]!r}; known are {', '.join(sorted(FIELDS))}")
    rate, burst, scopes = row.get("rate"), row.get("burst"), row["scopes"]
    if not isinstance(scopes, list):
        raise ApiKeyError(f"{place}: scopes is not a list")
    if not isinstance(rate, int | float | None) or not isinstance(burst, int | None):
        raise ApiKeyError(f"{place}: rate is not a number, or burst not a whole one")
    made_at = row.get("made_at")
    return ApiKey(
        str(row["name"]),
        scopes_of(scopes, str(row["name"])),
        str(row["sha256"]),
        made_at if isinstance(made_at, datetime) else None,
        None if rate is None else float(rate),
        burst,
    )


def _distinct(keys: Sequence[ApiKey]) -> tuple[ApiKey, ...]:
    names = [key.name for key in keys]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ApiKeyError(f"two keys are named {twice[0]!r}; a name tells one key from the others")
    return tuple(keys)


def _block(key: ApiKey) -> str:
    scopes = ", ".join(f'"{scope}"' for scope in Scope if scope in key.scopes)
    lines = ["[[key]]", f'name = "{key.name}"', f"scopes = [{scopes}]", f'sha256 = "{key.digest}"']
    if key.made_at is not None:
        lines.append(f"made_at = {key.made_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}")
    if key.rate is not None:
        lines.append(f"rate = {key.rate}")
    if key.burst is not None:
        lines.append(f"burst = {key.burst}")
    return "\n".join(lines) + "\n"
