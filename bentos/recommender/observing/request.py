"""The request that is being answered: its id, and what may not be written about it.

Bento runs an endpoint on a thread with a copy of the request's context, so one object is seen by
the middleware and the endpoint alike.
"""

import re
import uuid
from collections.abc import Iterable
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

HEADER: Final = "x-request-id"
_SOUND: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not answered now; told to the client in place of Bento's general words."""

    status: HTTPStatus
    reason: str
    retry_after: int
    """Seconds."""


@dataclass(slots=True)
class ObservedRequest:
    """One request from its first to its last byte."""

    id: str
    endpoint: str
    private: set[str] = field(default_factory=set)
    """Ids of people that it names: they stay out of every log line."""
    refusal: Refusal | None = None
    store_seconds: float = 0.0


_CURRENT: ContextVar[ObservedRequest | None] = ContextVar("coldstart_request", default=None)


def begin(request: ObservedRequest) -> Token[ObservedRequest | None]:
    """Make it the request of this context."""
    return _CURRENT.set(request)


def end(token: Token[ObservedRequest | None]) -> None:
    """Take `begin` back."""
    _CURRENT.reset(token)


def current() -> ObservedRequest | None:
    """The request of this context; None in the background and without the HTTP application."""
    return _CURRENT.get()


def request_id(given: str | None) -> str:
    """The id that the client sent, if it is a sound one, else a new one.

    An id goes into log lines and headers: whoever sends another alphabet could forge both.
    """
    return given if given is not None and _SOUND.fullmatch(given) else uuid.uuid4().hex


def keep_private(ids: Iterable[object]) -> None:
    """Keep these ids out of the request's log lines."""
    request = current()
    if request is not None:
        request.private.update(one for one in ids if isinstance(one, str) and one)


def refuse(refusal: Refusal) -> None:
    """Have the client told this reason when the endpoint raises."""
    request = current()
    if request is not None:
        request.refusal = refusal


def add_store_seconds(seconds: float) -> None:
    """Count time that the request waited for the online store."""
    request = current()
    if request is not None:
        request.store_seconds += seconds
