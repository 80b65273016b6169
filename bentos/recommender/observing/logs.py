"""Log lines: for people by default, as JSON with ``COLDSTART_LOG=json``; both name the request.

Bento makes the handlers; here they get another formatter. What a client did wrong is told to the
client: of such an error the log has the class alone, as its words repeat what was sent.
"""

import json
import logging
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from bentoml.exceptions import BentoMLException
from pydantic import ValidationError

from bentos.recommender.observing.access import FIELD
from bentos.recommender.observing.redaction import redacted, secrets_of
from bentos.recommender.observing.request import current

VARIABLE: Final = "COLDSTART_LOG"
JSON: Final = "json"
HUMAN: Final = "human"
_LOGGERS: Final = ("bentoml", "uvicorn.error", "circus", "")
_BENTOS: Final = frozenset({"tracehandler", "bentomlhandler", "defaulthandler"})
"""Names of Bento's own handlers; others' are left as they are."""
CLIENT_ERRORS: Final = 500
"""Statuses below are the client's."""


class LogFormatError(ValueError):
    """COLDSTART_LOG has another value."""


class Lines(logging.Formatter):
    """One record as text, without ids of people and without secrets."""

    def __init__(self, *, layout: logging.Formatter | None = None) -> None:
        super().__init__()
        self._layout = layout or logging.Formatter("%(asctime)s [%(levelname)s] %(message)s")
        self._secrets = secrets_of()

    def format(self, record: logging.LogRecord) -> str:
        request = current()
        plain = _without_exception(record)
        line = self._layout.format(plain) + (f" (request={request.id})" if request else "")
        told = self.exception(record)
        return self.clean(f"{line}\n{told}" if told else line)

    def clean(self, text: str) -> str:
        """The text as it may be written."""
        request = current()
        return redacted(text, private=request.private if request else (), secrets=self._secrets)

    def exception(self, record: logging.LogRecord) -> str:
        """What is told of the record's exception; empty where it has none."""
        error = record.exc_info[1] if record.exc_info else None
        if error is None:
            return ""
        request = current()
        if request is not None and request.refusal is not None:
            return f"{type(error).__name__}: {request.refusal.reason}"
        if _is_clients(error):
            return f"{type(error).__name__}: what was sent is told to the client alone"
        return self.formatException(record.exc_info)  # type: ignore[arg-type]


class JsonLines(Lines):
    """One record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        request = current()
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self.clean(record.getMessage()),
        }
        if request is not None:
            told |= {"request_id": request.id, "endpoint": request.endpoint}
        told |= _trace()
        for name, part in getattr(record, FIELD, {}).items():
            told[name] = self.clean(part) if isinstance(part, str) else part
        if exception := self.exception(record):
            told["exception"] = self.clean(exception)
        return json.dumps(told, ensure_ascii=False)


def install() -> None:
    """Give the handlers of this process the formatter that COLDSTART_LOG names.

    Raises LogFormatError for another value.
    """
    wanted = os.environ.get(VARIABLE, HUMAN).lower()
    if wanted not in (JSON, HUMAN):
        raise LogFormatError(f"{VARIABLE} is {wanted!r}; it is {HUMAN!r} or {JSON!r}")
    for handler in _handlers():
        layout = handler.formatter
        while isinstance(layout, Lines):  # a second call does not wrap the first one's
            layout = layout._layout
        handler.setFormatter(JsonLines() if wanted == JSON else Lines(layout=layout))


def _handlers() -> Iterator[logging.Handler]:
    for name in _LOGGERS:
        for handler in logging.getLogger(name).handlers:
            if handler.name in _BENTOS:
                yield handler


def _without_exception(record: logging.LogRecord) -> logging.LogRecord:
    """A copy that the layout formats without a traceback."""
    plain = logging.makeLogRecord(vars(record))
    plain.exc_info = plain.exc_text = None
    return plain


def _is_clients(error: BaseException) -> bool:
    if isinstance(error, ValidationError):
        return True
    return isinstance(error, BentoMLException) and int(error.error_code) < CLIENT_ERRORS


def _trace() -> dict[str, str]:
    """Ids of the span at hand, where the request is traced."""
    from opentelemetry import trace

    found = trace.get_current_span().get_span_context()
    if not (found.is_valid and found.trace_flags.sampled):
        return {}
    return {
        "trace_id": trace.format_trace_id(found.trace_id),
        "span_id": trace.format_span_id(found.span_id),
    }
