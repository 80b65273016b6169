"""One shape of every error, and the one place that unexpected exceptions end in.

An error is `{"error": "…"}`; a wrong request also has `detail`, one entry a field. What failed
inside the service is told as a plain 500 with the request's id, under which its log has the rest.
"""

import json
import logging
from typing import Any, Final

from bentos.recommender.asgi import Message, OfRequests, Receive, Scope, Send
from bentos.recommender.observing.redaction import in_one_line
from bentos.recommender.observing.request import current
from bentos.recommender.payloads.shapes import LONGEST_ID

logger = logging.getLogger("bentoml.coldstart")

FAILED: Final = "the service failed; its log tells why"
TOLD_FIELDS: Final = 5
LONGEST: Final = 1 << 20
"""Bytes of an error's own body that are read."""
DETAIL: Final = '"detail":'
MOST_FIELDS: Final = 100
"""Wrong fields that are told of an error that is longer."""
ENDLESS: Final = f"no such field as one with a name of more than {LONGEST_ID:,} characters"


class PlainAnswers(OfRequests):
    """Shapes what is not a success."""

    async def around(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = _Answer(send)
        try:
            await self._app(scope, receive, answer.send)
        except Exception:
            logger.exception("request %s failed", request_id() or "without an id")
            if not answer.started:
                await answer.fail()
            elif not answer.finished:
                raise


class _Answer:
    """Passes a success on; keeps an error until it is whole."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._body = b""
        self.started = self.finished = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if message["status"] >= 400:
                self._start = message
                return
            self.started = True
        elif self._start is not None:
            self._body += message.get("body", b"")[: LONGEST - len(self._body)]
            if not message.get("more_body", False):
                start, self._start = self._start, None
                await self._finish(start, told(start["status"], self._body))
            return
        elif not message.get("more_body", False):
            self.finished = True
        await self._send(message)

    async def fail(self) -> None:
        start: Message = {"type": "http.response.start", "status": 500, "headers": []}
        await self._finish(start, {"error": FAILED})

    async def _finish(self, start: Message, error: dict[str, Any]) -> None:
        named = request_id()
        if start["status"] >= 500 and named is not None:
            error["request_id"] = named
        body = json.dumps(error).encode()
        kept = [
            pair
            for pair in start["headers"]
            if pair[0].lower() not in (b"content-type", b"content-length")
        ]
        length = str(len(body)).encode()
        typed = [(b"content-type", b"application/json"), (b"content-length", length)]
        self.started = self.finished = True
        await self._send({**start, "headers": [*kept, *typed]})
        await self._send({"type": "http.response.body", "body": body})


def told(status: int, body: bytes) -> dict[str, Any]:
    """What an error's body says, as one object with `error`."""
    if status == 500:
        return {"error": FAILED}
    if len(body) == LONGEST:
        return _told_in_part(body)
    try:
        given = json.loads(body)
    except ValueError:
        return {"error": body.decode("utf-8", "replace").strip() or f"status {status}"}
    if isinstance(given, list) and given:  # as Bento tells its own exceptions
        given = given[0]
    if not isinstance(given, dict) or "error" not in given:
        return {"error": str(given)}
    detail = given.get("detail")
    if isinstance(detail, list):
        given = {"error": sentence(detail), "detail": [_field(one) for one in detail]}
    return given


def _told_in_part(body: bytes) -> dict[str, Any]:
    """Of an error that is longer than what was read of it: its first fields."""
    text, decoder = body.decode("utf-8", "replace"), json.JSONDecoder()
    detail = list[dict[str, Any]]()
    at = text.find(DETAIL) + len(DETAIL)
    while len(detail) < MOST_FIELDS and text[at : at + 1] in ("[", ","):
        try:
            one, at = decoder.raw_decode(text, at + 1)
        except ValueError:
            one, at = {"msg": ENDLESS}, len(text)
        detail.append(one)
    error = f"{sentence(detail[:TOLD_FIELDS])}; and perhaps more"
    return {"error": error, "detail": [_field(one) for one in detail]}


def sentence(detail: list[dict[str, Any]]) -> str:
    """The first wrong fields of a request, each by name."""
    said = [f"{one['field']}: {one['reason']}" for one in map(_field, detail[:TOLD_FIELDS])]
    more = len(detail) - TOLD_FIELDS
    return "; ".join(said) + (f"; and {more} more" if more > 0 else "")


def _field(one: dict[str, Any]) -> dict[str, Any]:
    place = ".".join(_shown(part) for part in one.get("loc", ())) or "the body"
    reason = str(one.get("msg", "wrong"))
    if one.get("type") == "extra_forbidden":
        reason = "no such field"
    return {"field": place, "reason": reason}


def _shown(part: object) -> str:
    """A part of a field's place, which may be a name that the client made up."""
    name = in_one_line(str(part)[:LONGEST_ID])
    return name if len(str(part)) <= LONGEST_ID else f"{name}…"


def request_id() -> str | None:
    """The id of the request at hand; None outside of the service."""
    request = current()
    return None if request is None else request.id
