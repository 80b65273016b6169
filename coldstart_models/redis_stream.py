"""Events from a Redis stream, read by a consumer group.

The group keeps the offsets. A message stays pending until it is acknowledged; one whose consumer
has been silent for `claim_after` seconds is claimed by another. A group that is gone,
because the stream was deleted or the server lost it, starts again from the stream's first message:
known events change nothing.
"""

import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TypeVar

import redis

from coldstart_models.errors import StreamError, StreamLost
from coldstart_models.event_stream import TOGETHER, Message

ANSWER_SECONDS: Final = 10.0
"""How long a command may take beyond its own wait."""
NO_GROUP: Final = "NOGROUP"
GONE: Final = (NO_GROUP, "no such key")
"""How Redis says that the group is gone, alone or with its stream."""

T = TypeVar("T")


def consumer_name() -> str:
    """This process, told apart from every other that reads the stream."""
    return f"{socket.gethostname()}-{os.getpid()}-{time.time_ns():x}"


class RedisStream:
    """One consumer of a group on a stream."""

    def __init__(
        self,
        url: str,
        *,
        stream: str,
        group: str,
        consumer: str | None = None,
        claim_after: float = 30.0,
    ) -> None:
        self.name = stream
        self._group = group
        self._consumer = consumer or consumer_name()
        self._claim_after = claim_after
        self._claimed_at = -claim_after
        self._ready = False
        try:
            self._redis = redis.Redis.from_url(
                url, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS
            )
        except ValueError as error:
            raise StreamError(f"{_without_password(url)} is no Redis URL: {error}") from error

    def read(self, *, limit: int, wait: float) -> list[Message]:
        """See `EventStream`."""
        return self._claimed(limit) or self._asked(lambda: self._new(limit, wait))

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """See `EventStream`."""
        ids = [message.id for message in messages]
        if ids:
            self._asked(lambda: self._redis.xack(self.name, self._group, *ids))

    def outstanding(self) -> int:
        """See `EventStream`. After deletions Redis may not know how many wait for delivery."""
        own = self._asked(self._own_group)
        return int(own["pending"]) + int(own.get("lag") or 0)

    def close(self) -> None:
        """Leave the group, unless messages are still in this consumer's hands."""
        try:
            with _answering():
                held = self._redis.xpending_range(
                    self.name, self._group, min="-", max="+", count=1, consumername=self._consumer
                )
                if not held:
                    self._redis.xgroup_delconsumer(self.name, self._group, self._consumer)
        except StreamError:
            pass  # the group forgets nothing by it, and may be gone
        self._redis.close()

    def _new(self, limit: int, wait: float) -> list[Message]:
        answer = self._redis.xreadgroup(
            self._group,
            self._consumer,
            {self.name: ">"},
            count=limit,
            block=max(1, int(wait * 1000)) if wait else None,
        )
        return [_message(*one) for _, entries in answer or () for one in entries]

    def _claimed(self, limit: int) -> list[Message]:
        """Messages that nobody acknowledged for long; looked for every `claim_after` seconds.

        Those of a consumer that died come together. What came again and still was not taken in
        comes alone, the least often delivered first: a message that nobody survives keeps no
        other waiting, and only what was tried counts as delivered.
        """
        if time.monotonic() - self._claimed_at < self._claim_after:
            return []
        idle = int(self._claim_after * 1000)
        held = self._asked(
            lambda: self._redis.xpending_range(
                self.name, self._group, min="-", max="+", count=limit, idle=idle
            )
        )
        deliveries = {one["message_id"]: int(one["times_delivered"]) + 1 for one in held}
        once = [message_id for message_id, times in deliveries.items() if times <= TOGETHER]
        chosen = once or sorted(deliveries, key=lambda message_id: deliveries[message_id])[:1]
        if not chosen:
            self._claimed_at = time.monotonic()
            return []
        entries = self._asked(
            lambda: self._redis.xclaim(self.name, self._group, self._consumer, idle, chosen)
        )
        present = {message_id: fields for message_id, fields in entries if fields is not None}
        gone = [message_id for message_id in chosen if message_id not in present]
        if gone:  # deleted from the stream while they were pending, or claimed by another
            self._forget_deleted(gone)
        return [
            _message(message_id, fields, deliveries=deliveries[message_id])
            for message_id, fields in present.items()
        ]

    def _forget_deleted(self, message_ids: Sequence[bytes]) -> None:
        for message_id in message_ids:
            kept = self._asked(partial(self._redis.xrange, self.name, message_id, message_id))
            if not kept:
                self._asked(partial(self._redis.xack, self.name, self._group, message_id))

    def _own_group(self) -> dict[str, Any]:
        """What Redis tells of the group. Raises its error of a group that is gone."""
        for group in self._redis.xinfo_groups(self.name):
            if group["name"] == self._group.encode():
                found: dict[str, Any] = group
                return found
        raise redis.ResponseError(f"{NO_GROUP} {self._group!r} is not among the stream's groups")

    def _asked(self, command: Callable[[], T]) -> T:
        """What Redis answers; a group that is missing is made."""
        with _answering():
            if not self._ready:
                self._make_group()
            try:
                return command()
            except redis.ResponseError as error:
                if not any(gone in str(error) for gone in GONE):
                    raise
                self._make_group()
                return command()

    def _make_group(self) -> None:
        try:
            self._redis.xgroup_create(self.name, self._group, id="0", mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
        self._ready = True


@contextmanager
def _answering() -> Iterator[None]:
    """Tell a server that does not answer from one that answers with an error."""
    try:
        yield
    except (redis.AuthenticationError, redis.ResponseError) as error:
        if isinstance(error, redis.BusyLoadingError | redis.ReadOnlyError):
            raise StreamLost(f"Redis is not ready: {error}") from error
        raise StreamError(f"Redis refuses: {error}") from error
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise StreamLost(f"Redis does not answer: {error}") from error


def _message(message_id: bytes, fields: dict[bytes, bytes], *, deliveries: int = 1) -> Message:
    told = message_id.decode()
    taken_at = datetime.fromtimestamp(int(told.partition("-")[0]) / 1000, tz=UTC)
    return Message(told, fields, taken_at, deliveries)


def _without_password(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
