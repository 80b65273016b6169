"""What is blotted out of log lines: ids of the request's people, secrets, and line ends."""

import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import Final

from bentos.recommender.payloads.shapes import HIDDEN

PERSON: Final = "[person]"
SECRET: Final = "[secret]"
SHORTEST_SECRET: Final = 6
"""Characters; a shorter value of a variable would blot out ordinary words."""

_SECRET_NAMES: Final = re.compile(r"(PASSWORD|PASSWD|SECRET|TOKEN|_KEY)S?$", re.IGNORECASE)
_ASSIGNED: Final = re.compile(
    r"((?:password|passwd|secret|token|api[_-]?key|authorization)[\"']?\s*[=:]\s*[\"']?"
    r"(?:bearer\s+|basic\s+)?)([^\s\"',;&)]+)",
    re.IGNORECASE,
)
_IN_URL: Final = re.compile(r"(://[^/\s:@]*:)([^/\s@]+)(@)")


def secrets_of(environment: Mapping[str, str] = os.environ) -> frozenset[str]:
    """Values of the environment's variables that are named like secrets."""
    return frozenset(
        value
        for name, value in environment.items()
        if _SECRET_NAMES.search(name) and len(value) >= SHORTEST_SECRET
    )


def redacted(text: str, *, private: Iterable[str] = (), secrets: Iterable[str] = ()) -> str:
    """The text without the ids, the values, and whatever is assigned to a secret's name."""
    for secret in secrets:
        text = text.replace(secret, SECRET)
    text = _ASSIGNED.sub(rf"\g<1>{SECRET}", text)
    text = _IN_URL.sub(rf"\g<1>{SECRET}\g<3>", text)
    spelled = {way for one in private for way in _spellings(one)}
    found = sorted((way for way in spelled if way in text), key=len, reverse=True)
    if not found:
        return text
    either = "|".join(map(re.escape, found))
    return re.sub(rf"(?<![A-Za-z0-9_])(?:{either})(?![A-Za-z0-9_])", PERSON, text)


def _spellings(name: str) -> set[str]:
    """An id as it is, and as Python's and JSON's quotes spell what is not plain in it."""
    return {
        name,
        repr(name)[1:-1],
        json.dumps(name)[1:-1],
        json.dumps(name, ensure_ascii=False)[1:-1],
    }


def in_one_line(text: str) -> str:
    """The text with line ends, and whatever else is not shown, spelled out."""
    return HIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)
