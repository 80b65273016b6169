"""One line of each request, written once it is answered: nobody waits for a log.

Bento's own access log writes its line before the last byte goes out.
"""

import asyncio
import logging
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from bentos.recommender.asgi import Scope
from bentos.recommender.observing.redaction import in_one_line

logger = logging.getLogger("bentoml.access")

PROBES: Final = frozenset({"/livez", "/readyz", "/healthz", "/metrics"})
"""Asked every few seconds by machines: no line."""
FIELD: Final = "answered"
"""Under which a record carries the line's parts, for lines that are JSON."""


@dataclass(slots=True)
class Answered:
    """What is told of one request."""

    client: str
    method: str
    path: str
    began: float
    """Of `perf_counter`, in seconds."""
    status: int = 0
    size: int = 0
    """Bytes of the answer's body."""

    @classmethod
    def of(cls, scope: Scope) -> "Answered":
        """A request that just came."""
        client = scope.get("client")
        path = in_one_line(scope["path"])  # it is decoded, and may hold line ends
        return cls(client[0] if client else "-", scope["method"], path, perf_counter())

    def write_soon(self) -> None:
        """After what the event loop has to send, in the context of the request."""
        if self.path in PROBES or not logger.isEnabledFor(logging.INFO):
            return
        taken = 1000 * (perf_counter() - self.began)
        asyncio.get_running_loop().call_soon(self._write, taken)

    def _write(self, taken: float) -> None:
        told = {
            "client": self.client,
            "method": self.method,
            "path": self.path,
            "status": self.status,
            "bytes": self.size,
            "ms": round(taken, 2),
        }
        line = "%(client)s %(method)s %(path)s %(status)d, %(bytes)d bytes, %(ms).2f ms"
        logger.info(line, told, extra={FIELD: told})
