"""Spans within a request that is traced; Bento makes the request's own.

Without an exporter in Bento's ``tracing`` there is no traced request (see `tracing`), and a stage
costs the look at the span above it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Final

from opentelemetry import trace

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

Value = str | bool | int | float
PREFIX: Final = "coldstart."
"""Of every attribute; none may hold the id of a person."""


@contextmanager
def span(name: str, **attributes: Value) -> Iterator[None]:
    """A span around the block, a child of the one at hand. Nothing outside of a traced request."""
    if not trace.get_current_span().is_recording():
        yield
        return
    with _tracer().start_as_current_span(name, record_exception=False) as made:
        made.set_attributes({PREFIX + key: value for key, value in attributes.items()})
        yield


def describe(**attributes: Value) -> None:
    """Add attributes to the span at hand."""
    made = trace.get_current_span()
    if made.is_recording():
        made.set_attributes({PREFIX + key: value for key, value in attributes.items()})


@cache
def _tracer() -> "Tracer":
    from bentoml._internal.configuration.containers import BentoMLContainer

    tracer: Tracer = BentoMLContainer.tracer_provider.get().get_tracer("coldstart")
    return tracer
