"""The online store as a request may use it: it answers in time, or is taken as lost.

A client that can be told when to give up (Redis's) reads one person's row on the request's own
thread. Any other read runs on a thread beside it, because SQLite behind another's lock cannot be
hurried. There are as many such threads as the service has, so a store that hangs holds these and no
more. After a few failures in a row the store is left alone for a second at a time: requests do not
wait for it meanwhile.
"""

import contextvars
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, TypeVar

from bentos.recommender import measures
from bentos.recommender.observing.load import THREADS
from bentos.recommender.observing.request import add_store_seconds
from feature_repo.errors import StoreLost
from feature_repo.one_view import reads_one

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

    from feature_repo.store import Features, PushTo, Store

Answer = TypeVar("Answer")
FAILURES: Final = 3
"""In a row, after which the store is left alone."""
REST_SECONDS: Final = 1.0


class GuardedStore:
    """A `Store` whose reads have a deadline; what is not named here goes straight through."""

    def __init__(
        self, store: "Store", *, deadline: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        """The deadline is in seconds."""
        self._store, self.deadline, self._now = store, deadline, now
        self._hurried = store.read_within(deadline)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="coldstart-store")
        self._free = threading.BoundedSemaphore(THREADS)
        self._failures, self._rests_until = 0, 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @property
    def resting(self) -> bool:
        """Whether the store is left alone now."""
        return self._now() < self._rests_until

    @property
    def patient(self) -> "Store":
        """The store itself, for threads that no request waits for: to them late is not lost, and
        what they miss is no reason to leave it alone.
        """
        return self._store

    def online(
        self,
        features: "Features",
        entity_rows: Sequence[Mapping[str, Any]],
        *,
        now: "datetime | None" = None,
    ) -> list[dict[str, Any]]:
        """As of `Store`. Raises StoreLost where it does not answer by the deadline."""

        def read() -> list[dict[str, Any]]:
            return self._store.online(features, entity_rows, now=now)

        if self._hurried and reads_one(features, entity_rows):
            return self._measured("read", read)
        return self._read(read)

    def probe(self, item_ids: Sequence[str] = ()) -> bool:
        """As of `Store`. Raises StoreLost; also while it rests it is asked."""
        return self._read(lambda: self._store.probe(item_ids), though_resting=True)

    def push(
        self, view: str, frame: "pd.DataFrame", *, now: "datetime", to: "PushTo | None" = None
    ) -> None:
        """As of `Store`, on this thread: what was half pushed must be known to be."""
        where = {} if to is None else {"to": to}
        self._measured("push", lambda: self._store.push(view, frame, now=now, **where))

    def _read(self, read: Callable[[], Answer], *, though_resting: bool = False) -> Answer:
        return self._measured("read", lambda: self._in_time(read), though_resting=though_resting)

    def _in_time(self, read: Callable[[], Answer]) -> Answer:
        until = self._now() + self.deadline
        if not self._free.acquire(timeout=self.deadline):
            raise StoreLost(f"{THREADS} earlier reads of the online store still wait for an answer")
        running: Future[Answer] = self._threads.submit(contextvars.copy_context().run, read)
        running.add_done_callback(lambda _: self._free.release())
        try:
            return running.result(timeout=max(0.0, until - self._now()))
        except TimeoutError as error:
            if running.done() and running.exception() is error:  # the store's own
                raise
            raise StoreLost(
                f"the online store did not answer within {1000 * self.deadline:.0f} ms"
            ) from error

    def _measured(
        self, operation: str, act: Callable[[], Answer], *, though_resting: bool = False
    ) -> Answer:
        if self.resting and not though_resting:
            measures.observe_store(operation, outcome="skipped", seconds=0.0)
            raise StoreLost(
                f"the online store failed {self._failures} times in a row and is left alone for "
                f"{REST_SECONDS:.0f} s"
            )
        began, outcome = time.perf_counter(), "lost"
        try:
            answer = act()
        except StoreLost:
            self._failed()
            raise
        else:
            outcome = "answered"
            self._failures, self._rests_until = 0, 0.0
            return answer
        finally:
            seconds = time.perf_counter() - began
            add_store_seconds(seconds)
            measures.observe_store(operation, outcome=outcome, seconds=seconds)

    def _failed(self) -> None:
        self._failures += 1
        if self._failures >= FAILURES:
            self._rests_until = self._now() + REST_SECONDS
