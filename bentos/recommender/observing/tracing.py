"""When a request is traced: where spans go somewhere, or where the caller traces.

Bento's middleware begins five spans a request though no exporter takes them, which is a fifth of
the time that a request spends around the endpoint. Without an exporter it is told to leave every
address alone; what is left is the caller's own trace, so that log lines still name it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import context, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.http import ExcludeList, parse_excluded_urls

from bentos.recommender.asgi import Scope, header

TRACEPARENT = "traceparent"


class UntracedUrls(ExcludeList):
    """Every address without an exporter; with one, those that Bento's configuration names."""

    def __init__(self) -> None:
        super().__init__(())
        self._named: ExcludeList | None = None

    def url_disabled(self, url: str) -> bool:
        """Whether Bento begins no span for a request of the address."""
        if self._named is None:  # the first request: the configuration is read by then
            self._named = _configured()
        return self._named.url_disabled(url)


def trace_where_it_is_of_use() -> None:
    """Let Bento trace only what somebody takes."""
    from bentoml._internal.configuration.containers import BentoMLContainer

    BentoMLContainer.tracing_excluded_urls.set(UntracedUrls())


@contextmanager
def callers_trace(scope: Scope) -> Iterator[None]:
    """Within the block the caller's span is at hand, where no other is."""
    told = header(scope, TRACEPARENT.encode())
    if told is None or trace.get_current_span().get_span_context().is_valid:
        yield
        return
    carrier = {TRACEPARENT: told.decode("latin-1")}
    token = context.attach(TraceContextTextMapPropagator().extract(carrier))
    try:
        yield
    finally:
        context.detach(token)


def _configured() -> ExcludeList:
    from bentoml._internal.configuration.containers import BentoMLContainer

    tracing = BentoMLContainer.config.tracing.get()
    if not tracing.get("exporter_type"):
        return ExcludeList([".*"])
    named = tracing.get("excluded_urls") or []
    return parse_excluded_urls(named) if isinstance(named, str) else ExcludeList(named)
